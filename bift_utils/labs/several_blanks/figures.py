"""Figures of notebook 03b: tables of word pairs, as shades with their numbers."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from bift_utils.plotting.figures import COLOURS, WIDTH, headline


def plot_pairs(
    words: Sequence[str], panels: Mapping[str, Tensor], title: str, rows: str, columns: str
) -> Figure:
    """Draw tables of pairs side by side, on one scale: the darker, the more probable.

    A number is per cent; a pair that is impossible has none, one that is rare says so by 0.

    Args:
        words: the V candidates of either blank.
        panels: name of a panel to P(row word, column word), (V, V).
        title: the finding.
        rows, columns: what the rows and the columns are.

    Introduced in notebook 03b.
    """
    shades = LinearSegmentedColormap.from_list("pairs", ["white", COLOURS["mlm"]])
    most = max(float(table.max()) for table in panels.values())
    size = len(words)
    figure, all_axes = plt.subplots(
        1, len(panels), figsize=(WIDTH + 1.6, 4.2), sharey=True, squeeze=False
    )
    for axes, (name, table) in zip(all_axes[0], panels.items(), strict=True):
        axes.imshow(table.tolist(), cmap=shades, vmin=0.0, vmax=most)
        for i in range(size):
            for j in range(size):
                value = float(table[i, j])
                colour = "white" if value > 0.6 * most else "black"
                style = {"ha": "center", "va": "center", "fontsize": 7, "color": colour}
                axes.text(j, i, f"{100 * value:.0f}" if value > 0 else "", **style)
        axes.set_xticks(range(size), words, rotation=60)
        axes.set_yticks(range(size), words)
        axes.tick_params(length=0)
        axes.set_title(name, fontsize=9, fontweight="normal")
        axes.set_xlabel(columns)
    all_axes[0][0].set_ylabel(rows)
    headline(figure, title)
    return figure
