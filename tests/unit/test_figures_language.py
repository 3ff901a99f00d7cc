"""The figures of notebook 01 draw what they are given, with the exact lines dashed."""

import pytest

from bift_utils.labs.one_way_or_two import figures as language
from bift_utils.plotting.figures import COLOURS


def lines(axes, style):
    return [line for line in axes.get_lines() if line.get_linestyle() == style]


def test_beliefs_are_bars_on_one_scale():
    figure = language.plot_beliefs({"nothing": [0.5, 0.5], "left": [0.2, 0.8]}, ["a", "b"], "Found")
    assert [bar.get_height() for bar in figure.axes[1].patches] == [0.2, 0.8]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert figure.get_suptitle() == "Found"


def test_reach_is_drawn_row_by_row():
    table = [[True, False], [True, True]]
    figure = language.plot_reach({"one": table, "two": table}, "Found")
    mesh = figure.axes[0].collections[0]
    assert mesh.get_array().reshape(2, 2).tolist() == table
    low, high = figure.axes[0].get_ylim()
    assert low > high  # first position on top


def test_each_curve_has_its_own_dashed_floor():
    curves = {"causal": ([1, 2], [2.0, 1.5]), "full": ([1, 2], [2.0, 1.0])}
    figure = language.plot_learning(curves, {"causal": 1.4, "full": 0.9}, 2.1, "Found")
    dashed = {line.get_color(): line.get_ydata()[0] for line in lines(figure.axes[0], "--")}
    assert dashed == {COLOURS["task"]: 1.4, COLOURS["mlm"]: 0.9}
    assert [line.get_ydata()[0] for line in lines(figure.axes[0], ":")] == [2.1]


def test_positions_have_floors_and_one_scale():
    values = {"causal": [1.5, 1.0], "full": [1.0, 0.9]}
    excess = {"causal": [0.1, 0.0], "full": [0.0, 0.1]}
    floors = {"causal": [1.4, 1.0], "full": [1.0, 0.8]}
    figure = language.plot_by_position(values, floors, excess, "Found")
    left, right = figure.axes
    assert [list(line.get_ydata()) for line in lines(left, "--")] == list(floors.values())
    dots = [list(line.get_ydata()) for line in left.get_lines() if line.get_marker() != "None"]
    assert dots == list(values.values())
    assert left.get_ylim() == right.get_ylim()
    drawn = [list(line.get_ydata()) for line in right.get_lines()[:2]]
    assert drawn == list(excess.values())


def test_sides_are_rows_with_a_dotted_baseline():
    figure = language.plot_sides({"both": (1.0, 0.9, 1.3), "left": (2.0, 1.8, 2.2)}, 3.0, "F", "x")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["both", "left"]
    assert [line.get_xdata()[0] for line in lines(axes, ":")] == [3.0]
    whiskers = [bar.lines[2][0].get_segments()[0][:, 0].tolist() for bar in axes.containers]
    assert whiskers == [pytest.approx([0.9, 1.3]), pytest.approx([1.8, 2.2])]
