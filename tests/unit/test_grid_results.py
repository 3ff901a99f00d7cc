import pandas
import pytest

from bift_utils.commands.study import grid
from bift_utils.results.grid import (
    BASE,
    TEST_PART,
    TRAIN_PART,
    load_grid,
    paired_differences,
    select,
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
        assert paired_differences(GRID, {"shared": "none"}, measure) == [0.0] * 5


def table(values):
    rows = [{**BASE, "mlm_weight": w, "seed": s, "x": v} for (w, s), v in values.items()]
    return pandas.DataFrame(rows)


def test_differences_are_taken_seed_by_seed_whatever_the_order():
    small = table({(0.33, 1): 5.0, (0.33, 0): 3.0, (0.0, 0): 1.0, (0.0, 1): 2.0})
    assert paired_differences(small, {}, "x") == [2.0, 3.0]


def test_seeds_that_do_not_match_are_refused():
    small = table({(0.33, 0): 3.0, (0.0, 1): 2.0})
    with pytest.raises(ValueError, match="the same seeds of both"):
        paired_differences(small, {}, "x")
    with pytest.raises(ValueError, match="at least one"):
        paired_differences(small, {"shared": "none"}, "x", {"shared": "none"})


def test_an_unknown_setting_is_named():
    with pytest.raises(ValueError, match=r"\['epochs'\] were given"):
        select(GRID, {"epochs": 3})
