"""Read a finished grid of `bift_utils.grid`: runs by their settings, paired with a baseline.

A setting is a dict that differs from `BASE` in what it studies, as in `commands.study.grid.cells`.
"""

import math
import statistics

from bift_utils.evaluation.intervals import seed_interval
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


def load_grid():
    """Return the shipped grid as a pandas table, one row a run.

    Introduced in notebook 06.
    """
    import pandas

    return pandas.read_csv(result_file("joint_grid.csv"))


def select(grid, setting: dict):
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


def paired(grid, setting: dict, measure: str, against: dict = PLAIN) -> list[float]:
    """Return `measure` of a setting minus that of another, one difference a seed.

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
    return (ours - theirs).tolist()


def paired_interval(differences: list[float]) -> tuple[float, float, float]:
    """Return mean, low and high of the differences, widened because the splits overlap.

    A run's training sentences are drawn from a training part of 5,970; how much two seeds share
    is set by the sizes of the parts, so these enter the correction of Nadeau and Bengio (2003).

    Introduced in notebook 06.
    """
    return seed_interval(differences, TEST_PART / TRAIN_PART)


def paired_p_value(differences: list[float]) -> float:
    """Return the two-sided p-value of Student's t that belongs to `paired_interval`.

    Below 0.05 exactly when that 95 % interval leaves zero out; 1 where no seed differs.

    Introduced in notebook 06.
    """
    from scipy import stats

    spread, count = statistics.stdev(differences), len(differences)
    mean = statistics.fmean(differences)
    if not spread:
        return 0.0 if mean else 1.0
    error = spread * math.sqrt(1 / count + TEST_PART / TRAIN_PART)
    return float(2 * stats.t.sf(abs(mean) / error, count - 1))


def verdict(interval: tuple[float, float, float], higher_is_better: bool = True) -> str:
    """Return "better", "worse" or "undecided": where a 95 % interval lies beside zero.

    "the same" where not one seed differs. Introduced in notebook 06.
    """
    _, low, high = interval
    if low == high == 0:
        return "the same"
    if low <= 0 <= high:
        return "undecided"
    return "better" if (low > 0) == higher_is_better else "worse"
