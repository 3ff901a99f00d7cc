"""Figures of classifiers: what speaks for a class, what is confused, how sure is right."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bift_utils.plotting.figures import COLOURS, HEIGHT, WIDTH


def plot_ratios(ratios: Mapping[str, float], title: str, xlabel: str) -> Figure:
    """Draw signed values as bars from zero, each bar named on the other side of the line.

    Args:
        ratios: name to value, first on top.
        title: the finding.
        xlabel: quantity and unit.

    Introduced in notebook 05.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.24 * len(ratios)))
    for row, (name, value) in enumerate(ratios.items()):
        axes.barh(row, value, color=COLOURS["task" if value > 0 else "mlm"])
        side = -1 if value > 0 else 1
        axes.text(
            0.06 * side, row, name, ha="right" if side < 0 else "left", va="center", fontsize=9,
            parse_math=False,
        )  # fmt: skip
    axes.axvline(0, color=COLOURS["neutral"], linewidth=1)
    axes.set(title=title, xlabel=xlabel, yticks=[])
    axes.spines["left"].set_visible(False)
    axes.invert_yaxis()
    return figure


def plot_class_scores(
    scores: Mapping[str, Sequence[float]],
    classes: Sequence[str],
    title: str,
    ylabel: str,
    colours: Mapping[str, str],
) -> Figure:
    """Draw grouped bars: a group a class, a bar a method, each with its height.

    Args:
        scores: method to one number a class.
        classes: names of the groups.
        title: the finding.
        ylabel: quantity and unit.
        colours: method to a key of `COLOURS`.

    Introduced in notebook 05.
    """
    figure, axes = plt.subplots(figsize=(WIDTH + 0.8, HEIGHT))
    width = 0.84 / len(scores)
    hatches = ("", "//", "..", "xx", "\\\\")
    for i, (name, heights) in enumerate(scores.items()):
        places = [group + (i - (len(scores) - 1) / 2) * width for group in range(len(classes))]
        bars = axes.bar(
            places, heights, width, label=name, color=COLOURS[colours[name]], hatch=hatches[i % 5],
            edgecolor="white",
        )  # fmt: skip
        axes.bar_label(bars, labels=[f"{height:.2f}" for height in heights], fontsize=8)
    axes.set_xticks(range(len(classes)), classes)
    axes.set(ylabel=ylabel, ylim=(0, 1.05))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(scores), fontsize=8)
    axes.set_title(title)
    return figure
