"""Figures of notebook 05b: scores of methods, class by class."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bift_utils.plotting.figures import COLOURS, HEIGHT, WIDTH


def plot_class_scores(
    scores: Mapping[str, Sequence[float]],
    classes: Sequence[str],
    title: str,
    ylabel: str,
    colours: Mapping[str, str],
) -> Figure:
    """Draw grouped bars: a group a class of words, a bar a method, each with its height.

    Args:
        scores: method to one number a class, from 0 to 1.
        classes: names of the groups.
        title: the finding or the question.
        ylabel: quantity and unit.
        colours: method to a key of `COLOURS`.

    Introduced in notebook 05b.
    """
    figure, axes = plt.subplots(figsize=(WIDTH + 0.8, HEIGHT))
    width = 0.84 / len(scores)
    for i, (name, heights) in enumerate(scores.items()):
        places = [group + (i - (len(scores) - 1) / 2) * width for group in range(len(classes))]
        bars = axes.bar(
            places, heights, width, label=name, color=COLOURS[colours[name]], edgecolor="white",
        )  # fmt: skip
        axes.bar_label(bars, labels=[f"{height:.2f}" for height in heights], fontsize=8)
    axes.set_xticks(range(len(classes)), classes)
    axes.set(ylabel=ylabel, ylim=(0, 1.05))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(scores), fontsize=8)
    axes.set_title(title)
    return figure
