"""Figures of notebook 07: learning curves, differences with intervals, and distance from exact."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas
from matplotlib.figure import Figure

from bift_utils.plotting.figures import COLOURS, HEIGHT, WIDTH, headline

LOOKS = (("task", "o"), ("joint", "D"), ("mlm", "s"), ("other", "^"), ("neutral", "v"))
METHODS = {  # the same look in every figure; others take theirs in order from LOOKS
    "plain": ("task", "o"), "joint": ("joint", "D"), "TAPT": ("mlm", "s"), "frozen": ("other", "^"),
    "joint − plain": ("joint", "D"),
}  # fmt: skip


def _sides(table: pandas.DataFrame) -> list[pandas.Series]:
    return [table["mean"] - table["low"], table["high"] - table["mean"]]


def _label_axis(axes, places: Sequence[float], xlabel: str) -> None:
    axes.set_xscale("log")
    axes.set_xticks(list(places), [f"{place:,g}" for place in places])
    axes.minorticks_off()
    axes.set(xlabel=f"{xlabel} (log scale)")


def _legends(figure: Figure, all_axes: Sequence) -> None:
    """Explain the looks once for the figure where all panels have the same, else panel by panel."""
    handles, names = all_axes[0].get_legend_handles_labels()
    if all(axes.get_legend_handles_labels()[1] == names for axes in all_axes):
        columns = min(4, len(names))
        figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9)
        return
    for axes in all_axes:
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=1)


def plot_methods(
    table: pandas.DataFrame,
    title: str,
    xlabel: str = "labelled sentences",
    dotted: Sequence[str] = (),
    heights: Mapping[str, float] | None = None,
    one_scale: str = "",
) -> Figure:
    """Draw methods against the number of labels, or of passes, with intervals, a panel a measure.

    Panels with the same methods share a legend below; panels with others have one each.

    Args:
        table: columns panel, method, place, mean, low and high, a row a point; what stands first
            in the table is drawn first. The name of a panel labels its vertical axis.
        title: the finding.
        xlabel: what `place` counts; the axis is logarithmic.
        dotted: methods drawn as baselines, without intervals.
        heights: name to the height of one more dotted line, in every panel.
        one_scale: label of the vertical axis, where the panels share it; theirs become titles.

    Introduced in notebook 07.
    """
    panels = table["panel"].unique()
    figure, all_axes = plt.subplots(
        1, len(panels), figsize=(WIDTH + 1.2 * len(panels) - 0.4, HEIGHT + bool(one_scale)),
        squeeze=False, sharey=bool(one_scale),
    )  # fmt: skip
    for axes, label in zip(all_axes[0], panels, strict=True):
        panel = table[table["panel"] == label]
        below = panel["method"].isin(dotted)
        methods = panel[~below].groupby("method", sort=False)
        places = sorted(panel["place"].unique())
        for i, (name, curve) in enumerate(methods):
            colour, mark = METHODS.get(name, LOOKS[i % len(LOOKS)])
            shift = 1 + 0.07 * (i - (len(methods) - 1) / 2)  # side by side on the log axis
            axes.errorbar(
                curve["place"] * shift, curve["mean"], yerr=_sides(curve),
                fmt=f"{mark}-", color=COLOURS[colour], capsize=3, markersize=5, linewidth=1.2,
                label=name,
            )  # fmt: skip
        baseline = {"linestyle": ":", "color": COLOURS["neutral"]}
        for name, curve in panel[below].groupby("method", sort=False):
            axes.plot(curve["place"], curve["mean"], marker="x", label=name, **baseline)
        for name, height in (heights or {}).items():
            axes.plot(places, [height] * len(places), label=name, **baseline)
        _label_axis(axes, places, xlabel)
        if one_scale:
            axes.set_title(label, fontsize=9, fontweight="normal", loc="center")
        else:
            axes.set(ylabel=label)
    if one_scale:
        all_axes[0, 0].set(ylabel=one_scale)
    _legends(figure, list(all_axes[0]))
    headline(figure, title)
    return figure


def plot_differences(
    table: pandas.DataFrame,
    title: str,
    xlabel: str,
    baseline: str,
    dots: Mapping[str, Sequence[float]],
) -> Figure:
    """Draw a row a comparison: a diamond at the mean, whiskers, and a dotted line at zero.

    Args:
        table: as `evaluation.compare` returns it.
        title: the finding.
        xlabel: quantity and unit.
        baseline: what zero stands for.
        dots: name to one number a seed, drawn small.

    Introduced in notebook 07.
    """
    count, colour = len(table), COLOURS["joint"]
    figure, axes = plt.subplots(figsize=(WIDTH + 0.5, 1.4 + 0.4 * count))
    axes.axvline(0.0, color=COLOURS["neutral"], linestyle=":", linewidth=1.2)
    for place, name in enumerate(table.index):
        heights = [place + 0.22] * len(dots[name])
        axes.plot(dots[name], heights, "o", color=colour, alpha=0.4, markersize=4)
        axes.errorbar(
            table["mean"][name], place - 0.06, xerr=_sides(table.loc[[name]]), fmt="D",
            color=colour, capsize=3, markersize=5,
        )  # fmt: skip
    axes.set_yticks(range(count), list(table.index))
    axes.set_ylim(count - 0.5, -0.5)
    axes.set(xlabel=f"{xlabel}; dotted: {baseline}")
    headline(figure, title)
    return figure


def plot_exact(
    table: pandas.DataFrame, title: str, ylabels: Mapping[str, str], floors: Mapping[str, float]
) -> Figure:
    """Draw the losses of both heads against λ, a row a head and a column a number of labels.

    A mark is the mean of the seeds, a band their range. A dashed line is the exact floor: no model
    has a lower expected loss. A dotted one is λ = 0.

    Args:
        table: columns head, labelled, unlabelled, mlm_weight and loss, a row a run.
        title: the finding.
        ylabels: head to quantity and unit; from top to bottom.
        floors: head to the height of its dashed line.

    Introduced in notebook 07.
    """
    labelled = sorted(table["labelled"].unique())
    figure, all_axes = plt.subplots(
        len(ylabels), len(labelled), figsize=(WIDTH + 1.6, 0.9 + 2.2 * len(ylabels)), sharey="row",
        sharex=True, squeeze=False,
    )  # fmt: skip
    for row, head in zip(all_axes, ylabels, strict=True):
        for axes, n in zip(row, labelled, strict=True):
            _draw_axis(axes, table[(table["head"] == head) & (table["labelled"] == n)])
            axes.axhline(floors[head], color=COLOURS["neutral"], linestyle="--", linewidth=1.2)
        row[0].set(ylabel=ylabels[head])
    for axes, n in zip(all_axes[0], labelled, strict=True):
        axes.set_title(f"{n:,} labelled", fontsize=9, fontweight="normal", loc="center")
    for axes in all_axes[-1]:
        axes.set(xlabel="λ")
    handles, names = all_axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=9)
    headline(figure, title)
    return figure


def _draw_axis(axes, runs: pandas.DataFrame) -> None:
    """Draw a curve an amount of text; dotted: λ = 0, which reads none and is the same for all."""
    for (text, curve), (colour, mark) in zip(runs.groupby("unlabelled"), LOOKS, strict=False):
        losses = curve.groupby("mlm_weight")["loss"]
        means, look = losses.mean(), {"color": COLOURS[colour]}
        axes.fill_between(means.index, losses.min(), losses.max(), alpha=0.12, linewidth=0, **look)
        name = f"{text:,} more sentences"
        axes.plot(means.index, means, marker=mark, markersize=4, label=name, **look)
    start = runs["loss"][runs["mlm_weight"] == 0.0]
    if len(start):
        axes.axhline(start.mean(), color=COLOURS["neutral"], linestyle=":", linewidth=1.2)
