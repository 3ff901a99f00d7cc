"""Notebook 03b calls the functions that notebook 03 writes out, and draws what it is given."""

from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest
import torch

from bift_utils import languages
from bift_utils.labs.several_blanks import figures, network
from bift_utils.plotting.figures import COLOURS, plot_scatter

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03_mlm_probability.ipynb"


@pytest.fixture(scope="module")
def written():
    """Run the cells of notebook 03 that the two functions need; return what they define."""
    needed = ("import itertools", "words = [", "language = ", "def questions", "def fit")
    space = {"__name__": "__main__", "display": lambda *_: None}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        part = next((name for name in needed if name in cell.source), None)
        if cell.cell_type == "code" and part and "my_" not in cell.source:
            exec(compile(cell.source, NOTEBOOK.name, "exec"), space)
    plt.close("all")
    return space


def test_the_questions_are_those_of_notebook_03(written):
    options = languages.language_masking(8)
    ours = network.questions(languages.old_man_language(), options, n=50, seed=2)
    for mine, theirs in zip(ours, written["questions"](options, n=50, seed=2), strict=True):
        assert torch.equal(mine, theirs)


def test_the_training_is_that_of_notebook_03(written, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    options = languages.language_masking(8, mlm_probability=0.4)
    ours = network.fit(languages.old_man_language(), options, steps=20)
    theirs, _ = written["fit"](options, steps=20)
    other = theirs.state_dict()
    for name, weight in ours.state_dict().items():
        assert torch.equal(weight, other[name]), name


def test_pairs_are_drawn_on_one_scale_and_the_impossible_is_empty():
    panels = {
        "one": torch.tensor([[0.0, 0.25], [0.75, 0.0]]),
        "two": torch.tensor([[0.004, 0.5], [0.25, 0.246]]),
    }
    figure = figures.plot_pairs(["a", "b"], panels, "Found", "first", "second")
    left, right = figure.axes
    assert left.images[0].get_clim() == right.images[0].get_clim() == (0.0, 0.75)
    assert left.images[0].get_array().tolist() == panels["one"].tolist()
    written = [[text.get_text() for text in axes.texts] for axes in (left, right)]
    assert written == [["", "25", "75", ""], ["0", "50", "25", "25"]]
    assert (left.get_ylabel(), right.get_xlabel()) == ("first", "second")


def test_scatter_has_a_dashed_exact_line():
    figure = plot_scatter([1, 2], [3, 4], "F", "x", "y", exact=([0, 1], [0, 1], "same"))
    dots, line = figure.axes[0].lines
    assert list(dots.get_ydata()) == [3, 4] and dots.get_color() == COLOURS["mlm"]
    assert line.get_linestyle() == "--" and line.get_label() == "same"
