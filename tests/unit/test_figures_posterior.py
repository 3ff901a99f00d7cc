"""The figures of notebooks 03 and 03b draw what they are given, on the scales they promise."""

import pytest
import torch

from bift_utils import plotting
from bift_utils.evaluation.calibration import reliability_bins
from bift_utils.labs.mlm_probability import figures as posterior
from bift_utils.plotting.figures import COLOURS


def test_the_second_bar_is_as_long_as_the_evidence():
    figure = posterior.plot_bayes_bars(["a", "b"], [0.5, 0.5], [0.1, 0.3], "Found")
    prior, product, after = figure.axes
    assert [bar.get_width() for bar in product.patches] == pytest.approx([0.1, 0.3])
    assert product.get_xlim() == (0, pytest.approx(0.4))
    assert [bar.get_x() for bar in product.patches] == pytest.approx([0.0, 0.1])  # end to end
    assert [bar.get_width() for bar in after.patches] == pytest.approx([0.25, 0.75])
    assert prior.get_xlim() == after.get_xlim() == (0, 1)


def test_a_narrow_part_of_a_bar_has_its_name_upright():
    figure = posterior.plot_bayes_bars(["a", "b", "c"], [0.02, 0.005, 0.975], [0.1, 0.1, 0.2], "F")
    turned = {text.get_text(): text.get_rotation() for text in figure.axes[0].texts}
    assert turned == {"a": 90, "c": 0}


def test_candidates_share_one_scale():
    panels = {"one": [0.2, 0.8], "two": [0.5, 0.5]}
    figure = posterior.plot_candidates(["a", "$b$"], panels, "Found")
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.2, 0.8]
    figure.canvas.draw()  # a dollar sign is a letter, not mathematics


def test_reliability_leaves_small_bins_out():
    p = torch.tensor([0.65] * 30 + [0.95] * 5, dtype=torch.float64)
    bins = reliability_bins(torch.stack([1 - p, p], 1), torch.ones(35, dtype=torch.long))
    figure = plotting.plot_reliability({"one": bins, "two": bins}, "F", "x", "y", least=20)
    axes = figure.axes[0]
    diagonal = axes.lines[0]
    assert diagonal.get_linestyle() == "--"
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0.0, 1.0]
    for marks in axes.collections:
        assert marks.get_offsets().tolist() == [pytest.approx([0.65, 1.0])]
    hollow, solid = (marks.get_facecolor()[0].tolist() for marks in axes.collections)
    assert hollow == [1, 1, 1, 1] and solid != hollow  # told apart without colour
    two_classes = plotting.plot_reliability({"one": bins}, "F", "x", "y", 20, ["task"], 0.5)
    diagonal = two_classes.axes[0].lines[0]
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0.5, 1.0]
    assert two_classes.axes[0].lines[1].get_color() == COLOURS["task"]
    worse = (torch.tensor([0.9]), torch.tensor([0.3]), torch.tensor([50]))
    axes = plotting.plot_reliability({"one": worse}, "F", "x", "y", start=0.5).axes[0]
    assert axes.get_ylim()[0] < 0.3  # no mark is cut off
