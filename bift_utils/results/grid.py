"""Read the finished grid of joint training: runs by their settings, paired with a baseline.

A setting is a dict that differs from `BASE` in what it studies, as in `commands.study.grid.cells`.
"""

import pandas

from bift_utils.results.files import result_file

BASE = {
    "mlm_weight": 0.33,
    "schedule": "simultaneous",
    "finish": "no",
    "shared": "all",
    "classifier_input": "clean",
    "learning_rate": 3e-4,
}
WEIGHTS = (0.0, 0.1, 0.23, 0.33, 0.5, 0.9, 0.952)
PLAIN = {"mlm_weight": 0.0}  # fine-tuning on the task alone, what every cell is held against
TRAIN_PART, TEST_PART = 5970, 1280  # the parts of each split that the runs draw from
TEST_OVER_TRAIN = TEST_PART / TRAIN_PART  # two seeds' draws overlap: see `seed_interval`


def load_grid() -> pandas.DataFrame:
    """Return the shipped grid as a pandas table, one row a run.

    Introduced in notebook 06.
    """
    return pandas.read_csv(result_file("joint_grid.csv"))


def select(grid: pandas.DataFrame, setting: dict) -> pandas.DataFrame:
    """Return the runs of one setting, sorted by seed and indexed by it; empty if not run.

    Args:
        grid: a table with the columns of `commands.study.grid.COLUMNS`.
        setting: column to value; what is not named is as in `BASE`.

    Raises:
        ValueError: a name is no setting of the grid.

    Introduced in notebook 06.
    """
    unknown = set(setting) - set(BASE)
    if unknown:
        raise ValueError(
            f"The settings {sorted(unknown)} were given; expected names out of {list(BASE)}."
        )
    chosen = grid
    for name, value in {**BASE, **setting}.items():
        chosen = chosen[chosen[name] == value]
    return chosen.sort_values("seed").set_index("seed")


def paired_differences(
    grid: pandas.DataFrame, setting: dict, measure: str, against: dict = PLAIN, factor: float = 1.0
) -> list[float]:
    """Return `measure` of a setting minus that of another, one difference a seed.

    Args:
        grid: as `load_grid` returns it.
        setting, against: as `select` takes them.
        measure: a column.
        factor: what the differences are multiplied by; 100 makes points of shares.

    Raises:
        ValueError: one of the two was not run, or not with the same seeds.

    Introduced in notebook 06.
    """
    ours, theirs = select(grid, setting)[measure], select(grid, against)[measure]
    if not len(ours) or list(ours.index) != list(theirs.index):
        raise ValueError(
            f"{setting} has seeds {list(ours.index)} and {against} has {list(theirs.index)}; "
            "expected the same seeds of both, at least one. Choose settings that were run."
        )
    return (factor * (ours - theirs)).tolist()
