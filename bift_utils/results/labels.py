"""Read the finished label-efficiency study: a method's runs by seed, and one method minus another.

What the models answered, sentence by sentence, lies in an `.npz` beside the table. Shapes: S seeds,
N test sentences.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas
import torch
from torch import Tensor

from bift_utils.data.corpus import held_out_reviews
from bift_utils.data.texts import load_reviews, split_texts
from bift_utils.results.files import result_file
from bift_utils.results.grid import WEIGHTS
from bift_utils.results.scores import read_scores

AXIS_SIZES = (128, 2048)  # where the whole λ axis is run; the others take the nearer one's choice
AXIS_SEEDS = range(5)  # the seeds of that axis
WITH_WEIGHT = ("joint", "joint, task-only finish", "alternating")
RATE = 3e-4
KEY = ("method", "labels", "seed", "mlm_weight", "learning_rate", "checkpoint", "precision")


def axis_size(labels: int) -> int:
    """Return the size, of those with a whole λ axis, that is nearest by ratio.

    Introduced in notebook 07.
    """
    return min(AXIS_SIZES, key=lambda size: abs(math.log(size / labels)))


def choose_weight(rows: pandas.DataFrame, labels: int) -> float:
    """Return the λ with the lowest mean validation loss at the nearer axis size.

    Args:
        rows: finished runs; only the columns that name a run and `validation_loss` are looked at,
            and only the seeds of the axis, so that later seeds cannot change the choice.
        labels: the number of labels of the runs that will use it.

    Raises:
        ValueError: the λ axis is not there yet.

    Introduced in notebook 07.
    """
    size = axis_size(labels)
    axis = rows[(rows["method"] == "joint") & (rows["labels"] == size)]
    axis = axis[(axis["learning_rate"] == RATE) & axis["seed"].isin(AXIS_SEEDS)]
    if axis.empty:
        raise ValueError(
            f"There are no joint runs with {size} labels; expected the λ axis, from which λ is "
            "chosen. Run that first."
        )
    return float(axis.groupby("mlm_weight")["validation_loss"].mean().idxmin())


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


def method_differences(
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
        chosen: as `runs` returns it, of the shipped study.
        classes: (N,), the true classes, from `answers`.
        part: "test" or "transfer".

    Introduced in notebook 07.
    """
    return ((stored_scores(chosen, part) > 0.5) == classes.bool()).double()


def sizes(table: pandas.DataFrame) -> list[int]:
    """Return the numbers of labels of the study, smallest first."""
    return sorted(table["labels"].unique().tolist())


def run_name(row: Mapping) -> str:
    """Return what the scores of a run are stored under: the columns `KEY` of its row."""
    return ", ".join(str(row[name]) for name in KEY)


def stored_scores(chosen: pandas.DataFrame, part: str = "test", path: Path | None = None) -> Tensor:
    """Return the P(class 1) that each run gave to each sentence, (S, N).

    Args:
        chosen: as `runs` returns it.
        part: "test" or "transfer".
        path: the `.npz`; None takes the shipped one.

    Raises:
        ValueError: the file has no scores of a run.

    Introduced in notebook 07.
    """
    names = [run_name(row) for row in chosen.reset_index().to_dict("records")]
    return read_scores(path or result_file("label_efficiency.npz"), names, part)
