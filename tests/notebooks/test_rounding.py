"""Rounding must not decide what a notebook's training finds: processors round sums otherwise.

With too large a learning rate a difference in the seventh digit grows into another network, and
then a value that lies in its band on one machine lies outside on the next.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pytest
import torch

from bift_utils import models

pytestmark = pytest.mark.filterwarnings("ignore")  # figures are drawn and not shown
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SEVENTH_DIGIT = 1e-7  # what float32 rounds away
DECISIVE = 0.01  # of the length of all weights; chaos ends at a tenth and more
TRAININGS = {  # notebook: where it trains, and what to run there
    "01_one_way_or_two": ("learn(model) for", "model = new_model(causal=False); learn(model)"),
    "03_mlm_probability": ("fit(always", "model, _ = fit(always, steps=300)"),  # enough for chaos
}


def cells_before(notebook: str, use: str) -> list[str]:
    """Return the code cells above the first that holds `use`."""
    cells = nbformat.read(NOTEBOOKS / f"{notebook}.ipynb", as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    return code[: next(i for i, source in enumerate(code) if use in source)]


def shaken(make, noise: float):
    """Return a maker of models whose weights differ a little from those of `make`."""

    def small_bert(*shape, **options):
        model = make(*shape, **options)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in model.parameters():
                weight *= 1 + noise * torch.randn(weight.shape, generator=generator)
        return model

    return small_bert


@pytest.mark.parametrize("notebook", TRAININGS)
def test_the_seventh_digit_does_not_decide(notebook, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    use, training = TRAININGS[notebook]
    space = {"__name__": "__main__", "display": lambda *_: None}
    for source in cells_before(notebook, use):
        exec(compile(source, notebook, "exec"), space)
    plt.close("all")
    found = []
    for noise in (0.0, SEVENTH_DIGIT):
        with monkeypatch.context() as patch:
            patch.setattr(models, "small_bert", shaken(models.small_bert, noise))
            exec(training, space)
        weights = space["model"].state_dict().values()
        found.append(torch.cat([w.detach().cpu().double().flatten() for w in weights]))
    assert not torch.equal(*found), "nothing was shaken"
    assert (found[1] - found[0]).norm() < DECISIVE * found[0].norm()
