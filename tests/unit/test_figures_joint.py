"""The figures of notebook 06 show what they were given."""

import pandas
import pytest

from bift_utils.labs.joint_training import figures as joint


def dashed(axes, style="--"):
    return [line for line in axes.lines if line.get_linestyle() == style]


def test_weights_have_a_dot_a_seed_a_line_of_means_and_a_dashed_optimum():
    runs = pandas.DataFrame({"mlm_weight": [0.0, 0.0, 0.5, 0.5], "KL": [1.0, 3.0, 0.5, 0.7]})
    figure = joint.plot_weights(runs, {"KL": "task"}, "finding")
    (axes,) = figure.axes
    dots = [sorted(line.get_ydata()) for line in axes.lines if line.get_marker() == "o"]
    assert dots == [[1.0, 3.0], [0.5, 0.7]]
    (means,) = [line for line in axes.lines if line.get_marker() == "_"]
    assert list(means.get_ydata()) == pytest.approx([2.0, 0.6])
    (exact,) = dashed(axes)
    assert list(exact.get_ydata()) == [0.0, 0.0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.5"]
    assert axes.get_ylim()[0] <= 0


def test_methods_are_rows_with_both_lines():
    results = {"a": [1.0, 2.0, 6.0], "b": [3.0, 5.0, 7.0]}
    figure = joint.plot_methods(
        results, "finding", "nats", 0.5, ("λ = 0", 1.5), {"a": "task", "b": "joint"}
    )
    (axes,) = figure.axes
    rows = [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "o"]
    assert rows == list(results.values())
    bars = [line.get_xdata()[0] for line in dashed(axes, "-") if line.get_marker() == "None"]
    assert bars == [3.0, 5.0]  # the means
    assert [line.get_xdata()[0] for line in dashed(axes)] == [0.5]
    assert [line.get_xdata()[0] for line in dashed(axes, ":")] == [1.5]
    assert axes.yaxis_inverted()


def intervals(*panels):
    """Two λ a panel, as `evaluation.compare` returns them."""
    index = pandas.MultiIndex.from_product([panels, [0.0, 0.5]])
    rows = [(0.0, 0.0, 0.0), (-1.0, -3.0, 1.0)] * len(panels)
    return pandas.DataFrame(rows, index=index, columns=["mean", "low", "high"])


def test_the_axis_of_weights_is_true_to_scale_and_names_the_precedents():
    colours = {"points": "task", "b": "mlm"}
    figure = joint.plot_weight_axis(intervals("points", "b"), colours, "f")
    axes = figure.axes[0]
    drawn = axes.containers[0]
    assert list(drawn.lines[0].get_xdata()) == [0.0, 0.5]
    (segments,) = drawn.lines[2]
    assert segments.get_segments()[1].tolist() == [[0.5, -3.0], [0.5, 1.0]]
    assert set(joint.PRECEDENTS) <= {text.get_text() for text in axes.texts}
    bands = [(band.get_x(), band.get_x() + band.get_width()) for band in axes.patches]
    for band, ends in zip(bands, joint.PRECEDENTS.values(), strict=True):
        assert band == pytest.approx(ends, abs=0.003)
    assert len(dashed(axes, ":")) == 1


def test_precedents_are_normalised_weights():
    assert joint.PRECEDENTS["GPT-1"][0] == pytest.approx(0.5 / 1.5, abs=1e-3)
    assert joint.PRECEDENTS["TLM"][0] == pytest.approx(20 / 21, abs=1e-3)
    assert joint.PRECEDENTS["He et al."][0] == pytest.approx(0.3 / 1.3, abs=1e-3)


def test_cosines_stand_on_a_fixed_scale():
    tables = {"before": [0.1, 0.3], "after": [0.0]}
    tables = {name: pandas.DataFrame({"layer 1": values}) for name, values in tables.items()}
    figure = joint.plot_cosines(tables, "f")
    (axes,) = figure.axes
    assert axes.get_ylim() == (-1, 1)
    means = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "_"]
    assert means == pytest.approx([0.2, 0.0])


def test_a_panel_has_its_own_dotted_line():
    runs = pandas.DataFrame({"mlm_weight": [0.0], "class": [1.0], "blank": [1.0]})
    colours = {"class": "task", "blank": "mlm"}
    figure = joint.plot_weights(runs, colours, "f", baselines={"blank": ("word counts", 0.3)})
    first, second = figure.axes
    assert not dashed(first, ":")
    assert [line.get_ydata()[0] for line in dashed(second, ":")] == [0.3]
    assert "word counts" in [text.get_text() for text in second.texts]
