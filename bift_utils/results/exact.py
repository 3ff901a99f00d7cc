"""Read the finished exact experiment: how far both heads are from exact, and what text brought.

A setting is the number of labelled sentences, of unlabelled ones, and the width.
"""

import pandas

from bift_utils.languages.experiment import LABELLED, UNLABELLED, WIDTHS
from bift_utils.results.files import result_file

BRAKES = {  # on learning few labels by heart; as many strengths of each
    "mlm_weight": (0.1, 0.5, 0.9), "dropout": (0.1, 0.3, 0.5), "weight_decay": (0.1, 1.0, 10.0),
}  # fmt: skip


def load_exact() -> pandas.DataFrame:
    """Return the shipped grid as a pandas table, one row a run.

    Introduced in notebook 07.
    """
    return pandas.read_csv(result_file("exact_grid.csv"))


def load_brakes() -> pandas.DataFrame:
    """Return the shipped runs with three kinds of brake as a pandas table, one row a run.

    Introduced in notebook 07b.
    """
    return pandas.read_csv(result_file("exact_brakes.csv"))


def brake_axis(table: pandas.DataFrame, measure: str, brake: str) -> pandas.DataFrame:
    """Return a measure at every strength of a brake, a row a seed; column 0.0 is no brake.

    Args:
        table: as `load_brakes` returns it.
        measure: a column.
        brake: "mlm_weight", "dropout" or "weight_decay".

    Raises:
        ValueError: there is no such brake.

    Introduced in notebook 07b.
    """
    if brake not in BRAKES:
        raise ValueError(f"The brake was given as {brake!r}; expected one of {list(BRAKES)}.")
    weakest = {name: table[name].min() for name in BRAKES}
    others = [table[name] == least for name, least in weakest.items() if name != brake]
    axis = table[others[0] & others[1]].pivot(index="seed", columns=brake, values=measure)
    return axis.rename(columns={weakest[brake]: 0.0})


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


def best_strength(axis: pandas.DataFrame) -> float:
    """Return the λ, or the strength of another brake, with the lowest mean.

    Column 0.0, no brake, is left out. The mean is over all seeds of the table: on the runs that it
    was chosen from, it flatters.

    Introduced in notebook 07.
    """
    return float(axis.drop(columns=0.0).mean().idxmin())


def leave_one_out_gains(axis: pandas.DataFrame) -> list[float]:
    """Return what the best strength gained over none on each seed, chosen on the other seeds.

    Positive is good where a low measure is good. Introduced in notebook 07.
    """
    gains = []
    for seed in axis.index:
        strength = best_strength(axis.drop(index=seed))
        gains.append(float(axis.loc[seed, 0.0] - axis.loc[seed, strength]))
    return gains
