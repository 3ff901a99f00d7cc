"""Figures from arrays, in one style; one colour per objective, safe for colour-blind eyes.

Every function returns the figure. Baselines are dotted lines, exact optima dashed ones.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy
from matplotlib.figure import Figure

from bift_utils.plotting.text import show_figures_in_notebooks, show_text_beside_figures


def plot_confusion(matrix, names: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix: a row a true class, a column an answer, counts and row shares.

    Args:
        matrix: (K, K) counts, array or tensor; row i holds the texts whose true class is i.
        names: one a class.
        title: the finding.

    Introduced in notebook 05.
    """
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("confusion", ["white", COLOURS["task"]])
    size = len(names)
    figure, axes = plt.subplots(figsize=(2.6 + 1.1 * size, 1.5 + 0.75 * size))
    for i in range(size):
        total = max(1, sum(int(value) for value in matrix[i]))
        for j in range(size):
            count = int(matrix[i][j])
            share = count / total
            axes.add_patch(
                plt.Rectangle((j, i), 1, 1, facecolor=shades(0.9 * share), edgecolor="white")
            )
            axes.text(j + 0.5, i + 0.5, f"{count:,}\n{share:.0%} of row", ha="center", va="center")
    axes.set(xlim=(0, size), ylim=(size, 0), xlabel="the model says", ylabel="it is")
    axes.set_xticks([i + 0.5 for i in range(size)], names)
    axes.set_yticks([i + 0.5 for i in range(size)], names)
    axes.tick_params(length=0)
    axes.set_title(title)
    return figure


def plot_reliability(
    curves: Mapping[str, tuple], title: str, xlabel: str, ylabel: str, least: int = 20,
    colours: Sequence[str] = ("mlm", "task", "joint", "other"), start: float = 0.0,
) -> Figure:  # fmt: skip
    """Draw reliability diagrams: how often an answer is right, against how sure it was.

    Args:
        curves: name to (confidence, accuracy, count), one entry a bin, as
            `evaluation.reliability_bins` returns them. A mark's area grows with its count.
        title: the finding.
        xlabel, ylabel: quantity and unit.
        least: bins with fewer answers are left out: their shares say little.
        colours: a key of `plotting.COLOURS` for each curve in turn, at most four.
        start: where the axis of confidence begins; no answer of two classes is below 0.5.

    Source: Guo et al. 2017, figure 1. Introduced in notebook 03b.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT + 0.6))
    axes.plot([start, 1], [start, 1], "--", color="black", linewidth=1.2, label="calibrated")
    markers = "osD^"
    for i, (name, (confidence, accuracy, count)) in enumerate(curves.items()):
        x, y, n = (numpy.asarray(values, dtype=float) for values in (confidence, accuracy, count))
        full, colour = n >= least, COLOURS[colours[i % 4]]
        axes.plot(x[full], y[full], color=colour, linewidth=1.0, zorder=1)
        area = 14 + 110 * n[full] / n.max()
        inside = colour if i % 2 else "white"  # hollow and solid in turn, to differ in grey
        axes.scatter(
            x[full], y[full], area, facecolors=inside, edgecolors=colour, linewidths=1.5,
            marker=markers[i % 4], label=name,
        )  # fmt: skip
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel, xlim=(start, 1.02))
    axes.set_ylim(None if start else 0.0, 1.04)
    axes.legend(loc="lower right", fontsize=9)
    return figure


# Okabe and Ito's palette: distinct for colour-blind readers, and of different lightness in grey
COLOURS = {
    "mlm": "#0072B2",
    "task": "#D55E00",
    "joint": "#009E73",
    "other": "#CC79A7",
    "neutral": "#555555",
    "light": "#C9CED6",
}
WIDTH, HEIGHT = 6.4, 3.6  # inches


def use_series_style() -> None:
    """Set the look of all figures of the series. Call once, at the top of a notebook.

    Beside each picture, the notebook then keeps what is drawn as text (`figure_text`). Pictures are
    shown even where MPLBACKEND in the environment asks for a backend that shows none.

    Introduced in notebook 00.
    """
    show_text_beside_figures()
    show_figures_in_notebooks()
    plt.rcParams.update(
        {
            "figure.figsize": (WIDTH, HEIGHT),
            "figure.dpi": 144,
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": False,
            "legend.frameon": False,
        }
    )


def plot_bars(
    values: Mapping[str, float],
    title: str,
    xlabel: str,
    colour: str = "mlm",
    highlight: str | None = None,
    limit: float | None = None,
    digits: int = 2,
    baselines: Mapping[str, float] | None = None,
) -> Figure:
    """Draw named values as horizontal bars, first on top, each with its number.

    Args:
        values: name to value.
        title: the finding.
        xlabel: quantity and unit.
        colour: key of `COLOURS`.
        highlight: name of the one bar to draw in full colour; the others turn grey.
        limit: right end of the axis; None fits the bars.
        digits: decimals of the numbers.
        baselines: name to value, drawn as vertical dotted lines.

    Introduced in notebook 00.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.34 * len(values)))
    names, numbers = list(values), list(values.values())
    colours = [COLOURS[colour] if highlight in (None, name) else COLOURS["light"] for name in names]
    bars = axes.barh(range(len(names)), numbers, color=colours)
    plate = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # no line crosses a number
    texts = [f"{number:.{digits}f}" for number in numbers]
    axes.bar_label(bars, labels=texts, padding=3, bbox=plate if baselines else None)
    axes.set(xlabel=xlabel, yticks=range(len(names)), yticklabels=names)
    axes.set_title(title, pad=18 if baselines else 6)
    axes.set_xlim(0, limit if limit is not None else 1.12 * max(numbers))
    name_verticals(axes, baselines)
    axes.invert_yaxis()
    return figure


def plot_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    xlabel: str,
    ylabel: str,
    colours: Mapping[str, str] | None = None,
    baselines: Mapping[str, float] | None = None,
    optima: Mapping[str, float] | None = None,
    baseline_names: str = "left",
) -> Figure:
    """Draw curves, named at their right end, with dotted baselines and dashed exact optima.

    Args:
        curves: name to (x values, y values).
        title: the finding.
        xlabel, ylabel: quantity and unit.
        colours: name of a curve to a key of `COLOURS`.
        baselines, optima: name to the height of a horizontal line.
        baseline_names: "left" or "right": the end of the baselines at which their names stand.

    Introduced in notebook 06.
    """
    figure, axes = plt.subplots()
    order, ends = list(COLOURS), []
    for i, (name, (x, y)) in enumerate(curves.items()):
        colour = COLOURS[(colours or {}).get(name, order[i % 4])]
        axes.plot(x, y, color=colour, marker="o" if len(x) <= 20 else None, markersize=4)
        ends.append((y[-1], x[-1], name, colour))
    for lines, style in ((baselines or {}, ":"), (optima or {}, "--")):
        side = baseline_names if style == ":" else "left"
        for name, height in lines.items():
            axes.axhline(height, color=COLOURS["neutral"], linestyle=style, linewidth=1.2)
            axes.annotate(
                name,
                (0.01 if side == "left" else 0.99, height),
                xycoords=("axes fraction", "data"),
                ha=side,
                va="bottom",
                fontsize=9,
                color=COLOURS["neutral"],
            )
    _name_curves(axes, ends)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return figure


def _name_curves(axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Write each curve's name beside its end, moved up where two would overlap."""
    low, high = axes.get_ylim()
    height = None
    for y, x, name, colour in sorted(ends):
        height = y if height is None else max(y, height + 0.07 * (high - low))
        axes.annotate(f" {name}", (x, height), color=colour, va="center", annotation_clip=False)


def plot_scatter(
    x: Sequence[float],
    y: Sequence[float],
    title: str,
    xlabel: str,
    ylabel: str,
    exact: tuple[Sequence[float], Sequence[float], str] | None = None,
    colour: str = "mlm",
) -> Figure:
    """Draw one dot a case, and where it belongs as a dashed line.

    Args:
        x, y: one number each for every dot.
        title: the finding.
        xlabel, ylabel: quantity and unit.
        exact: x and y of the dashed line, and its name.
        colour: key of `plotting.COLOURS`.

    Introduced in notebook 03.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT + 0.2))
    axes.plot(x, y, "o", color=COLOURS[colour], markersize=3, alpha=0.4, markeredgewidth=0)
    if exact is not None:
        line_x, line_y, name = exact
        axes.plot(line_x, line_y, "--", color="black", linewidth=1.3, label=name)
        axes.legend(loc="best")
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    return figure


def headline(figure: Figure, title: str, **style) -> None:
    """Write the finding above all panels of a figure."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", **style)


def name_verticals(axes, lines: Mapping[str, float] | None, style: str = ":") -> None:
    """Draw vertical lines, each with its name above: dotted for baselines, dashed for optima."""
    for name, value in (lines or {}).items():
        axes.axvline(value, color=COLOURS["neutral"], linestyle=style, linewidth=1.2)
        axes.annotate(
            name,
            (value, 1.0),
            xycoords=("data", "axes fraction"),
            fontsize=9,
            ha="center",
            va="bottom",
            color=COLOURS["neutral"],
        )


def plot_history(
    history,
    title: str,
    smooth: int = 20,
    evaluated: bool = False,
    optima: Mapping[str, float] | None = None,
) -> Figure:
    """Draw the losses of a run, a running mean over `smooth` steps, one panel an objective.

    Each panel has a scale of its own, because the two losses answer different questions: which of
    8,192 tokens, and which of two classes. Both are in nats.

    Args:
        history: a `training.History`.
        title: the finding.
        smooth: how many steps are averaged.
        evaluated: also draw the losses of the evaluations, and a line at the weights kept.
        optima: "mlm_loss" or "task_loss" to the height of a dashed line, the least possible.

    Introduced in notebook 06.
    """
    panels = [
        (name, label, colour)
        for name, label, colour in (
            ("mlm_loss", "masked-LM loss (nats a blank)", "mlm"),
            ("task_loss", "task loss (nats a sentence)", "task"),
        )
        if history.column(name)[0]
    ]
    figure, all_axes = plt.subplots(1, len(panels), figsize=(WIDTH + 1.2, HEIGHT), squeeze=False)
    for axes, (name, label, colour) in zip(all_axes[0], panels, strict=True):
        steps, values = history.column(name)
        means = [
            sum(values[max(0, i - smooth + 1) : i + 1]) / min(i + 1, smooth)
            for i in range(len(values))
        ]
        axes.plot(steps, values, color=COLOURS["light"], linewidth=0.7)
        axes.plot(steps, means, color=COLOURS[colour])
        if evaluated:
            points = history.column("loss" if name == "task_loss" else name, "evaluations")
            axes.plot(*points, "o", color=COLOURS["neutral"], markersize=5)
            name_verticals(axes, {"kept": history.best_step})
        if optima and name in optima:
            axes.axhline(optima[name], color=COLOURS["neutral"], linestyle="--", linewidth=1.2)
        axes.set(xlabel="update", ylabel=label)
    headline(figure, title)
    return figure


def plot_seeds(
    results: Mapping[str, Sequence[float]],
    intervals: Mapping[str, tuple[float, float, float]],
    title: str,
    xlabel: str,
    baselines: Mapping[str, float] | None = None,
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """Draw one dot a seed, the mean and its interval, a row a method, and dotted baselines.

    Args:
        results: method to one number a seed.
        intervals: method to (mean, low, high).
        title: the finding.
        xlabel: quantity and unit.
        baselines: name to value, drawn as vertical dotted lines.
        colours: method to a key of `COLOURS`.

    Introduced in notebook 06.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 1.3 + 0.55 * len(results)))
    for row, (name, values) in enumerate(results.items()):
        colour = COLOURS[(colours or {}).get(name, "joint")]
        mean, low, high = intervals[name]
        axes.plot(values, [row + 0.16] * len(values), "o", color=colour, alpha=0.45, markersize=5)
        axes.errorbar(
            mean, row - 0.1, xerr=[[mean - low], [high - mean]], fmt="D", color=colour, capsize=4
        )
    name_verticals(axes, baselines)
    axes.set(xlabel=xlabel, yticks=range(len(results)), yticklabels=list(results))
    axes.set_title(title, pad=18 if baselines else 6)
    axes.set_ylim(len(results) - 0.5, -0.5)
    return figure
