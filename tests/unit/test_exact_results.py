"""Reading the exact experiment: axes of λ, choices that do not flatter, and what is shipped."""

import pandas
import pytest

from bift_utils import languages
from bift_utils.commands.study import exact as exact_grid
from bift_utils.results.exact import (
    BRAKES,
    best_strength,
    brake_axis,
    exact_axis,
    leave_one_out_gains,
    load_exact,
)

SHIPPED = load_exact()


def test_the_shipped_grid_holds_every_cell_once():
    assert tuple(SHIPPED.columns) == exact_grid.COLUMNS
    names = ["seed", "mlm_weight", "labelled", "unlabelled", "width"]
    planned = [tuple(cell[name] for name in names) for cell in exact_grid.plan_exact(range(5))]
    assert sorted(SHIPPED[names].itertuples(index=False, name=None)) == sorted(planned)


def test_losses_are_floors_plus_distances():
    gap = SHIPPED["loss"] - SHIPPED["label_entropy"] - SHIPPED["label_kl"]
    assert gap.abs().max() < 1e-5
    assert (SHIPPED[["label_kl", "token_kl"]] >= 0).all().all()
    test = languages.draw_test(languages.make_language())
    assert SHIPPED["label_entropy"].unique().tolist() == [
        pytest.approx(test.label_entropy, abs=1e-6)
    ]


def test_lambda_zero_stands_for_every_amount_of_text():
    few, much = (exact_axis(SHIPPED, "label_kl", 32, text, 32) for text in (0, 16384))
    assert few[0.0].tolist() == much[0.0].tolist()
    assert few[0.5].tolist() != much[0.5].tolist()
    assert list(few.columns) == list(languages.WEIGHTS) and len(few) == 5
    with pytest.raises(ValueError, match="labelled was given as 33; expected one of"):
        exact_axis(SHIPPED, "label_kl", 33, 0, 32)


def test_lambda_is_chosen_on_the_other_seeds():
    axis = pandas.DataFrame(
        {0.0: [1.0, 1.0, 1.0], 0.1: [0.1, 0.9, 0.9], 0.5: [0.8, 0.7, 0.7], 0.9: [2.0, 2.0, 2.0]}
    )
    assert best_strength(axis) == 0.1  # in the mean over all three seeds
    # without seed 0, λ = 0.5 is best; its own seed does not count for it
    assert leave_one_out_gains(axis) == pytest.approx([0.2, 0.1, 0.1])


def test_brakes_are_read_one_at_a_time():
    cells = list(exact_grid.plan_brakes(range(3)))
    table = pandas.DataFrame(cells)
    table["label_kl"] = range(len(table))
    assert len(table) == 3 * (1 + 3 + 3 + 3) == len({tuple(cell.values()) for cell in cells})
    seen = set()
    for brake, strengths in BRAKES.items():
        axis = brake_axis(table, "label_kl", brake)
        assert list(axis.columns) == [0.0, *strengths] and list(axis.index) == [0, 1, 2]
        assert axis[0.0].tolist() == [0, 10, 20]  # the same runs without a brake for all three
        assert best_strength(axis) == strengths[0]
        seen |= set(axis[list(strengths)].to_numpy().ravel().tolist())
    assert seen == set(range(30)) - {0, 10, 20}
    with pytest.raises(ValueError, match="brake was given as 'width'; expected one of"):
        brake_axis(table, "label_kl", "width")
