"""Read the finished exact experiment: how far both heads are from exact, and what text brought.

A setting is the number of labelled sentences, of unlabelled ones, and the width.
"""

import pandas

from bift_utils.languages.experiment import LABELLED, UNLABELLED, WEIGHTS, WIDTHS
from bift_utils.results.files import result_file

INNER = tuple(weight for weight in WEIGHTS if 0.0 < weight < 1.0)  # both heads are trained


def load_exact() -> pandas.DataFrame:
    """Return the shipped grid as a pandas table, one row a run.

    Introduced in notebook 07.
    """
    return pandas.read_csv(result_file("exact_grid.csv"))


def exact_axis(
    table: pandas.DataFrame, measure: str, labelled: int, unlabelled: int, width: int
) -> pandas.DataFrame:
    """Return a measure at every λ, a row a seed and a column a λ.

    A run with λ = 0 reads no text, so that one stands for every amount of unlabelled text.

    Raises:
        ValueError: the grid has no such setting.

    Introduced in notebook 07.
    """
    asked = {"labelled": labelled, "unlabelled": unlabelled, "width": width}
    known = {"labelled": LABELLED, "unlabelled": UNLABELLED, "width": WIDTHS}
    for name, value in asked.items():
        if value not in known[name]:
            raise ValueError(f"{name} was given as {value}; expected one of {known[name]}.")
    cells = table[(table["labelled"] == labelled) & (table["width"] == width)]
    cells = cells[(cells["unlabelled"] == unlabelled) | (cells["mlm_weight"] == 0.0)]
    return cells.pivot(index="seed", columns="mlm_weight", values=measure)


def best_weight(axis: pandas.DataFrame) -> float:
    """Return the λ strictly between 0 and 1 with the lowest mean.

    The mean is over all seeds of the table: on the runs that it was chosen from, it flatters.

    Introduced in notebook 07.
    """
    return float(axis[list(INNER)].mean().idxmin())


def leave_one_out_gains(axis: pandas.DataFrame) -> list[float]:
    """Return what the best λ gained over λ = 0 on each seed, λ being chosen on the other seeds.

    Positive is good where a low measure is good. Introduced in notebook 07.
    """
    gains = []
    for seed in axis.index:
        weight = best_weight(axis.drop(index=seed))
        gains.append(float(axis.loc[seed, 0.0] - axis.loc[seed, weight]))
    return gains
