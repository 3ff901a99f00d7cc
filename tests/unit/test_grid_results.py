import pandas
import pytest

from bift_utils.commands.study import grid
from bift_utils.evaluation.intervals import holm
from bift_utils.results.grid import (
    BASE,
    TEST_PART,
    TRAIN_PART,
    load_grid,
    paired,
    paired_interval,
    paired_p_value,
    select,
    verdict,
)

GRID = load_grid()


def test_the_shipped_grid_holds_every_cell_with_five_seeds_and_nothing_else():
    assert tuple(GRID.columns) == grid.COLUMNS
    cells = grid.cells()
    assert len(GRID) == 5 * len(cells)
    for cell in cells:
        assert list(select(GRID, cell).index) == [0, 1, 2, 3, 4]


def test_the_parts_are_those_of_the_split():
    assert set(GRID["test_texts"]) == {TEST_PART}
    from bift_utils.data.texts import load_reviews, split_texts

    assert len(split_texts(load_reviews("rotten_tomatoes"), seed=0)["train"]) == TRAIN_PART


def test_with_nothing_shared_the_task_comes_out_the_same():
    for measure in ("test_accuracy", "test_loss", "validation_accuracy"):
        assert paired(GRID, {"shared": "none"}, measure) == [0.0] * 5


def table(values):
    rows = [{**BASE, "mlm_weight": w, "seed": s, "x": v} for (w, s), v in values.items()]
    return pandas.DataFrame(rows)


def test_differences_are_taken_seed_by_seed_whatever_the_order():
    small = table({(0.33, 1): 5.0, (0.33, 0): 3.0, (0.0, 0): 1.0, (0.0, 1): 2.0})
    assert paired(small, {}, "x") == [2.0, 3.0]


def test_seeds_that_do_not_match_are_refused():
    small = table({(0.33, 0): 3.0, (0.0, 1): 2.0})
    with pytest.raises(ValueError, match="the same seeds of both"):
        paired(small, {}, "x")
    with pytest.raises(ValueError, match="at least one"):
        paired(small, {"shared": "none"}, "x", {"shared": "none"})


def test_an_unknown_setting_is_named():
    with pytest.raises(ValueError, match=r"\['epochs'\] were given"):
        select(GRID, {"epochs": 3})


def test_the_verdict_needs_the_whole_interval():
    assert verdict((1.0, -0.1, 2.0)) == "undecided"
    assert verdict((0.0, 0.0, 0.0)) == "the same"
    assert verdict((1.0, 0.1, 2.0)) == "better"
    assert verdict((1.0, 0.1, 2.0), higher_is_better=False) == "worse"
    assert verdict((-1.0, -2.0, -0.1), higher_is_better=False) == "better"


def test_the_interval_is_wider_than_that_of_independent_seeds():
    from bift_utils.evaluation.intervals import seed_interval

    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert paired_interval(values)[1] < seed_interval(values)[1]


def test_the_p_value_and_the_interval_agree_about_zero():
    from scipy import stats

    values = [1.0, 2.0, 3.0, 4.0, 5.0]
    low = paired_interval(values)[1]
    assert paired_p_value([value - low for value in values]) == pytest.approx(0.05)
    plain = stats.ttest_1samp(values, 0.0)
    wider = (1 / 5 + TEST_PART / TRAIN_PART) ** 0.5 * 5**0.5
    expected = 2 * stats.t.sf(plain.statistic / wider, 4)
    assert paired_p_value(values) == pytest.approx(expected)
    assert paired_p_value([0.0] * 5) == 1.0


def test_holm_stops_at_the_first_that_does_not_stand():
    assert holm({"a": 0.03, "b": 0.01, "c": 0.04}) == ["b"]  # 0.03 > 0.05 / 2
    assert holm({"a": 0.02, "b": 0.01, "c": 0.04}) == ["b", "a", "c"]
    assert holm({"a": 0.02, "b": 0.02, "c": 0.02}) == []
