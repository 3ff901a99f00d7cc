"""Figures of joint training: λ as an axis, methods as rows, gradients layer by layer."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas
from matplotlib.figure import Figure

from bift_utils.plotting.figures import COLOURS, HEIGHT, WIDTH, headline, name_verticals

# λ of published joint losses, normalised to L = λ·L_LM + (1 − λ)·L_task; SiATL's falls from .17
PRECEDENTS = {
    "SiATL": (0.09, 0.17),
    "He et al.": (0.231, 0.231),
    "GPT-1": (0.333, 0.333),
    "TARTAN": (0.5, 0.5),
    "TLM": (0.952, 0.952),
}


def _line(axes, height: float, name: str, style: str, place: float = 0.99) -> None:
    """Draw a named horizontal line: dotted for a baseline, dashed for an exact optimum."""
    axes.axhline(height, color=COLOURS["neutral"], linestyle=style, linewidth=1.2)
    axes.annotate(
        name, (place, height), xycoords=("axes fraction", "data"),
        xytext=(0, 2), textcoords="offset points", ha="right", va="bottom", fontsize=9,
        color=COLOURS["neutral"],
    )  # fmt: skip


def plot_weights(
    runs: pandas.DataFrame,
    colours: Mapping[str, str],
    title: str,
    exact: float | None = 0.0,
    baselines: Mapping[str, tuple[str, float]] | None = None,
) -> Figure:
    """Draw runs at several λ, evenly spaced: a dot a seed, a line through the means.

    Args:
        runs: a row a run: column mlm_weight, and one for each panel, named as its vertical axis.
        colours: name of a panel, from left to right, to a key of `COLOURS`.
        title: the finding.
        exact: height of the dashed line, the exact optimum; None for none.
        baselines: name of a panel to the name and height of its dotted line.

    Introduced in notebook 06.
    """
    figure, all_axes = plt.subplots(
        1, len(colours), figsize=(WIDTH + 1.2, HEIGHT - 0.2), squeeze=False
    )
    for axes, (label, colour) in zip(all_axes[0], colours.items(), strict=True):
        values = runs.groupby("mlm_weight")[label]
        for place, (_, numbers) in enumerate(values):
            axes.plot([place] * len(numbers), numbers, "o", color=COLOURS[colour], alpha=0.5)
        means = values.mean()
        axes.plot(range(len(means)), means, color=COLOURS[colour], marker="_", markersize=14)
        if exact is not None:
            _line(axes, exact, "exact", "--")
        if baselines and label in baselines:
            name, height = baselines[label]
            _line(axes, height, name, ":")
        axes.set_xticks(range(len(means)), [f"{weight:g}" for weight in means.index])
        axes.set(xlabel="λ (not to scale)", ylabel=label)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    headline(figure, title)
    return figure


def plot_methods(
    results: Mapping[str, Sequence[float]],
    title: str,
    xlabel: str,
    exact: float,
    baseline: tuple[str, float],
    colours: Mapping[str, str],
) -> Figure:
    """Draw a row a method: a dot a seed and a bar at the mean; dashed exact, dotted baseline.

    Args:
        results: method to one number a seed.
        title: the finding.
        xlabel: quantity and unit.
        exact: the exact optimum.
        baseline: name and value of what the methods are held against.
        colours: method to a key of `COLOURS`.

    Introduced in notebook 06.
    """
    figure, axes = plt.subplots(figsize=(WIDTH + 0.6, 1.4 + 0.42 * len(results)))
    for row, (name, numbers) in enumerate(results.items()):
        colour = COLOURS[colours[name]]
        axes.plot(numbers, [row] * len(numbers), "o", color=colour, alpha=0.5, markersize=6)
        mean = sum(numbers) / len(numbers)
        axes.plot([mean, mean], [row - 0.32, row + 0.32], color=colour, linewidth=2.5)
    name_verticals(axes, {"exact": exact}, "--")
    name_verticals(axes, dict([baseline]))
    axes.set(xlabel=xlabel, yticks=range(len(results)), yticklabels=list(results))
    axes.set_title(title, pad=18)
    axes.set_ylim(len(results) - 0.5, -0.5)
    return figure


def plot_weight_axis(
    table: pandas.DataFrame,
    colours: Mapping[str, str],
    title: str,
) -> Figure:
    """Draw differences to λ = 0 with their intervals on the axis of λ, and the precedents' λ.

    Args:
        table: as `evaluation.compare` returns it, for comparisons named (panel, λ). The name of a
            panel labels its vertical axis.
        colours: name of a panel, from top to bottom, to a key of `COLOURS`.
        title: the finding.

    Introduced in notebook 06.
    """
    figure, all_axes = plt.subplots(
        len(colours), 1, figsize=(WIDTH + 0.8, 1.0 + 2.2 * len(colours)), sharex=True, squeeze=False
    )
    for axes, (label, colour) in zip(all_axes[:, 0], colours.items(), strict=True):
        found = table.loc[label]
        sides = [found["mean"] - found["low"], found["high"] - found["mean"]]
        look = {"fmt": "D-", "color": COLOURS[colour], "capsize": 4}
        axes.errorbar(found.index, found["mean"], yerr=sides, **look)
        axes.set(ylabel=label)
        for low, high in PRECEDENTS.values():
            axes.axvspan(low - 0.002, high + 0.002, color=COLOURS["light"], alpha=0.6, zorder=0)
        _line(axes, 0.0, "plain fine-tuning", ":", place=0.86)
    top = all_axes[0, 0]
    for i, (name, (low, high)) in enumerate(PRECEDENTS.items()):
        top.annotate(
            name, ((low + high) / 2, 1.0), xycoords=("data", "axes fraction"), ha="center",
            xytext=(0, 2 + 11 * (i == 1)), textcoords="offset points", va="bottom", fontsize=8,
        )  # fmt: skip
    all_axes[-1, 0].set(xlabel="λ, the weight of the masked-LM loss", xlim=(-0.03, 1.0))
    headline(figure, title)
    return figure


def plot_cosines(cosines: Mapping[str, pandas.DataFrame], title: str) -> Figure:
    """Draw cosines between gradients, part by part: a dot a batch, one comparison by another.

    Args:
        cosines: what is compared, one or two, to a table: a row a batch, a column a part of the
            encoder.
        title: the finding.

    Introduced in notebook 06.
    """
    figure, axes = plt.subplots(figsize=(WIDTH + 0.6, HEIGHT - 0.3))
    styles = ("joint", "D"), ("mlm", "o")
    for shift, ((name, table), (colour, mark)) in enumerate(
        zip(cosines.items(), styles, strict=False)
    ):
        parts, hue = list(table.columns), COLOURS[colour]
        places = [i + 0.24 * (shift - 0.5) for i in range(len(parts))]
        for place, part in zip(places, parts, strict=True):
            axes.plot([place] * len(table), table[part], mark, alpha=0.4, markersize=4, color=hue)
        axes.plot(
            places, table.mean(), linestyle="none", marker="_", markersize=16, markeredgewidth=2.5,
            label=name, color=hue,
        )  # fmt: skip
    axes.axhline(
        0.0, color=COLOURS["neutral"], linestyle=":", linewidth=1.2, label="no common direction"
    )
    axes.set_xticks(range(len(parts)), parts)
    axes.set(ylabel="cosine of the gradients", ylim=(-1, 1))
    axes.legend(loc="upper left")
    axes.set_title(title)
    return figure
