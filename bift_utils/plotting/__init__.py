"""Figures in one style, and a figure as text."""

from bift_utils.plotting.figures import (
    COLOURS,
    HEIGHT,
    WIDTH,
    plot_bars,
    plot_confusion,
    plot_curves,
    plot_history,
    plot_reliability,
    plot_scatter,
    plot_seeds,
    use_series_style,
)
from bift_utils.plotting.text import LEAD, STYLES, figure_text, show_text_beside_figures

__all__ = [
    "COLOURS",
    "HEIGHT",
    "LEAD",
    "STYLES",
    "WIDTH",
    "figure_text",
    "plot_bars",
    "plot_confusion",
    "plot_curves",
    "plot_history",
    "plot_reliability",
    "plot_scatter",
    "plot_seeds",
    "show_text_beside_figures",
    "use_series_style",
]
