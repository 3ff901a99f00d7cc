import pytest
import torch
from tiny import tiny_config

from bift_utils.data.batches import make_loader
from bift_utils.masking.collators import JointCollator
from bift_utils.models.joint import new_model
from bift_utils.runtime import make_generator, set_seed
from bift_utils.training.loop import train, training_step
from bift_utils.training.options import (
    SCHEDULES,
    TrainingConfig,
    alternating,
    count_updates,
    simultaneous,
)
from bift_utils.training.pieces import needed_rows


def joint_loader(tokenizer, encoded, **options):
    collator = JointCollator(tokenizer, make_generator(1), mlm_probability=0.3, **options)
    return make_loader(encoded, collator, 8, seed=0)


def new(tokenizer):
    set_seed(0)
    return new_model(tiny_config(tokenizer))


def test_a_weight_of_zero_leaves_the_other_kind_of_rows_out(tokenizer, encoded):
    batch = next(iter(joint_loader(tokenizer, encoded)))
    task, mlm = needed_rows(batch, 0.0), needed_rows(batch, 1.0)
    longest = int(batch["attention_mask"][:8].sum(1).max())
    assert torch.equal(task["input_ids"], batch["input_ids"][:8, :longest])
    assert (task["labels"] != -100).all() and (task["mlm_labels"] == -100).all()
    asked = (batch["mlm_labels"] != -100).any(1)
    assert torch.equal(mlm["labels"], batch["labels"][asked])
    assert not asked[:8].any() and (mlm["labels"] == -100).all()
    both = needed_rows(batch, 0.3)
    assert len(both["labels"]) == 8 + int(asked.sum())  # a text in which nothing was hidden is out


def test_rows_that_serve_both_objectives_are_in_both(tokenizer, encoded):
    batch = next(iter(joint_loader(tokenizer, encoded, classifier_input="masked")))
    assert needed_rows(batch, 0.0) is batch
    assert 0 < len(needed_rows(batch, 1.0)["labels"]) <= 8


def test_one_row_stays_when_none_is_needed(tokenizer, encoded):
    batch = next(iter(joint_loader(tokenizer, encoded)))
    batch["mlm_labels"].fill_(-100)
    assert len(needed_rows(batch, 1.0)["labels"]) == 1
    assert training_step(new(tokenizer), batch, 1.0)["loss"].item() == 0.0


@pytest.mark.parametrize("missing, weight", [("labels", 0.0), ("labels", 0.3), ("mlm_labels", 0.3)])
def test_an_objective_with_a_weight_and_no_labels_is_refused(tokenizer, encoded, missing, weight):
    """Once, a collator for λ = 1 and a run with λ = 0 trained nothing, and logged losses of 0."""
    batch = next(iter(joint_loader(tokenizer, encoded)))
    del batch[missing]
    with pytest.raises(
        ValueError, match=f"This update has λ = {weight}, and the batch has no '{missing}'"
    ):
        training_step(new(tokenizer), batch, weight)
    with pytest.raises(TypeError, match="mlm_weight"):
        JointCollator(tokenizer, make_generator(1), mlm_weight=1.0)


@pytest.mark.parametrize("ratio, expected", [(1, "tmtmtm"), (2, "ttmttm"), (3, "tttmttt")])
def test_the_ratio_is_task_updates_for_each_masked_lm_update(tokenizer, encoded, ratio, expected):
    config = TrainingConfig(
        epochs=2, schedule="alternating", task_updates_per_mlm=ratio, learning_rate=1e-2
    )
    history = train(new(tokenizer), joint_loader(tokenizer, encoded), config)
    found = "".join(row["objective"][0] for row in history.steps)
    turns = 6
    assert found[: len(expected)] == expected
    assert len(found) == count_updates(turns, alternating, config) == turns + turns // ratio
    assert history.count("task") == turns and history.count("mlm") == turns // ratio
    for row in history.steps:
        assert ("mlm_loss" in row) == (row["objective"] == "mlm")
        assert ("task_loss" in row) == (row["objective"] == "task")


def test_an_alternating_update_has_the_gradient_of_one_loss_alone(tokenizer, encoded):
    model = new(tokenizer).eval()
    batch = next(iter(joint_loader(tokenizer, encoded)))
    config = TrainingConfig(schedule="alternating")
    both = training_step(model, batch, 0.5)
    for weight, name in zip(alternating(0, config), ("task_loss", "mlm_loss"), strict=True):
        alone = training_step(model, batch, weight)
        assert set(alone) == {"loss", name}
        torch.testing.assert_close(alone["loss"], both[name])
    assert simultaneous(0, config) == [config.mlm_weight]
    assert set(SCHEDULES) == {"simultaneous", "alternating"}


def test_alternation_goes_on_until_validation_stops_improving(tokenizer, encoded):
    scores = iter([0.5, 0.7, 0.6, 0.6, 0.9])
    config = TrainingConfig(epochs=9, schedule="alternating", evaluations_per_epoch=1, patience=2)
    history = train(
        new(tokenizer), joint_loader(tokenizer, encoded), config,
        lambda m: {"accuracy": next(scores), "loss": 1.0},
    )  # fmt: skip
    assert history.stopped == "no improvement in 2 evaluations"
    assert len(history.steps) == 4 * 3 * 2 and history.best_step == 2 * 3 * 2


def test_the_finish_starts_from_the_best_weights_with_a_fresh_optimiser(
    tokenizer, encoded, monkeypatch
):
    from bift_utils.training import loop as training

    optimizers, weights, starts = [], [], []
    make, real = training.make_optimizer, training.update

    def watched_optimizer(model, config):
        optimizers.append(config.learning_rate)
        starts.append({name: value.clone() for name, value in model.state_dict().items()})
        return make(model, config)

    def watched(model, optimizer, batch, config, accelerator, weight):
        weights.append((weight, len(batch["labels"])))
        return real(model, optimizer, batch, config, accelerator, weight)

    monkeypatch.setattr(training, "make_optimizer", watched_optimizer)
    monkeypatch.setattr(training, "update", watched)
    scores, snapshots = iter([0.5, 0.8, 0.6, 0.55, 0.7]), []

    def evaluate(model):
        snapshots.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"accuracy": next(scores), "loss": 1.0}

    config = TrainingConfig(
        epochs=3, finish_epochs=2, finish_learning_rate=1e-3, learning_rate=1e-2,
        evaluations_per_epoch=1,
    )  # fmt: skip
    model = new(tokenizer)
    history = train(model, joint_loader(tokenizer, encoded), config, evaluate)
    assert optimizers == [1e-2, 1e-3]
    assert weights == [(0.1, 16)] * 9 + [(0.0, 16)] * 6
    assert history.finish_from == 9 and history.stopped == "all epochs done"
    assert [row["objective"] for row in history.steps] == ["joint"] * 9 + ["task"] * 6
    for name, value in starts[1].items():  # the finish goes on from the second evaluation
        assert torch.equal(value, snapshots[1][name]), name
    assert history.best_step == 6  # nothing in the finish was better
    assert all(torch.equal(v, snapshots[1][name]) for name, v in model.state_dict().items())


def test_a_stopped_run_still_gets_its_finish_with_new_patience(tokenizer, encoded):
    scores = iter([0.8, 0.7, 0.6, 0.65, 0.9, 0.1, 0.1])
    config = TrainingConfig(epochs=9, finish_epochs=3, evaluations_per_epoch=1, patience=2)
    history = train(
        new(tokenizer), joint_loader(tokenizer, encoded), config,
        lambda m: {"accuracy": next(scores), "loss": 1.0},
    )  # fmt: skip
    assert history.finish_from == 9 and len(history.steps) == 18
    assert history.best_step == 15 and history.stopped == "all epochs done"


def test_bf16_trains_and_is_close_to_fp32_at_the_first_step(tokenizer, encoded):
    runs = {}
    for precision in ("fp32", "bf16"):
        config = TrainingConfig(epochs=30, learning_rate=1e-2, precision=precision)
        model = new(tokenizer)
        set_seed(1)
        runs[precision] = train(model, joint_loader(tokenizer, encoded), config).steps
        assert all(p.dtype == torch.float32 for p in model.parameters())
    assert runs["bf16"][0]["loss"] == pytest.approx(runs["fp32"][0]["loss"], rel=0.03)
    assert runs["bf16"][0]["loss"] != runs["fp32"][0]["loss"]
    first, last = runs["bf16"][:9], runs["bf16"][-9:]
    assert sum(row["loss"] for row in last) < 0.8 * sum(row["loss"] for row in first)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"task_updates_per_mlm": 0}, "task_updates_per_mlm was given as 0; expected a whole"),
        ({"task_updates_per_mlm": 0.5}, "given as 0.5; expected a whole number of 1 or more"),
        ({"schedule": "both"}, "schedule was given as 'both'; expected one of"),
        ({"precision": "fp8"}, "precision was given as 'fp8'"),
        ({"schedule": "alternating", "mlm_weight": 0.0}, "alternating schedule .* with λ = 0.0"),
        ({"schedule": "alternating", "mlm_weight": 1.0}, "alternating schedule .* with λ = 1.0"),
        ({"finish_epochs": -1}, "finish_epochs was given as -1"),
        ({"finish_learning_rate": 0.0}, "finish_learning_rate was given as 0.0"),
    ],
)
def test_options_that_make_no_run_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**options)
