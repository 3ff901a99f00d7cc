"""The grid of notebook 06: what a cell trains and counts, on tiny texts and a tiny model."""

import csv
from types import SimpleNamespace

import pytest
import torch
from test_study import make_reviews
from tiny import tiny_config

from bift_utils.commands.study import grid
from bift_utils.models.checkpoints import save_checkpoint
from bift_utils.models.joint import new_model
from bift_utils.results.grid import BASE

CELLS = {  # 32 sentences, two epochs of four updates
    "plain": {"mlm_weight": 0.0},
    "joint": {},
    "finish": {"finish": "yes"},
    "alternating": {"schedule": "alternating"},
    "nothing shared": {"shared": "none"},
    "one layer shared": {"shared": "lower 2"},
    "masked": {"classifier_input": "masked"},
}


@pytest.fixture(scope="module")
def runs(tokenizer, tmp_path_factory):
    """Return name → row of the cells, for one seed."""
    folder = tmp_path_factory.mktemp("grid")
    torch.manual_seed(0)
    save_checkpoint(new_model(tiny_config(tokenizer)), tokenizer, folder / "tiny")
    options = SimpleNamespace(
        output=folder / "rows.csv", checkpoint=str(folder / "tiny"), seeds=1, first_seed=0,
        train_texts=32, validation_texts=5, epochs=2, batch_size=8, dropout=0.1, pooling="mean",
        precision="fp32",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "load_reviews", lambda source: make_reviews())
        patch.setattr(grid, "cells", lambda: [{**BASE, **cell} for cell in CELLS.values()])
        patch.setattr(grid, "SHARED", {**grid.SHARED, "lower 2": 1})
        grid.run_grid(options)
        written = options.output.read_text(encoding="utf-8")
        patch.setattr(grid, "run_setting", None)  # to call it would raise TypeError
        grid.run_grid(options)
    assert options.output.read_text(encoding="utf-8") == written
    return dict(zip(CELLS, csv.DictReader(written.splitlines()), strict=True))


def test_every_cell_has_as_many_task_updates(runs):
    assert {name: row["task_updates"] for name, row in runs.items()} == dict.fromkeys(CELLS, "8")
    assert runs["alternating"]["updates"] == "16"


def test_the_rows_that_were_encoded_are_counted(runs):
    rows = {name: int(row["rows_encoded"]) for name, row in runs.items()}
    assert rows["plain"] == 64 and rows["masked"] <= 64
    assert 64 < rows["finish"] < rows["joint"] <= 128  # a text may have nothing hidden
    others = ("alternating", "nothing shared", "one layer shared")
    assert {rows[name] for name in others} == {rows["joint"]}


def test_with_nothing_shared_the_task_comes_out_as_without_the_other_objective(runs):
    losses = {name: (row["validation_loss"], row["test_loss"]) for name, row in runs.items()}
    assert losses["nothing shared"] == losses["plain"]
    others = [losses[name] for name in CELLS if name != "nothing shared"]
    assert len(set(others)) == len(others)


def test_each_part_has_the_size_that_was_asked_for(runs):
    assert {(row["validation_texts"], row["test_texts"]) for row in runs.values()} == {("5", "9")}
