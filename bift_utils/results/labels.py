"""Read the finished label-efficiency study: a method's runs by seed, and one method minus another.

What the models answered, sentence by sentence, lies in an `.npz` beside the table. Shapes: S seeds,
N test sentences.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy
import pandas
import torch
from torch import Tensor

from bift_utils.data.corpus import held_out_reviews
from bift_utils.data.texts import load_reviews, split_texts
from bift_utils.results.files import result_file
from bift_utils.results.grid import WEIGHTS

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


SCORE_STEP = 0.05  # stored log-odds have this precision


def pack_scores(probabilities: Tensor) -> Tensor:
    """Return the log-odds of class 1 as uint8, (N,), one byte a sentence; see `unpack_scores`.

    Introduced in notebook 07.
    """
    log_odds = torch.logit(probabilities[:, 1].double(), eps=1e-9)
    steps = ((log_odds / SCORE_STEP).ceil() - 1).clamp(-128, 127)  # a tie counts as class 0
    return (steps + 128).to(torch.uint8)


def unpack_scores(packed: Tensor) -> Tensor:
    """Return P(class 1) of each sentence, (N,), from what `pack_scores` returned.

    Log-odds come back with an error of at most 0.025 and never change their sign; beyond 6.4
    (P = 0.998) they are cut off. Introduced in notebook 07.
    """
    return torch.sigmoid((packed.double() - 128 + 0.5) * SCORE_STEP)


def run_name(row: Mapping) -> str:
    """Return what the scores of a run are stored under: the columns `KEY` of its row."""
    return ", ".join(str(row[name]) for name in KEY)


def store_scores(path: Path, row: Mapping, packed: Mapping[str, Tensor]) -> None:
    """Add the scores of one run to the `.npz`, in place of earlier ones of the same run.

    The whole file is written anew, so that a kill leaves the old one or the new one.

    Args:
        path: the file; made if it is not there. It holds `run`, (R,) names of runs, and for each
            part of the data uint8 scores, (R, N).
        row: the columns `KEY` of the run.
        packed: part of the data to the run's packed scores, (N,).
    """
    name = run_name(row)
    stored = {part: scores.numpy()[None] for part, scores in packed.items()}
    stored["run"] = numpy.array([name])
    if path.exists():
        with numpy.load(path, allow_pickle=False) as old:
            others = old["run"] != name
            stored = {key: numpy.concatenate([old[key][others], stored[key]]) for key in stored}
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        numpy.savez_compressed(file, **stored)  # type: ignore[arg-type]  # numpy's own stub
    partial.replace(path)


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
    with numpy.load(path or result_file("label_efficiency.npz"), allow_pickle=False) as stored:
        places = {name: place for place, name in enumerate(stored["run"].tolist())}
        packed = torch.from_numpy(stored[part])
    names = [run_name(row) for row in chosen.reset_index().to_dict("records")]
    if missing := [name for name in names if name not in places]:
        raise ValueError(
            f"There are no stored scores of the run {missing[0]!r}; expected those of every row. "
            "Take the table and the .npz from the same study."
        )
    return torch.stack([unpack_scores(packed[places[name]]) for name in names])
