from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from matplotlib.figure import Figure

from bift_utils.plotting.figures import plot_bars, plot_curves, plot_seeds, use_series_style
from bift_utils.plotting.text import figure_text


@pytest.fixture
def axes():
    return plt.subplots()[1]


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
    kinds = "shape ×2; collection ×1; image ×1"
    assert figure_text(axes.figure) == f"Panel 1: no labels; {kinds}; longest bar: b"
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


def test_shades_and_rules_have_places(axes):
    axes.axvspan(0.95, 0.952)
    axes.axvline(3.0)
    axes.axvline(4.0, linestyle=":")  # a baseline may be measured
    axes.axhline(5.0)
    found = figure_text(axes.figure).split("; ")[1:]
    assert found == [
        "solid line ×2", "dotted line ×1", "shape ×1", "shaded from x = 0.95 to 0.952",
        "rule at x = 3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "sizes, longest", [((1, -3, 2), "b\nb"), ((2, 1, 0), "a"), ((0, 1, 9), "c")]
)
def test_the_longest_bar_has_a_name(axes, sizes, longest):
    names = ["a", "b\nb", "c"]
    axes.bar(names, sizes)
    expected = f"longest bar: {longest}".replace("\n", " ")
    assert figure_text(axes.figure).endswith(expected)
    assert figure_text(plot_bars(dict(zip(names, map(abs, sizes), strict=True)), "", "x")).endswith(
        expected
    )


@pytest.mark.parametrize("sizes", [(1.0, 0.96), (1.0,), (0.0, 0.0)])
def test_no_bar_is_called_the_longest_where_none_leads(axes, sizes):
    axes.bar(["a", "b"][: len(sizes)], sizes)
    assert "longest" not in figure_text(axes.figure)


def test_bars_without_names_and_stacked_bars_have_no_longest(axes):
    axes.bar([0, 1], [1, 2])
    axes.set_xticks([])
    assert "longest" not in figure_text(axes.figure)
    axes.set_xticks([0, 1], ["a", "b"])
    axes.bar([0, 1], [5, 1], bottom=[1, 2])
    assert "longest" not in figure_text(axes.figure)


def test_parts_of_a_whole_are_stacked_to_one(axes):
    for start, size in ((0.0, 0.5), (0.5, 0.0), (0.5, 0.3), (0.8, 0.2)):
        axes.barh(0, size, left=start)
    assert figure_text(axes.figure).endswith("shape ×4; stacked to 1")
    axes.barh(0, 0.1, left=1.0)
    assert "stacked" not in figure_text(axes.figure)


def test_bars_that_all_begin_at_zero_are_not_stacked(axes):
    axes.barh([0, 1], [1.0, 0.5])
    assert "stacked" not in figure_text(axes.figure)


def test_a_notebook_keeps_the_text_beside_the_picture(axes):
    shell = InteractiveShell()
    use_series_style()
    select_figure_formats(shell, {"png"})  # as the backend does when the first picture is drawn
    axes.set_xlabel("λ")
    data, _ = shell.display_formatter.format(axes.figure)
    assert data["text/plain"] == "Panel 1: λ" and "image/png" in data


@pytest.mark.parametrize("backend, expected", [("agg", ["inline"]), ("svg", ["inline"]),
                                               ("module://ipympl.backend_nbagg", [])])  # fmt: skip
def test_a_notebook_shows_figures_whatever_the_environment_says(monkeypatch, backend, expected):
    asked = []
    shell = SimpleNamespace(kernel=None, enable_matplotlib=asked.append)
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr("matplotlib.get_backend", lambda: backend)
    use_series_style()
    assert asked == expected
    del shell.kernel  # a terminal, not a notebook
    use_series_style()
    assert asked == expected
