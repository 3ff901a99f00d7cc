"""The figures of notebook 07 show what they were given."""

import matplotlib.pyplot as plt
import pytest

from bift_utils.labs.does_it_help import figures as evidence


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def lines(axes, style):
    return [line for line in axes.lines if line.get_linestyle() == style]


def test_curves_by_size_have_intervals_and_dotted_baselines():
    curve = {32: (50.0, 45.0, 56.0), 128: (60.0, 58.0, 62.0)}
    panels = {"accuracy (%)": {"plain": curve, "joint": curve}, "loss": {"plain": curve}}
    figure = evidence.plot_by_size(
        panels, "finding", {"accuracy (%)": {"NBSVM": {32: 52.0, 128: 61.0}, "majority": 50.0}}
    )
    first, second = figure.axes
    assert first.get_xscale() == "log" and first.get_ylabel() == "accuracy (%)"
    drawn = [container for container in first.containers]
    assert [container.get_label() for container in drawn] == ["plain", "joint"]
    (bars,) = drawn[0].lines[2]
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert ends == [[45.0, 56.0], [58.0, 62.0]]
    dotted = {line.get_label(): list(line.get_ydata()) for line in lines(first, ":")}
    assert dotted == {"NBSVM": [52.0, 61.0], "majority": [50.0, 50.0]}
    assert not lines(second, ":")
    assert [text.get_text() for text in first.get_xticklabels()] == ["32", "128"]


def test_panels_of_other_methods_have_their_own_legends_and_may_share_a_scale():
    def curve(mean):
        return {32: (mean, mean - 1.0, mean + 1.0), 128: (mean, mean - 1.0, mean + 1.0)}

    panels = {"a (points)": {"one": curve(0.0)}, "b (points)": {"two": curve(9.0)}}
    zero = {label: {"no difference": 0.0} for label in panels}
    figure = evidence.plot_by_size(panels, "finding", zero, one_scale="points")
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == list(panels)
    assert [axes.get_ylabel() for axes in figure.axes] == ["points", ""]
    assert first.get_ylim() == second.get_ylim() and not figure.legends
    names = [text.get_text() for axes in figure.axes for text in axes.get_legend().get_texts()]
    assert sorted(names) == ["no difference", "no difference", "one", "two"]
    alike = evidence.plot_by_size({"a": {"one": curve(0.0)}, "b": {"one": curve(9.0)}}, "finding")
    assert len(alike.legends) == 1 and alike.axes[0].get_legend() is None


def test_differences_have_a_row_each_and_a_dotted_zero():
    comparisons = {"a": (1.0, -0.5, 2.5), "b": (0.0, -1.0, 1.0)}
    dots = {"a": [0.0, 2.0], "b": [-0.5, 0.5]}
    figure = evidence.plot_differences(comparisons, "finding", "points", "plain", dots)
    (axes,) = figure.axes
    assert [line.get_xdata()[0] for line in lines(axes, ":")] == [0.0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]
    assert axes.yaxis_inverted() and axes.get_xlabel() == "points; dotted: plain"
    means = [float(c.lines[0].get_xdata()[0]) for c in axes.containers]
    assert means == [1.0, 0.0]
    (bars,) = axes.containers[0].lines[2]
    assert bars.get_segments()[0][:, 0].tolist() == [-0.5, 2.5]
    shown = [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "o"]
    assert shown == list(dots.values())


def test_the_exact_floor_is_dashed_and_lambda_zero_dotted():
    curves = {"0 more": {0.0: [0.5, 0.7], 0.9: [0.2, 0.4]}, "9 more": {0.0: [0.5, 0.7], 0.9: [0.1]}}
    blank = {"0 more": {0.5: [1.0]}, "9 more": {0.5: [0.5]}}
    figure = evidence.plot_exact(
        {"label": {"32": curves, "64": curves}, "blank": {"32": blank, "64": blank}},
        "finding", {"label": "nats", "blank": "nats a blank"}, {"label": 0.1, "blank": 0.4},
    )  # fmt: skip
    label, _, asked, _ = figure.axes
    assert [line.get_ydata()[0] for line in lines(label, "--")] == [0.1]
    assert [line.get_ydata()[0] for line in lines(label, ":")] == [pytest.approx(0.6)]
    assert list(label.lines[0].get_ydata()) == pytest.approx([0.6, 0.3])
    assert [line.get_ydata()[0] for line in lines(asked, "--")] == [0.4]
    assert not lines(asked, ":")
    assert asked.get_ylabel() == "nats a blank" and asked.get_xlabel() == "λ"
    band = label.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.2) and band[:, 1].max() == pytest.approx(0.7)
