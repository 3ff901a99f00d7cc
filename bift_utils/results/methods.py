"""Read the study of notebook 07: a method's runs by seed, and one method minus another.

What the models answered, sentence by sentence, lies in an `.npz` beside the table. Shapes: S seeds,
N sentences.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas
import torch
from torch import Tensor

from bift_utils.data.texts import load_reviews, split_texts
from bift_utils.results.files import result_file
from bift_utils.results.scores import read_scores
from bift_utils.runtime import make_generator

ALL = 7250  # labelled sentences outside the test part
FRESH_SEEDS, MORE_SEEDS = range(10), range(10, 44)
WALK_SEEDS = range(5)  # along the passes and along λ
TUNING_SEEDS = range(100, 105)  # choose the recipes, and never read the test part
TEXTS = ("rotten_tomatoes", "tweets")  # each in a table of its own
PASSES = {128: (4.0, 12.0, 36.0), 512: (1.5, 4.0, 12.0), 2048: (1.5, 4.0, 12.0)}
TRIES = {  # (learning rate, λ), each with three numbers of passes
    "plain": ((1.5e-4, 0.0), (3e-4, 0.0)),
    "joint": ((3e-4, 0.1), (3e-4, 0.5)),
}
EDGES = {  # at 512 labels, tried on the tuning seeds after the choice and never chosen
    "plain": ((12.0, 7.5e-5, 0.0), (24.0, 1.5e-4, 0.0)),
    "joint": (
        (12.0, 1.5e-4, 0.1), (24.0, 3e-4, 0.1), *((count, 3e-4, 0.3) for count in PASSES[512])
    ),
}  # (passes, learning rate, λ)  # fmt: skip
CURVE = (1.5, 3.0, 6.0, 12.0, 24.0)  # passes at 512 labels
WEIGHTS = (0.0001, 0.01, 0.1, 0.3, 0.5, 0.9)  # λ of joint training
OPPONENTS = ("frozen", "plain", "plain, same FLOPs", "TAPT", "TAPT, frozen", "NBSVM", "TF-IDF")
RECIPE = ("passes", "learning_rate", "mlm_weight")
KEY = ("texts", "method", "labels", "seed", *RECIPE, "checkpoint", "digest", "precision")


def draw_labelled(classes: Sequence[int], labels: int, seed: int) -> list[int]:
    """Return the indices of n sentences, both classes alike; n = all takes everything.

    With the same seed a larger set holds the smaller.

    Args:
        classes: the class, 0 or 1, of each sentence that may be drawn.
        labels: n.
        seed: of the draw.

    Introduced in notebook 07.
    """
    order = torch.randperm(len(classes), generator=make_generator(seed, 20)).tolist()
    if labels >= len(classes):
        return order
    by_class = [[i for i in order if classes[i] == y] for y in (0, 1)]
    return [i for pair in zip(*by_class, strict=False) for i in pair][:labels]


def load_methods(name: str | None = None) -> pandas.DataFrame:
    """Return the shipped study as a pandas table, one row a run.

    Args:
        name: "tweets" for the second domain, "minilm" for another encoder with the recipes of this
            one; None for the study itself.

    Raises:
        FileNotFoundError: there is no such table; those of "tweets" and "minilm" are not made yet.

    Introduced in notebook 07.
    """
    return pandas.read_csv(result_file("methods.csv" if name is None else f"methods_{name}.csv"))


def choose_recipe(table: pandas.DataFrame, method: str, labels: int) -> dict[str, float]:
    """Return the recipe with the lowest mean validation loss over the tuning seeds.

    Args:
        table: finished runs; only those of the tuning seeds are looked at, and none of `EDGES`.
        method: "plain" or "joint".
        labels: their number.

    Returns:
        `passes`, `learning_rate` and `mlm_weight`.

    Raises:
        ValueError: not every try of every tuning seed is there.

    Introduced in notebook 07.
    """
    runs = table[(table["method"] == method) & (table["labels"] == labels)]
    runs = runs[runs["seed"].isin(TUNING_SEEDS)]
    losses = runs.groupby(list(RECIPE))["validation_loss"].agg(["mean", "size"])
    losses = losses.drop(index=list(EDGES[method]), errors="ignore")
    tries = len(TRIES[method]) * len(PASSES[labels])
    if len(losses) < tries or (losses["size"] < len(TUNING_SEEDS)).any():
        raise ValueError(
            f"There are {losses['size'].sum()} tuning runs of {method!r} with {labels} labels; "
            f"expected {tries * len(TUNING_SEEDS)}. Run the phase `tuning` to its end first."
        )
    return dict(zip(RECIPE, map(float, losses["mean"].idxmin()), strict=True))


def runs(
    table: pandas.DataFrame, method: str, labels: int, recipe: Mapping[str, float] | None = None
) -> pandas.DataFrame:
    """Return the runs of a method that read the test part, sorted by seed and indexed by it.

    Args:
        table: as `load_methods` returns it.
        method: as the study names it.
        labels: n.
        recipe: what runs of other passes, rates or weights must have; None takes those with the
            recipe that was chosen, where there are several.

    Raises:
        ValueError: the study has no such run, or runs of several recipes.

    Introduced in notebook 07.
    """
    found = table[(table["method"] == method) & (table["labels"] == labels)]
    found = found[~found["seed"].isin(TUNING_SEEDS)]
    if recipe is None and method in TRIES and labels in PASSES:
        recipe = choose_recipe(table, method, labels)
    for name, value in (recipe or {}).items():
        found = found[found[name] == value]
    if found.empty:
        raise ValueError(
            f"There is no run of {method!r} with {labels} labels and {recipe or 'any recipe'}; "
            f"expected a method out of {sorted(table['method'].unique())} and a number of labels "
            f"out of {sorted(table['labels'].unique().tolist())}."
        )
    if found["seed"].duplicated().any():
        raise ValueError(
            f"There are runs of {method!r} with {labels} labels and several recipes: "
            f"{found[list(RECIPE)].drop_duplicates().to_dict('records')}; expected one. Give it."
        )
    return found.sort_values("seed").set_index("seed")


def weight_axis(table: pandas.DataFrame, measure: str) -> pandas.DataFrame:
    """Return a measure along λ at 512 labels: a row a seed, a column a λ.

    Joint training has the passes and the rate that were chosen for it; λ = 0 is plain fine-tuning
    with its own chosen recipe.

    Args:
        table: as `load_methods` returns it.
        measure: a column.

    Introduced in notebook 07.
    """
    recipe = choose_recipe(table, "joint", 512)
    axis = {0.0: runs(table, "plain", 512)[measure]}
    for weight in WEIGHTS:
        axis[weight] = runs(table, "joint", 512, {**recipe, "mlm_weight": weight})[measure]
    return pandas.DataFrame(axis).dropna()


def differences(
    table: pandas.DataFrame, labels: int, method: str, against: str, measure: str,
    factor: float = 1.0,
) -> list[float]:  # fmt: skip
    """Return a measure of one method minus that of another, one number a seed that both have.

    Args:
        table: as `load_methods` returns it.
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


def strongest(table: pandas.DataFrame, labels: int) -> str:
    """Return the opponent of joint training with the best mean validation accuracy.

    All means are over the same seeds: those of the first ten with which joint training was run.

    Introduced in notebook 07.
    """
    seeds = runs(table, "joint", labels).index.intersection(list(FRESH_SEEDS))
    means = {
        method: runs(table, method, labels)["validation_accuracy"].reindex(seeds).mean()
        for method in OPPONENTS
        if method in set(table[table["labels"] == labels]["method"])
    }
    return max(means, key=means.__getitem__)


def answers() -> Tensor:
    """Return the true classes of the test sentences, (N,).

    Introduced in notebook 07.
    """
    return torch.tensor(split_texts(load_reviews("rotten_tomatoes"), seed=0)["test"].labels)


def correct(chosen: pandas.DataFrame, classes: Tensor) -> Tensor:
    """Return which answers of each run to the test sentences were right, (S, N), as 0.0 and 1.0.

    Args:
        chosen: as `runs` returns it, of the shipped study.
        classes: (N,), the true classes, from `answers`.

    Introduced in notebook 07.
    """
    return ((stored_scores(chosen) > 0.5) == classes.bool()).double()


def run_name(row: Mapping) -> str:
    """Return what the scores of a run are stored under: the columns `KEY` of its row."""
    return ", ".join(str(row[name]) for name in KEY)


def stored_scores(chosen: pandas.DataFrame, path: Path | None = None) -> Tensor:
    """Return the P(class 1) that each run gave to each test sentence, (S, N).

    Args:
        chosen: as `runs` returns it.
        path: the `.npz`; None takes the shipped one.

    Raises:
        ValueError: the file has no scores of a run.

    Introduced in notebook 07.
    """
    names = [run_name(row) for row in chosen.reset_index().to_dict("records")]
    return read_scores(path or result_file("methods.npz"), names)
