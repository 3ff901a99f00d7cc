import numpy
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from matplotlib.figure import Figure

from bift_utils.figure_text import figure_text
from bift_utils.plotting import plot_curves, plot_seeds, plt, use_series_style


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_what_is_dashed_has_numbers_and_what_is_measured_none():
    figure = plot_curves(
        {"run": ([1, 2], [0.71234, 0.5])}, "title", "update", "loss",
        baselines={"before": 0.71234}, optima={"least": 0.34567},
    )  # fmt: skip
    assert figure_text(figure) == (
        "Panel 1: update × loss; solid line ×1; dotted line ×1; dashed at y = 0.346"
    )


def test_a_row_a_panel(axes):
    axes.figure.add_axes((0, 0, 1, 1)).set_ylabel("loss\n(nats)")
    assert figure_text(axes.figure).splitlines() == ["Panel 1: no labels", "Panel 2: loss (nats)"]
    assert figure_text(Figure()) == "An empty figure"


def test_dots_bars_tables_and_pictures_are_counted(axes):
    axes.bar(["a", "b"], [1, 2])
    axes.pcolormesh(numpy.eye(2))
    axes.imshow(numpy.eye(2))
    assert figure_text(axes.figure) == "Panel 1: no labels; shape ×2; collection ×1; image ×1"
    figure = plot_seeds({"joint": [1, 2]}, {"joint": (1.5, 1, 2)}, "title", "points")
    assert figure_text(figure).startswith("Panel 1: points; row of points ×")


def test_where_a_dashed_line_lies(axes):
    axes.axvline(-0.0, linestyle="--")
    axes.axhline(1e-17, linestyle="dashed")
    axes.plot([0, 0.5, 1], [0.2, 0.4, 0.81], "--")
    assert figure_text(axes.figure).split("; ")[1:] == [
        "dashed at x = 0", "dashed at y = 0", "dashed from (0, 0.2) to (1, 0.81)",
    ]  # fmt: skip


def test_each_kind_of_line_is_counted(axes):
    for style in ("-", ":", ":", "-."):
        axes.plot([0, 1], [0, 1], style)
    kinds = "solid line ×1; dotted line ×2; dash-dotted line ×1"
    assert figure_text(axes.figure) == f"Panel 1: no labels; {kinds}"


def test_a_dashed_line_over_names(axes):
    axes.plot(["a", "b"], [0.5, 0.5], "--")
    axes.plot(["a", "b"], [0.5, 0.6], "--")
    assert figure_text(axes.figure).endswith("dashed at y = 0.5; dashed from (0, 0.5) to (1, 0.6)")


def test_a_notebook_keeps_the_text_beside_the_picture(axes):
    shell = InteractiveShell()
    use_series_style()
    select_figure_formats(shell, {"png"})  # as the backend does when the first picture is drawn
    axes.set_xlabel("λ")
    data, _ = shell.display_formatter.format(axes.figure)
    assert data["text/plain"] == "Panel 1: λ" and "image/png" in data
