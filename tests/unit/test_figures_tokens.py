"""The figure of notebook 05b shows what it was given."""

import numpy

from bift_utils.labs.token_labels import figures


def test_class_scores_group_by_class():
    figure = figures.plot_class_scores(
        {"a": [0.1, 0.2], "b": [0.3, 0.4]}, ["x", "y"], "finding", "F1", {"a": "mlm", "b": "task"}
    )
    axes = figure.axes[0]
    middles = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches]
    assert [bar.get_height() for bar in axes.patches] == [0.1, 0.2, 0.3, 0.4]
    numpy.testing.assert_allclose(middles, [-0.21, 0.79, 0.21, 1.21])
    assert [text.get_text() for text in axes.texts] == ["0.10", "0.20", "0.30", "0.40"]
    assert [label.get_text() for label in axes.get_legend().get_texts()] == ["a", "b"]
