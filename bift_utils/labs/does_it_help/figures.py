"""Figures of notebook 07: learning curves, differences with intervals, and distance from exact."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bift_utils.plotting.figures import COLOURS, HEIGHT, WIDTH

Interval = tuple[float, float, float]  # mean, low, high
LOOKS = (("task", "o"), ("joint", "D"), ("mlm", "s"), ("other", "^"), ("neutral", "v"))


def _sides(intervals: Sequence[Interval]) -> list[list[float]]:
    return [
        [mean - low for mean, low, _ in intervals],
        [high - mean for mean, _, high in intervals],
    ]


def _label_axis(axes, sizes: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(list(sizes), [f"{n:,}" for n in sizes])
    axes.minorticks_off()
    axes.set(xlabel="labelled sentences (log scale)")


def _head(figure: Figure, title: str) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")


def _legends(figure: Figure, all_axes: Sequence) -> None:
    """Explain the looks once for the figure where all panels have the same, else panel by panel."""
    handles, names = all_axes[0].get_legend_handles_labels()
    if all(axes.get_legend_handles_labels()[1] == names for axes in all_axes):
        columns = min(4, len(names))
        figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9)
        return
    for axes in all_axes:
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=1)


def plot_by_size(
    panels: Mapping[str, Mapping[str, Mapping[int, Interval]]],
    title: str,
    baselines: Mapping[str, Mapping[str, float | Mapping[int, float]]] | None = None,
    one_scale: str = "",
) -> Figure:
    """Draw methods against the number of labels, with intervals, a panel a measure.

    Panels with the same methods share a legend below; panels with others have one each.

    Args:
        panels: label of the vertical axis to method to number of labels to (mean, low, high).
        title: the finding.
        baselines: label of a panel to name to what is drawn as a dotted line: a height, or a
            height for each number of labels.
        one_scale: label of the vertical axis, where the panels share it; theirs become titles.

    Introduced in notebook 07.
    """
    figure, all_axes = plt.subplots(
        1, len(panels), figsize=(WIDTH + 1.2 * len(panels) - 0.4, HEIGHT + bool(one_scale)),
        squeeze=False, sharey=bool(one_scale),
    )  # fmt: skip
    for axes, (label, methods) in zip(all_axes[0], panels.items(), strict=True):
        places = sorted({size for curve in methods.values() for size in curve})
        for i, (name, curve) in enumerate(methods.items()):
            colour, mark = LOOKS[i % len(LOOKS)]
            shift = 1 + 0.07 * (i - (len(methods) - 1) / 2)  # side by side on the log axis
            axes.errorbar(
                [size * shift for size in curve], [interval[0] for interval in curve.values()],
                yerr=_sides(list(curve.values())), fmt=f"{mark}-", color=COLOURS[colour],
                capsize=3, markersize=5, linewidth=1.2, label=name,
            )  # fmt: skip
        for name, height in (baselines or {}).get(label, {}).items():
            heights = height if isinstance(height, Mapping) else dict.fromkeys(places, height)
            axes.plot(
                list(heights), list(heights.values()), ":", color=COLOURS["neutral"],
                marker="x" if isinstance(height, Mapping) else None, label=name,
            )  # fmt: skip
        _label_axis(axes, places)
        if one_scale:
            axes.set_title(label, fontsize=9, fontweight="normal", loc="center")
        else:
            axes.set(ylabel=label)
    if one_scale:
        all_axes[0, 0].set(ylabel=one_scale)
    _legends(figure, list(all_axes[0]))
    _head(figure, title)
    return figure


def plot_differences(
    comparisons: Mapping[str, Interval],
    title: str,
    xlabel: str,
    baseline: str,
    dots: Mapping[str, Sequence[float]],
) -> Figure:
    """Draw a row a comparison: a diamond at the mean, whiskers, and a dotted line at zero.

    Args:
        comparisons: name to (mean, low, high).
        title: the finding.
        xlabel: quantity and unit.
        baseline: what zero stands for.
        dots: name to one number a seed, drawn small.

    Introduced in notebook 07.
    """
    count, colour = len(comparisons), COLOURS["joint"]
    figure, axes = plt.subplots(figsize=(WIDTH + 0.5, 1.4 + 0.4 * count))
    axes.axvline(0.0, color=COLOURS["neutral"], linestyle=":", linewidth=1.2)
    for place, (name, interval) in enumerate(comparisons.items()):
        heights = [place + 0.22] * len(dots[name])
        axes.plot(dots[name], heights, "o", color=colour, alpha=0.4, markersize=4)
        axes.errorbar(
            interval[0], place - 0.06, xerr=_sides([interval]), fmt="D", color=colour, capsize=3,
            markersize=5,
        )  # fmt: skip
    axes.set_yticks(range(count), list(comparisons))
    axes.set_ylim(count - 0.5, -0.5)
    axes.set(xlabel=f"{xlabel}; dotted: {baseline}")
    _head(figure, title)
    return figure


def plot_exact(
    panels: Mapping[str, Mapping[str, Mapping[str, Mapping[float, Sequence[float]]]]],
    title: str,
    ylabels: Mapping[str, str],
    floors: Mapping[str, float],
) -> Figure:
    """Draw the losses of both heads against λ, a row a head and a column a number of labels.

    A dashed line is the exact floor: no model has a lower expected loss. A dotted one is λ = 0.

    Args:
        panels: head to column to name of a curve to λ to one number a seed.
        title: the finding.
        ylabels: head to quantity and unit.
        floors: head to the height of its dashed line.

    Introduced in notebook 07.
    """
    columns = list(next(iter(panels.values())))
    figure, all_axes = plt.subplots(
        len(panels), len(columns), figsize=(WIDTH + 1.6, 0.9 + 2.2 * len(panels)), sharey="row",
        sharex=True, squeeze=False,
    )  # fmt: skip
    for row, (head, by_column) in zip(all_axes, panels.items(), strict=True):
        for axes, curves in zip(row, by_column.values(), strict=True):
            _draw_axis(axes, curves)
            axes.axhline(floors[head], color=COLOURS["neutral"], linestyle="--", linewidth=1.2)
        row[0].set(ylabel=ylabels[head])
    for axes, column in zip(all_axes[0], columns, strict=True):
        axes.set_title(column, fontsize=9, fontweight="normal", loc="center")
    for axes in all_axes[-1]:
        axes.set(xlabel="λ")
    handles, names = all_axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=9)
    _head(figure, title)
    return figure


def _draw_axis(axes, curves: Mapping[str, Mapping[float, Sequence[float]]]) -> None:
    """Draw means and the range of seeds, a look a curve; dotted: the first curve at λ = 0."""
    for (name, runs), (colour, mark) in zip(curves.items(), LOOKS, strict=False):
        means = [sum(values) / len(values) for values in runs.values()]
        low, high = ([pick(values) for values in runs.values()] for pick in (min, max))
        axes.fill_between(list(runs), low, high, color=COLOURS[colour], alpha=0.12, linewidth=0)
        axes.plot(list(runs), means, marker=mark, color=COLOURS[colour], markersize=4, label=name)
    start = next(iter(curves.values())).get(0.0)
    if start:
        height = sum(start) / len(start)
        axes.axhline(height, color=COLOURS["neutral"], linestyle=":", linewidth=1.2)
