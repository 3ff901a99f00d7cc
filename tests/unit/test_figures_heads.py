"""The figures of notebook 05 show what they were given."""

import torch
from matplotlib.colors import to_rgba

from bift_utils import plotting
from bift_utils.labs.classifier_heads import figures as heads


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_ratios_point_both_ways_and_names_stand_opposite():
    figure = heads.plot_ratios({"good": 2.0, "$bad$": -1.0}, "finding", "nats")
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [2.0, -1.0]
    dark = to_rgba(plotting.COLOURS["neutral"])
    assert [bar.get_facecolor() == dark for bar in axes.patches] == [True, False]
    places = {text.get_text(): text.get_position()[0] for text in axes.texts}
    assert places["good"] < 0 < places["$bad$"]
    assert axes.get_title(loc="left") or axes.get_title() == "finding"
    assert axes.yaxis_inverted()  # first on top
    figure.canvas.draw()  # a dollar sign is a letter, not mathematics


def test_confusion_has_the_truth_in_rows():
    figure = plotting.plot_confusion([[8, 2], [1, 3]], ["no", "yes"], "finding")
    axes = figure.axes[0]
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells[1.5, 0.5] == "2\n20% of row"  # column yes, row no
    assert cells[0.5, 1.5] == "1\n25% of row"
    red = {patch.get_xy(): patch.get_facecolor()[0] for patch in axes.patches}
    assert red[0, 0] < red[1, 1] < red[0, 1] < red[1, 0]  # the larger the share, the darker
    assert axes.get_ylabel() == "it is" and axes.get_xlabel() == "the model says"
    assert axes.get_ylim() == (2, 0)


def test_confusion_takes_an_empty_row():
    figure = plotting.plot_confusion(torch.tensor([[0, 0], [1, 3]]), ["no", "yes"], "finding")
    assert "0\n0% of row" in texts(figure)
