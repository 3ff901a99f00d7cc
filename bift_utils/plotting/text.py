"""A figure as text: what stands in place of the picture where none can be shown or compared.

Notebooks keep this text beside each picture, and nbval compares it, which it cannot do with
pictures. So it names the parts and the longest bar, and gives numbers only for what is set by hand
or exact: shades, solid upright rules, and what is drawn dashed, by the series' convention an exact
optimum. Measured numbers differ a little from machine to machine.
"""

import sys
from collections import Counter
from itertools import pairwise

import matplotlib
import numpy
from matplotlib.backends import BackendFilter, backend_registry
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

STYLES = {
    "-": "solid line",
    ":": "dotted line",
    "-.": "dash-dotted line",
    "None": "row of points",
}
LEAD = 0.05  # a bar is called the longest if it leads by this share: then it does so everywhere


def figure_text(figure: Figure) -> str:
    """Return a figure as text, one line a panel: labels of the axes, and what is drawn."""
    panels = [_panel_text(axes) for axes in figure.axes]
    return "\n".join(f"Panel {i}: {text}" for i, text in enumerate(panels, 1)) or "An empty figure"


def show_text_beside_figures() -> None:
    """Let notebooks keep `figure_text` beside each picture."""
    # IPython's own protocol; a printer registered for the class is removed by the first picture
    Figure._repr_pretty_ = (  # type: ignore[attr-defined]
        lambda figure, page, _cycle: page.text(figure_text(figure))
    )


def show_figures_in_notebooks() -> None:
    """Let a notebook show its figures although MPLBACKEND asks for a backend that shows none.

    `MPLBACKEND=agg` is common on servers; with it every figure would be missing without a word.
    """
    if "IPython" not in sys.modules:
        return
    shell = sys.modules["IPython"].get_ipython()
    silent = backend_registry.list_builtin(BackendFilter.NON_INTERACTIVE)
    if hasattr(shell, "kernel") and matplotlib.get_backend().lower() in silent:
        shell.enable_matplotlib("inline")


def _panel_text(axes) -> str:
    labels = [" ".join(label.split()) for label in (axes.get_xlabel(), axes.get_ylabel())]
    dashed = [_course(line) for line in axes.lines if line.get_linestyle() == "--"]
    others = Counter(STYLES.get(line.get_linestyle()) for line in axes.lines)
    counts = {
        **{name: others[name] for name in STYLES.values()},
        "shape": len(axes.patches),
        "collection": len(axes.collections),
        "image": len(axes.images),
    }
    parts = [f"{name} ×{number}" for name, number in counts.items() if number]
    parts += [*_longest_bar(axes), *_stack(axes), *_shades(axes), *_rules(axes), *dashed]
    return "; ".join([" × ".join(filter(None, labels)) or "no labels", *parts])


def _longest_bar(axes) -> list[str]:
    """Return the name of the bar that clearly leads, where there is one row of named bars."""
    rows = [bars for bars in axes.containers if isinstance(bars, BarContainer) and len(bars) > 1]
    if len(rows) != 1:
        return []
    across = rows[0].orientation == "horizontal"
    sizes = [abs(size) for size in numpy.asarray(rows[0].datavalues, dtype=float)]
    first, second = sorted(range(len(sizes)), key=sizes.__getitem__)[:-3:-1]
    if sizes[second] >= (1 - LEAD) * sizes[first]:
        return []
    bar, axis = rows[0][first], axes.yaxis if across else axes.xaxis
    middle = bar.get_y() + bar.get_height() / 2 if across else bar.get_x() + bar.get_width() / 2
    names = dict(zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True))
    name = names[min(names, key=lambda place: abs(place - middle))].get_text() if names else ""
    return [f"longest bar: {' '.join(name.split())}"] if name else []


def _stack(axes) -> list[str]:
    """Return where bars end that are laid end to end, if that is 1: the parts of a whole."""
    bars = [bar for bars in axes.containers if isinstance(bars, BarContainer) for bar in bars]
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
    chained = all(abs(last[1] - next_[0]) < 1e-9 for last, next_ in pairwise(ends))
    whole = len(ends) > 1 and chained and abs(ends[-1][1] - 1.0) < 1e-6
    return ["stacked to 1"] if whole else []


def _shades(axes) -> list[str]:
    """Return where bands of the x axis are shaded from bottom to top."""
    upright = axes.get_xaxis_transform(which="grid")
    boxes = [shape for shape in axes.patches if isinstance(shape, Rectangle)]
    shades = [box for box in boxes if box.get_data_transform() is upright]
    ends = [(shade.get_x(), shade.get_x() + shade.get_width()) for shade in shades]
    return [f"shaded from x = {_digits(low)} to {_digits(high)}" for low, high in ends]


def _rules(axes) -> list[str]:
    """Return where solid rules go from bottom to top."""
    upright = axes.get_xaxis_transform(which="grid")
    rules = [line for line in axes.lines if line.get_transform() is upright]
    solid = [line.get_xdata(orig=False)[0] for line in rules if line.get_linestyle() == "-"]
    return [f"rule at x = {_digits(place)}" for place in solid]


def _course(line) -> str:
    """Return where a dashed line lies, to three digits."""
    x, y = line.get_xdata(orig=False), line.get_ydata(orig=False)
    if len(set(y)) == 1:
        return f"dashed at y = {_digits(y[0])}"
    if len(set(x)) == 1:
        return f"dashed at x = {_digits(x[0])}"
    ends = (f"({_digits(x[i])}, {_digits(y[i])})" for i in (0, -1))
    return f"dashed from {' to '.join(ends)}"


def _digits(number: float) -> str:
    return f"{round(float(number), 9) + 0.0:.3g}"  # neither 1e-17 nor -0
