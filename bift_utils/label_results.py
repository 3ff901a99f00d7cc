"""Read the finished label-efficiency study: a method's runs by seed, and one method minus another.

Shapes: S seeds, N test sentences.
"""

from collections.abc import Sequence

import pandas
import torch
from torch import Tensor

from bift_utils.data import load_reviews, result_file, split_texts
from bift_utils.label_efficiency import (
    AXIS_SIZES,
    RATE,
    WEIGHTS,
    WITH_WEIGHT,
    choose_weight,
    held_out_reviews,
)
from bift_utils.label_runs import unpack_scores

SAME_FLOPS = "plain, same FLOPs"  # what the others are held against


def load_labels() -> pandas.DataFrame:
    """Return the shipped study as a pandas table, one row a run.

    Introduced in notebook 07.
    """
    return pandas.read_csv(result_file("label_efficiency.csv"))


def chosen_weights(table: pandas.DataFrame) -> dict[int, float]:
    """Return, for each size with a λ axis, the λ that validation chose there.

    Introduced in notebook 07.
    """
    return {size: choose_weight(table, size) for size in AXIS_SIZES}


def runs(
    table: pandas.DataFrame, method: str, labels: int,
    weight: float | None = None, rate: float = RATE,
) -> pandas.DataFrame:  # fmt: skip
    """Return the runs of a method with n labels, sorted by seed and indexed by it.

    Args:
        table: as `load_labels` returns it.
        method: as the study names it.
        labels: n.
        weight: λ; None takes the one that validation chose, and 0 for methods without one.
        rate: the learning rate.

    Raises:
        ValueError: the study has no such run.

    Introduced in notebook 07.
    """
    if weight is None:
        weight = choose_weight(table, labels) if method in WITH_WEIGHT else 0.0
    chosen = table[(table["method"] == method) & (table["labels"] == labels)]
    chosen = chosen[(chosen["mlm_weight"] == weight) & (chosen["learning_rate"] == rate)]
    if chosen.empty:
        raise ValueError(
            f"There is no run of {method!r} with {labels} labels, λ = {weight:g} and rate {rate:g};"
            f" expected a method out of {sorted(table['method'].unique())} and a number of labels "
            f"out of {sorted(table['labels'].unique().tolist())}."
        )
    return chosen.sort_values("seed").set_index("seed")


def weight_axis(table: pandas.DataFrame, labels: int, measure: str) -> pandas.DataFrame:
    """Return a measure at every λ of the axis, a row a seed and a column a λ.

    Introduced in notebook 07.
    """
    columns = {w: runs(table, "joint" if w else "plain", labels, w)[measure] for w in WEIGHTS}
    return pandas.DataFrame(columns).dropna()  # plain has more seeds than the axis


def paired(
    table: pandas.DataFrame, labels: int, method: str, measure: str, against: str = SAME_FLOPS,
    factor: float = 1.0,
) -> list[float]:  # fmt: skip
    """Return a measure of one method minus that of another, one number a seed that both have.

    Args:
        table: as `load_labels` returns it.
        labels: n.
        method, against: as the study names them.
        measure: a column.
        factor: what the differences are multiplied by; 100 makes points of shares.

    Raises:
        ValueError: they have fewer than two seeds in common.

    Introduced in notebook 07.
    """
    ours, theirs = runs(table, method, labels)[measure], runs(table, against, labels)[measure]
    found = (factor * (ours - theirs)).dropna().tolist()
    if len(found) < 2:
        raise ValueError(
            f"{method!r} has seeds {list(ours.index)} and {against!r} has {list(theirs.index)}; "
            "expected at least two in common. Without pairs there is no paired difference."
        )
    return found


def answers(part: str = "test") -> Tensor:
    """Return the true classes of the test sentences or of the long reviews ("transfer"), (N,).

    Introduced in notebook 07.
    """
    if part == "transfer":
        return torch.tensor(held_out_reviews().labels)
    return torch.tensor(split_texts(load_reviews("rotten_tomatoes"), seed=0)["test"].labels)


def correct(chosen: pandas.DataFrame, classes: Tensor, part: str = "test") -> Tensor:
    """Return which answers of each run were right, (S, N), as 0.0 and 1.0.

    Args:
        chosen: as `runs` returns it.
        classes: (N,), the true classes, from `answers`.
        part: "test" or "transfer".

    Introduced in notebook 07.
    """
    packed: Sequence[str] = chosen[f"{part}_scores"]
    guesses = torch.stack([unpack_scores(row) > 0.5 for row in packed])
    return (guesses == classes.bool()).double()


def sizes(table: pandas.DataFrame) -> list[int]:
    """Return the numbers of labels of the study, smallest first."""
    return sorted(table["labels"].unique().tolist())
