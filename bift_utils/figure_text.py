"""A figure as text: what stands in place of the picture where none can be shown or compared.

Notebooks keep this text beside each picture, and nbval compares it, which it cannot do with
pictures. So it names the parts, and gives numbers only for what is drawn dashed, by the series'
convention an exact optimum: measured numbers differ a little from machine to machine.
"""

from collections import Counter

from matplotlib.figure import Figure

STYLES = {
    "-": "solid line",
    ":": "dotted line",
    "-.": "dash-dotted line",
    "None": "row of points",
}


def figure_text(figure: Figure) -> str:
    """Return a figure as text, one line a panel: labels of the axes, and what is drawn."""
    panels = [_panel_text(axes) for axes in figure.axes]
    return "\n".join(f"Panel {i}: {text}" for i, text in enumerate(panels, 1)) or "An empty figure"


def show_text_beside_figures() -> None:
    """Let notebooks keep `figure_text` beside each picture."""
    # IPython's own protocol; a printer registered for the class is removed by the first picture
    Figure._repr_pretty_ = lambda figure, page, _cycle: page.text(figure_text(figure))


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
    return "; ".join([" × ".join(filter(None, labels)) or "no labels", *parts, *dashed])


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
