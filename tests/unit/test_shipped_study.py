"""The shipped tables of notebook 07: every run of the plan is there, and its scores agree."""

import hashlib

import numpy
import pytest
import torch

from bift_utils.commands.study import methods as made_by
from bift_utils.commands.study import plan
from bift_utils.evaluation.intervals import seed_interval
from bift_utils.models.checkpoints import find_checkpoint
from bift_utils.results import exact
from bift_utils.results.files import result_file
from bift_utils.results.methods import (
    ALL,
    KEY,
    PASSES,
    TUNING_SEEDS,
    answers,
    correct,
    differences,
    load_methods,
    run_name,
    strongest,
)

SHIPPED = {"rotten_tomatoes": load_methods()}
TABLE = SHIPPED["rotten_tomatoes"]


def fresh_runs(table):
    return table[~table["seed"].isin(TUNING_SEEDS)]


@pytest.mark.parametrize("texts", SHIPPED)
def test_there_is_one_row_a_run_with_the_weights_that_ship(texts):
    table = SHIPPED[texts]
    assert tuple(table.columns) == made_by.COLUMNS
    assert not table.duplicated(list(KEY)).any()
    weights = (find_checkpoint("bift-mini") / "model.safetensors").read_bytes()
    assert set(table["digest"]) == {hashlib.sha256(weights).hexdigest()[:12]}
    assert set(table["texts"]) == {texts}
    assert set(table["checkpoint"]) == {"bift-mini"}
    later = (table["labels"] == ALL) & (table["seed"] >= 5)  # on a processor without bf16
    assert (table["precision"] == "fp32").tolist() == later.tolist()
    assert fresh_runs(table)["test_accuracy"].notna().all()
    assert table[table["seed"].isin(TUNING_SEEDS)]["test_accuracy"].isna().all()


PLANS = [
    ("rotten_tomatoes", phase, PASSES)
    for phase in plan.PHASES
    if phase not in ("borrowed", "domain")
]


@pytest.mark.parametrize("texts, phase, sizes", PLANS)
def test_every_run_of_the_plan_is_there(texts, phase, sizes):
    table = SHIPPED[texts]
    cell_key = ["method", "labels", "seed", "passes", "learning_rate", "mlm_weight"]
    there = set(table[cell_key].itertuples(index=False, name=None))
    planned = [tuple(cell[name] for name in cell_key)
               for cell in plan.PHASES[phase](table, sizes)]  # fmt: skip
    assert planned and not [cell for cell in planned if cell not in there]


def test_every_tested_run_has_its_scores_and_no_other():
    with numpy.load(result_file("methods.npz"), allow_pickle=False) as stored:
        names = sorted(map(run_name, fresh_runs(TABLE).to_dict("records")))
        assert sorted(stored["run"].tolist()) == names
        assert {stored[part].dtype for part in ("test", "validation")} == {numpy.dtype("uint8")}


def test_the_scores_give_the_accuracies():
    runs = fresh_runs(TABLE)
    measured = correct(runs, answers()).mean(1)
    written = torch.tensor(runs["test_accuracy"].tolist(), dtype=torch.float64)
    assert torch.allclose(measured, written, atol=1e-5)


@pytest.mark.parametrize("labels", PASSES)
def test_the_main_comparison_is_narrow_enough(labels):
    points = differences(TABLE, labels, "joint", strongest(TABLE, labels), "test_accuracy", 100)
    _, low, high = seed_interval(points)
    assert (high - low) / 2 <= 1.5


def test_the_brakes_have_fifteen_seeds_each():
    table = exact.load_brakes()
    for name, strengths in exact.BRAKES.items():
        axis = exact.brake_axis(table, "label_kl", name)
        assert list(axis.columns) == [0.0, *strengths] and list(axis.index) == list(range(15))
        assert axis.notna().all().all()
