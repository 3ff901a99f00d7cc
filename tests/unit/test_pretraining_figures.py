import pytest

from bift_utils.labs.pretraining.figures import plot_by_group, plot_log, plot_run


def heights(axes, style):
    return {line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == style}


def test_the_log_has_its_lines_its_plateau_and_both_losses():
    nothing = float("nan")
    log = {
        "tokens": [1e6, 2e6, 3e6, 4e6],
        "train_loss": [8.0, 6.5, 6.0, 5.0],
        "validation_loss": [nothing, 6.6, nothing, 5.5],
    }
    figure = plot_log(log, 6.7, 6.1, (2e6, 3e6), 3.5e6, title="found")
    left, right = figure.axes
    assert figure.get_suptitle() == "found"
    for axes in (left, right):
        assert 6.7 in heights(axes, ":") and 6.1 in heights(axes, "--")
        curves = [list(line.get_ydata()) for line in axes.lines]
        assert [8.0, 6.5, 6.0, 5.0] in curves and [6.6, 5.5] in curves
        (band,) = axes.patches
        assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((2.0, 3.0))
    upright = [x.get_xdata()[0] for x in right.lines if list(x.get_ydata()) == [0, 1]]
    assert upright == [3.5]  # where the rate begins to fall
    assert left.get_ylabel().endswith("(nats a blank)")
    assert "millions" in right.get_xlabel()
    names = [text.get_text() for text in figure.legends[0].texts]
    assert names == ["training batches", "held-out windows, 15 % hidden"]


def test_groups_are_drawn_in_order_with_their_lines():
    figure = plot_by_group(
        {"counts": [1.0, 2.0], "model": [0.5, 1.0]}, ["often", "rare"], title="found",
        xlabel="rank", ylabel="loss (nats)", colours={"counts": "neutral", "model": "mlm"},
        baselines={"guess": 3.0}, optima={"exact": 4.0},
    )  # fmt: skip
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["often", "rare"]
    assert heights(axes, ":") == {3.0}
    assert heights(axes, "--") == {4.0}
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 4.0
    names = [text.get_text() for text in figure.legends[0].texts]
    assert names == ["counts", "model", "guess", "exact"]


def test_a_run_is_drawn_against_both_lines():
    (axes,) = plot_run([9.0, 7.0, 6.4], unigram=6.7, context_free=6.1, title="found").axes
    assert heights(axes, ":") == {6.7} and heights(axes, "--") == {6.1}
    assert list(axes.lines[0].get_ydata()) == [9.0, 7.0, 6.4]
    assert list(axes.lines[0].get_xdata()) == [1, 2, 3]
    assert axes.get_ylim()[0] < 6.1
    assert [text.get_text() for text in axes.texts] == ["unigram entropy", "no context, at best"]
