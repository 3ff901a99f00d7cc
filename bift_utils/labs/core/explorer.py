"""What the explorers share: how controls look, and a figure that is redrawn in place.

They work with ipywidgets 7.7 and 8. What changes is a figure that is drawn when the cell runs, so
a page without a kernel shows its first state, and the line of text that belongs to it.
"""

import html
from typing import Self

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import HTML, display
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

PAST = "This figure belongs to the text before."


def control_options(label_width: str = "110px") -> dict:
    """Return what all controls have in common: width of labels, width, one event a move."""
    return {
        "style": {"description_width": label_width},
        "layout": ipywidgets.Layout(width="95%", max_width="620px"),
        "continuous_update": False,
    }


class Explorer:
    """Controls, a line of text and one figure.

    A subclass makes its controls in `__init__`, passes them to `watch`, and draws in `update`,
    which returns a figure, or None after `say` has said why there is none. Then the figure before
    is greyed, so that nobody takes it for the answer.
    """

    def __init__(self):
        self.controls, self.handle, self.said = [], None, ""
        self.figure: Figure | None = None  # the last one that was drawn
        self.status = ipywidgets.HTML()

    def watch(self, *controls) -> None:
        """Redraw when one of these changes; they are shown in this order."""
        self.controls.extend(controls)
        for control in controls:
            if isinstance(control, ipywidgets.Button):
                control.on_click(self.react)
            else:
                control.observe(self.react, names="value")

    def update(self) -> Figure | None:
        raise NotImplementedError

    def react(self, _change=None) -> None:
        """Draw anew and put the figure where the old one was; grey that if there is no new one."""
        figure = self.update()
        if figure is None:
            figure, self.figure = grey(self.figure), None  # once is enough
        else:
            self.figure = figure
        if figure is None:
            return
        plt.close(figure)  # shown by its display handle, not once more at the end of the cell
        if self.handle is not None:
            self.handle.update(figure)

    def say(self, text: str, measured: str = "") -> None:
        """Write the line of text; what a reader typed is shown as it is, never as HTML.

        What is `measured`, and so differs a little from machine to machine, stands at its end,
        and is left out where a notebook keeps the line.
        """
        self.said, line = text, f"{text} {measured}".strip()
        self.status.value = f"<p>{html.escape(line)}</p>"

    def show(self) -> Self:
        """Display the controls, the line of text and the first figure."""
        figure = self.update()
        box = ipywidgets.VBox([*self.controls, self.status])
        view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
        bundle = {
            "text/plain": f"Run this cell for the controls.\n{self.said}".strip(),
            "application/vnd.jupyter.widget-view+json": view,
        }
        display(bundle, raw=True)
        if figure is not None:
            plt.close(figure)
        self.figure = figure
        place = HTML("") if figure is None else figure  # a later figure needs a place too
        self.handle = display(place, display_id=True)
        return self


def grey(figure: Figure | None) -> Figure | None:
    """Lay a veil over a figure, and write on it that it is past."""
    if figure is None:
        return None
    whole: dict = {"transform": figure.transFigure, "zorder": 1000}
    figure.add_artist(Rectangle((0, 0), 1, 1, facecolor="white", alpha=0.8, **whole))
    figure.text(0.5, 0.5, PAST, ha="center", fontsize=12, color="#444444", zorder=1001)
    return figure
