"""The figures of notebook 07 show what they were given."""

import pandas
import pytest

from bift_utils.labs.does_it_help import figures as evidence


def lines(axes, style):
    return [line for line in axes.lines if line.get_linestyle() == style]


def points(panel, method, means, reach=1.0):
    """Rows of the table of `plot_methods`: one for each number of labels."""
    return [
        {"panel": panel, "method": method, "place": n, "mean": m, "low": m - reach, "high": m + 2}
        for n, m in means.items()
    ]


def test_curves_by_size_have_intervals_and_dotted_baselines():
    means = {32: 50.0, 128: 60.0}
    rows = [row for name in ("plain", "joint") for row in points("accuracy (%)", name, means, 5.0)]
    rows += points("accuracy (%)", "NBSVM", {32: 52.0, 128: 61.0}) + points("loss", "plain", means)
    figure = evidence.plot_methods(
        pandas.DataFrame(rows), "finding", dotted=("NBSVM",), heights={"majority": 50.0}
    )
    first, second = figure.axes
    assert first.get_xscale() == "log" and first.get_ylabel() == "accuracy (%)"
    drawn = [container for container in first.containers]
    assert [container.get_label() for container in drawn] == ["plain", "joint"]
    (bars,) = drawn[0].lines[2]
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert ends == [[45.0, 52.0], [55.0, 62.0]]
    dotted = {line.get_label(): list(line.get_ydata()) for line in lines(first, ":")}
    assert dotted == {"NBSVM": [52.0, 61.0], "majority": [50.0, 50.0]}
    assert [line.get_label() for line in lines(second, ":")] == ["majority"]
    assert [text.get_text() for text in first.get_xticklabels()] == ["32", "128"]


def test_panels_of_other_methods_have_their_own_legends_and_may_share_a_scale():
    rows = points("a (points)", "one", {32: 0.0, 128: 0.0})
    rows += points("b (points)", "two", {32: 9.0, 128: 9.0})
    table, zero = pandas.DataFrame(rows), {"no difference": 0.0}
    figure = evidence.plot_methods(table, "finding", heights=zero, one_scale="points")
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["a (points)", "b (points)"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["points", ""]
    assert first.get_ylim() == second.get_ylim() and not figure.legends
    names = [text.get_text() for axes in figure.axes for text in axes.get_legend().get_texts()]
    assert sorted(names) == ["no difference", "no difference", "one", "two"]
    alike = evidence.plot_methods(table.assign(method="one"), "finding")
    assert len(alike.legends) == 1 and alike.axes[0].get_legend() is None


def test_differences_have_a_row_each_and_a_dotted_zero():
    intervals = {"mean": [1.0, 0.0], "low": [-0.5, -1.0], "high": [2.5, 1.0]}
    comparisons = pandas.DataFrame(intervals, index=["a", "b"])
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
    label = [(0, 0.0, 0.5), (0, 0.0, 0.7), (0, 0.9, 0.2), (0, 0.9, 0.4)]
    label += [(9, 0.0, 0.5), (9, 0.0, 0.7), (9, 0.9, 0.1)]
    rows = [("label", *run) for run in label] + [("blank", 0, 0.5, 1.0), ("blank", 9, 0.5, 0.5)]
    table = pandas.DataFrame(rows, columns=["head", "unlabelled", "mlm_weight", "loss"])
    table = pandas.concat([table.assign(labelled=n) for n in (32, 64)])
    ylabels, floors = {"label": "nats", "blank": "nats a blank"}, {"label": 0.1, "blank": 0.4}
    figure = evidence.plot_exact(table, "finding", ylabels, floors)
    label, _, asked, _ = figure.axes
    assert [line.get_ydata()[0] for line in lines(label, "--")] == [0.1]
    assert [line.get_ydata()[0] for line in lines(label, ":")] == [pytest.approx(0.6)]
    assert list(label.lines[0].get_ydata()) == pytest.approx([0.6, 0.3])
    assert [line.get_ydata()[0] for line in lines(asked, "--")] == [0.4]
    assert not lines(asked, ":")
    assert asked.get_ylabel() == "nats a blank" and asked.get_xlabel() == "λ"
    band = label.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.2) and band[:, 1].max() == pytest.approx(0.7)
