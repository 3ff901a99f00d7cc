import itertools

import matplotlib
import matplotlib.pyplot as plt
import numpy
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from bift_utils.labs.masking.figures import plot_draws, plot_shares, plot_tokens
from bift_utils.labs.start_here.figures import plot_bift_chart
from bift_utils.plotting.figures import (
    COLOURS,
    plot_bars,
    plot_curves,
    plot_history,
    plot_seeds,
    use_series_style,
)
from bift_utils.training.history import History


@pytest.fixture(autouse=True)
def backend():
    with matplotlib.rc_context():
        plt.switch_backend("agg")
        yield


def texts(axes):
    return {text.get_text().strip(): text for text in axes.texts}


def colour(artist):
    return to_hex(artist.get_color()).upper()


def history(mlm=(), task=()):
    steps = [{"step": i + 1} for i in range(max(len(mlm), len(task)))]
    for row, value in zip(steps, mlm, strict=False):
        row["mlm_loss"] = value
    for row, value in zip(steps, task, strict=False):
        row["task_loss"] = value
    return History(steps=steps)


SHARES = {"[MASK]": (79.0, 78.0, 81.0), "kept": (11.0, 9.5, 12.0)}
CURVES = {"first": ([0, 1, 2], [3.0, 2.0, 1.0]), "second": ([0, 2], [3.0, 2.5])}


def test_each_function_returns_a_figure_that_can_be_drawn():
    figures = [
        plot_bars({"good": 0.6, "bad": 0.4}, "title", "x"),
        plot_curves(CURVES, "title", "x", "y", baselines={"guess": 3.0}, optima={"exact": 0.5}),
        plot_history(history([2.0, 1.0], [0.7, 0.6]), "title"),
        plot_seeds({"a": [0.1, 0.2]}, {"a": (0.15, 0.1, 0.2)}, "title", "x", {"guess": 0.1}),
        plot_bift_chart(),
        plot_tokens(["a", "[MASK]"], ["not selected", "[MASK]"], ["", "film"], "title"),
        plot_shares({"ours": SHARES}, {"[MASK]": 80.0, "kept": 10.0}, "title"),
    ]
    for figure in figures:
        assert isinstance(figure, Figure)
        figure.canvas.draw()


# bars


def test_bars_have_the_values_as_lengths_first_on_top():
    axes = plot_bars({"good": 0.625, "bad": 0.25}, "the finding", "P (0 to 1)").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.625, 0.25]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["good", "bad"]
    assert axes.yaxis_inverted()
    assert {"0.62", "0.25"} <= set(texts(axes))
    assert axes.get_title(loc="center") + axes.get_title(loc="left") == "the finding"
    assert axes.get_xlabel() == "P (0 to 1)"


def test_bars_end_inside_the_axis_or_at_the_limit_given():
    assert plot_bars({"a": 2.0, "b": 1.0}, "t", "x").axes[0].get_xlim() == (0, 2.24)
    assert plot_bars({"a": 0.5}, "t", "x", limit=1.0).axes[0].get_xlim() == (0, 1)


def test_baselines_of_bars_are_dotted_and_named():
    axes = plot_bars({"a": 0.7}, "t", "x", baselines={"undecided": 0.5}).axes[0]
    (line,) = axes.lines
    assert (list(line.get_xdata()), line.get_linestyle()) == ([0.5, 0.5], ":")
    assert texts(axes)["undecided"].xy[0] == 0.5


def test_the_numbers_of_bars_can_be_rounded():
    axes = plot_bars({"a": 84.4, "b": 4.9}, "t", "x", digits=0).axes[0]
    assert [text.get_text() for text in axes.texts] == ["84", "5"]


def test_one_bar_is_highlighted_and_the_others_are_grey():
    axes = plot_bars({"a": 1.0, "b": 2.0}, "t", "x", colour="task", highlight="b").axes[0]
    found = [to_hex(bar.get_facecolor()).upper() for bar in axes.patches]
    assert found == [COLOURS["light"], COLOURS["task"]]


# curves


def test_curves_are_drawn_as_given_and_named():
    axes = plot_curves(CURVES, "the finding", "steps", "loss (nats)").axes[0]
    for line, (x, y) in zip(axes.lines, CURVES.values(), strict=True):
        assert (list(line.get_xdata()), list(line.get_ydata())) == (x, y)
        assert line.get_linestyle() == "-"
    assert set(CURVES) == set(texts(axes))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("steps", "loss (nats)")


def test_a_curve_has_the_colour_of_its_name():
    figure = plot_curves(CURVES, "t", "x", "y", colours={"first": "joint", "second": "task"})
    axes = figure.axes[0]
    assert [colour(line) for line in axes.lines] == [COLOURS["joint"], COLOURS["task"]]
    assert colour(texts(axes)["second"]) == COLOURS["task"]


def test_baselines_are_dotted_and_optima_dashed():
    axes = plot_curves({}, "t", "x", "y", baselines={"guessing": 2.0}, optima={"exact": 0.5}).axes[
        0
    ]
    styles = {line.get_ydata()[0]: line.get_linestyle() for line in axes.lines}
    assert styles == {2.0: ":", 0.5: "--"}
    assert texts(axes)["guessing"].xy[1] == 2.0
    assert texts(axes)["exact"].xy[1] == 0.5


def test_names_of_baselines_may_stand_at_the_right_end():
    lines = {"baselines": {"guessing": 2.0}, "optima": {"exact": 0.5}}
    names = texts(plot_curves({}, "t", "x", "y", **lines, baseline_names="right").axes[0])
    assert [(n.xy[0], n.get_ha()) for n in names.values()] == [(0.99, "right"), (0.01, "left")]


def test_names_at_the_same_height_do_not_overlap():
    same = {name: ([0, 1], [1.0, 0.0]) for name in ("a", "b", "c")}
    axes = plot_curves(same, "t", "x", "y").axes[0]
    heights = sorted(text.xy[1] for text in axes.texts)
    low, high = axes.get_ylim()
    assert min(numpy.diff(heights)) > 0.06 * (high - low)


def test_many_points_are_drawn_without_markers():
    few, many = (
        plot_curves({"a": (range(n), range(n))}, "t", "x", "y").axes[0].lines[0].get_marker()
        for n in (20, 21)
    )
    assert (few, many) == ("o", "None")


# histories


def test_history_has_one_panel_an_objective_with_a_running_mean():
    axes = plot_history(history([4.0, 2.0, 0.0], [1.0, 1.0, 4.0]), "t", smooth=2).axes
    assert [a.get_ylabel() for a in axes] == [
        "masked-LM loss (nats a blank)", "task loss (nats a sentence)",
    ]  # fmt: skip
    mlm, task = axes
    assert [list(line.get_ydata()) for line in mlm.lines] == [[4.0, 2.0, 0.0], [4.0, 3.0, 1.0]]
    assert list(task.lines[1].get_ydata()) == [1.0, 1.0, 2.5]
    assert list(task.lines[1].get_xdata()) == [1, 2, 3]
    assert [colour(a.lines[1]) for a in axes] == [COLOURS["mlm"], COLOURS["task"]]
    assert all(a.get_xlabel() == "update" for a in axes)


def test_a_history_can_show_its_evaluations_the_weights_kept_and_the_least_loss():
    run = history([4.0, 2.0], [1.0, 0.5])
    run.evaluations, run.best_step = [{"step": 2, "loss": 0.6, "mlm_loss": 3.0}], 2
    mlm, task = plot_history(run, "t", evaluated=True, optima={"task_loss": 0.4}).axes
    points = [[line for line in a.lines if line.get_marker() == "o"] for a in (mlm, task)]
    drawn = [[list(line.get_xydata()[0]) for line in lines] for lines in points]
    assert drawn == [[[2, 3.0]], [[2, 0.6]]]
    for axes in (mlm, task):
        assert [list(x.get_xdata()) for x in axes.lines if x.get_linestyle() == ":"] == [[2, 2]]
        assert texts(axes)["kept"].xy[0] == 2
    dashed = [[x.get_ydata()[0] for x in a.lines if x.get_linestyle() == "--"] for a in (mlm, task)]
    assert dashed == [[], [0.4]]


def test_an_objective_that_was_not_trained_has_no_panel():
    figure = plot_history(history(task=[1.0, 0.5]), "the finding")
    assert [axes.get_ylabel() for axes in figure.axes] == ["task loss (nats a sentence)"]
    assert figure.get_suptitle() == "the finding"


# seeds


def test_seeds_are_dots_and_the_mean_has_its_interval():
    figure = plot_seeds(
        {"plain": [0.70, 0.74], "joint": [0.71, 0.75]},
        {"plain": (0.72, 0.66, 0.80), "joint": (0.73, 0.70, 0.76)},
        "t", "accuracy (0 to 1)", baselines={"majority": 0.5}, colours={"plain": "task"},
    )  # fmt: skip
    axes = figure.axes[0]
    drawn = [list(line.get_xdata()) for line in axes.lines]
    for numbers in ([0.70, 0.74], [0.71, 0.75], [0.72], [0.73], [0.5, 0.5]):
        assert numbers in drawn
    bars = [bar.lines[2][0].get_segments()[0][:, 0] for bar in axes.containers]
    numpy.testing.assert_allclose(bars, [[0.66, 0.80], [0.70, 0.76]])
    assert [colour(bar.lines[0]) for bar in axes.containers] == [COLOURS["task"], COLOURS["joint"]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["plain", "joint"]
    assert axes.get_xlabel() == "accuracy (0 to 1)"


def test_baselines_of_seeds_are_dotted_and_named():
    figure = plot_seeds({"a": [1.0]}, {"a": (1.0, 0.9, 1.1)}, "t", "x", {"majority": 0.5})
    dotted = [line for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert [list(line.get_xdata()) for line in dotted] == [[0.5, 0.5]]
    assert texts(figure.axes[0])["majority"].xy[0] == 0.5


# pictures


def test_tokens_are_boxes_and_only_selected_ones_are_asked_for():
    axes = plot_tokens(
        ["a", "[MASK]", "dull"], ["not selected", "[MASK]", "random"], ["x", "good", "film"], "t"
    ).axes[0]
    drawn = [text.get_text() for text in axes.texts]
    assert drawn == ["a", "[MASK]", "[MASK]", "asked: good", "dull", "random", "asked: film"]
    assert [to_hex(box.get_facecolor()).upper() for box in axes.patches] == [
        COLOURS["light"], COLOURS["mlm"], COLOURS["task"],
    ]  # fmt: skip


def test_a_long_sentence_is_drawn_in_lines_that_fit_the_axis():
    n = 40
    axes = plot_tokens(["token"] * n, ["kept"] * n, ["token"] * n, "t").axes[0]
    boxes = [box.get_bbox() for box in axes.patches]
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()  # the first line is on top, at 0
    assert all(left <= box.x0 and box.x1 <= right for box in boxes)
    assert all(top <= min(box.y0, box.y1) and max(box.y0, box.y1) <= bottom for box in boxes)
    for one, two in itertools.pairwise(boxes):
        assert two.x0 > one.x1 or two.y0 > one.y0


def test_draws_are_cut_where_the_rule_cuts_and_only_near_ones_are_named():
    axes = plot_draws(["warm", "film"], [0.05, 0.58], "t").axes[0]
    edges = [bar.get_x() + bar.get_width() for bar in axes.patches]
    assert edges == pytest.approx([0.12, 0.135, 0.15, 0.2])
    names = [text.get_text() for text in axes.texts]
    assert names == ["[MASK]", "random", "kept", "not selected", "warm"]


def test_shares_have_intervals_and_a_dashed_line_where_expected():
    figure = plot_shares({"ours": SHARES}, {"[MASK]": 80.0, "kept": 10.0}, "the finding")
    assert figure.get_suptitle() == "the finding"
    names = [axes.get_xlabel() for axes in figure.axes]
    assert names == ["[MASK] (% of selected)", "kept (% of selected)"]
    for axes, exact, (middle, low, high) in zip(
        figure.axes, [80.0, 10.0], SHARES.values(), strict=True
    ):
        dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert [list(line.get_xdata()) for line in dashed] == [[exact, exact]]
        bar = axes.containers[0]
        assert list(bar.lines[0].get_xdata()) == [middle]
        assert list(bar.lines[2][0].get_segments()[0][:, 0]) == pytest.approx([low, high])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["ours"]


def test_the_chart_names_both_heads_and_the_loss():
    drawn = " ".join(texts(plot_bift_chart().axes[0])).replace("\n", " ")
    for part in ("BERT encoder", "classifier head", "masked-LM head", "λ · L_MLM + (1 − λ) · L"):
        assert part in drawn


def test_the_two_ways_through_the_chart_differ_without_colour():
    axes = plot_bift_chart().axes[0]
    styles = [text.arrow_patch.get_linestyle() for text in axes.texts if text.get_text() == ""]
    assert sorted(styles) == ["-", "-", "--", "--"]


def test_each_way_of_the_chart_starts_at_its_own_text():
    axes = plot_bift_chart().axes[0]
    heights = {text.get_text(): text.get_position()[1] for text in axes.texts if text.get_text()}
    clean, masked = (
        next(y for name, y in heights.items() if part in name) for part in ("as it is", "masked\n")
    )
    starts = [(t.arrow_patch.get_linestyle(), t.xyann[1]) for t in axes.texts if not t.get_text()]
    assert sorted(starts) == [("-", clean), ("-", clean), ("--", masked), ("--", masked)]


# style


def test_the_style_sets_what_all_figures_share():
    use_series_style()
    figure = plot_curves(CURVES, "the finding", "x", "y")
    assert figure.axes[0].get_title(loc="left") == "the finding"
    assert not figure.axes[0].spines["top"].get_visible()


def lightness(name):
    """L* of CIELAB, 0 (black) to 100 (white): what is left of a colour in grey."""
    linear = [((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(COLOURS[name])]  # none is near black
    return 116 * numpy.dot([0.2126, 0.7152, 0.0722], linear) ** (1 / 3) - 16


def test_the_colours_of_the_objectives_differ_in_grey():
    found = sorted(lightness(name) for name in ("mlm", "task", "joint", "other"))
    assert min(numpy.diff(found)) > 3
