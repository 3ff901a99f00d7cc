"""The figure of notebook 05: which words speak for a class."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bift_utils.plotting.figures import COLOURS, WIDTH


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
        axes.barh(row, value, color=COLOURS["neutral" if value > 0 else "light"])
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
