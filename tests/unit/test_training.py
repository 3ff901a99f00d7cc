import math

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from tiny import tiny_config
from torch.nn import functional
from transformers import BertForSequenceClassification, get_linear_schedule_with_warmup

from bift_utils.data.batches import IGNORE_INDEX, make_loader
from bift_utils.evaluation.metrics import evaluate_sequence
from bift_utils.masking.collators import JointCollator, SequenceCollator
from bift_utils.models.joint import new_model
from bift_utils.runtime import make_generator, set_seed
from bift_utils.training import loop as training
from bift_utils.training.history import STOPPED_BY_HAND, BestWeights, History, NonFiniteLoss
from bift_utils.training.loop import train, training_step
from bift_utils.training.options import TrainingConfig, evaluation_turns


def joint_loader(tokenizer, encoded, weight, batch_size=8):
    collator = JointCollator(tokenizer, make_generator(1), mlm_probability=0.3)
    return make_loader(encoded, collator, batch_size, seed=0)


def model_and_batch(tokenizer, encoded, weight, **options):
    set_seed(0)
    model = new_model(tiny_config(tokenizer, **options))
    return model, next(iter(joint_loader(tokenizer, encoded, weight)))


def test_loss_is_the_weighted_sum_by_hand(tokenizer, encoded):
    model, batch = model_and_batch(tokenizer, encoded, 0.3)
    model.eval()
    losses = training_step(model, batch, 0.3)
    asked = batch["mlm_labels"] != IGNORE_INDEX
    out = model(
        batch["input_ids"], batch["attention_mask"],
        masked_positions=asked, classified=batch["labels"] != IGNORE_INDEX,
    )  # fmt: skip
    mlm = functional.cross_entropy(out["mlm_logits"], batch["mlm_labels"][asked])
    task = functional.cross_entropy(out["class_logits"], batch["labels"][:8])
    torch.testing.assert_close(losses["loss"], 0.3 * mlm + 0.7 * task)
    torch.testing.assert_close(losses["mlm_loss"], mlm)
    torch.testing.assert_close(losses["task_loss"], task)


def plain_fine_tuning(model, loader, config: TrainingConfig):
    """An ordinary loop, written without this package's losses, collators or loop."""
    vectors = [p for p in model.parameters() if p.ndim < 2]
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
    total = config.epochs * len(loader)
    schedule = get_linear_schedule_with_warmup(optimizer, round(config.warmup_share * total), total)
    model.train()
    for _ in range(config.epochs):
        for batch in loader:
            logits = model(batch["input_ids"], batch["attention_mask"]).logits
            functional.cross_entropy(logits, batch["labels"]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()


def test_weight_zero_is_plain_fine_tuning_bit_for_bit(tokenizer, encoded):
    config = TrainingConfig(mlm_weight=0.0, epochs=3, learning_rate=1e-2)
    set_seed(0)
    ours = new_model(tiny_config(tokenizer, pooling="pooler"))
    theirs = BertForSequenceClassification(ours.config)
    theirs.load_state_dict(ours.state_dict(), strict=False)
    start = {name: value.clone() for name, value in ours.state_dict().items()}
    set_seed(5)
    train(ours, joint_loader(tokenizer, encoded, 0.0), config)
    set_seed(5)
    loader = make_loader(encoded, SequenceCollator(tokenizer), 8, seed=0)
    plain_fine_tuning(theirs, loader, config)
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
    moved = "bert.encoder.layer.0.output.dense.weight"
    assert not torch.equal(ours.state_dict()[moved], start[moved])


def test_weight_one_leaves_classifier_and_pooler_untouched(tokenizer, encoded):
    set_seed(0)
    model = new_model(tiny_config(tokenizer, pooling="pooler"))
    start = {name: value.clone() for name, value in model.state_dict().items()}
    config = TrainingConfig(mlm_weight=1.0, epochs=2, learning_rate=1e-2, weight_decay=0.5)
    train(model, joint_loader(tokenizer, encoded, 1.0), config)
    after = model.state_dict()
    for name in start:
        still = name.startswith(("classifier.", "bert.pooler."))
        assert torch.equal(after[name], start[name]) == still or name.endswith("position_ids"), name


@pytest.mark.parametrize(
    "weight, untouched", [(0.0, "cls.predictions.transform"), (1.0, "classifier")]
)
def test_an_unused_head_has_no_gradient_at_all(tokenizer, encoded, weight, untouched):
    model, batch = model_and_batch(tokenizer, encoded, weight)
    training_step(model, batch, weight)["loss"].backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    assert all(g is None for name, g in gradients.items() if name.startswith(untouched))
    assert gradients["bert.encoder.layer.0.attention.self.query.weight"] is not None


def test_a_batch_with_nothing_masked_gives_zero_and_not_nan(tokenizer, encoded):
    model, batch = model_and_batch(tokenizer, encoded, 0.3)
    batch["mlm_labels"].fill_(IGNORE_INDEX)
    losses = training_step(model, batch, 0.3)
    losses["loss"].backward()
    assert losses["mlm_loss"].item() == 0.0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_training_learns_and_the_history_has_every_step(tokenizer, encoded, labels):
    set_seed(0)
    model = new_model(tiny_config(tokenizer))
    config = TrainingConfig(mlm_weight=0.3, epochs=30, learning_rate=1e-2)
    batches = list(make_loader(encoded, SequenceCollator(tokenizer), 8, shuffle=False))
    seen = []
    history = train(
        model, joint_loader(tokenizer, encoded, 0.3), config,
        lambda m: evaluate_sequence(m, batches), callbacks=[lambda h: seen.append(len(h.steps))],
    )  # fmt: skip
    steps, losses = history.column("task_loss")
    assert steps == list(range(1, 91))
    assert math.fsum(losses[-10:]) < 0.5 * math.fsum(losses[:10])
    assert history.evaluations[-1]["accuracy"] > 0.9
    assert seen == evaluation_turns(3, config.epochs, config.evaluations_per_epoch)
    assert history.stopped == "all epochs done"


def test_the_best_weights_are_put_back(tokenizer, encoded):
    set_seed(0)
    model = new_model(tiny_config(tokenizer))
    scores = iter([0.5, 0.9, 0.7, 0.6])
    snapshots = []

    def evaluate(model):
        snapshots.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"accuracy": next(scores), "loss": 1.0}

    config = TrainingConfig(epochs=4, evaluations_per_epoch=1, learning_rate=1e-2)
    history = train(model, joint_loader(tokenizer, encoded, 0.3), config, evaluate)
    assert history.best_step == 6
    for name, value in model.state_dict().items():
        assert torch.equal(value, snapshots[1][name])
    changed = "classifier.weight"
    assert not torch.equal(snapshots[1][changed], snapshots[3][changed])


def test_early_stopping_stops(tokenizer, encoded):
    scores = iter([0.5, 0.6, 0.6, 0.55, 0.9, 0.9])
    config = TrainingConfig(epochs=6, evaluations_per_epoch=1, patience=2)
    history = train(
        new_model(tiny_config(tokenizer)), joint_loader(tokenizer, encoded, 0.3), config,
        lambda m: {"accuracy": next(scores), "loss": 1.0},
    )  # fmt: skip
    assert len(history.evaluations) == 4
    assert len(history.steps) == 12
    assert history.best_step == 6
    assert history.stopped == "no improvement in 2 evaluations"


def test_an_equal_accuracy_counts_only_with_a_lower_loss(tiny_model):
    best = BestWeights(patience=2)
    assert not best.update(tiny_model, 1, {"accuracy": 0.7, "loss": 0.6})
    assert not best.update(tiny_model, 2, {"accuracy": 0.7, "loss": 0.5})
    assert best.step == 2
    assert not best.update(tiny_model, 3, {"accuracy": 0.7, "loss": 0.5})
    assert best.update(tiny_model, 4, {"accuracy": 0.6, "loss": 0.1})
    assert best.step == 2


def test_a_score_that_the_evaluation_names_decides_before_its_accuracy(tiny_model):
    best = BestWeights(patience=None)
    best.update(tiny_model, 1, {"score": 0.5, "accuracy": 0.6, "loss": 1.0})
    best.update(tiny_model, 2, {"score": 0.4, "accuracy": 0.9, "loss": 0.5})
    assert best.step == 1


def fp16_run(tokenizer, encoded, precision, monkeypatch, scale=2.0**12):
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model, _ = model_and_batch(tokenizer, encoded, 0.3, **still)
    scaler = torch.amp.GradScaler
    monkeypatch.setattr(torch.amp, "GradScaler", lambda kind, init_scale: scaler(kind, scale))
    config = TrainingConfig(epochs=3, learning_rate=2e-3, precision=precision)
    history = train(model, joint_loader(tokenizer, encoded, 0.3), config)
    monkeypatch.undo()
    return model, torch.tensor(history.column("loss")[1])


def test_fp16_learns_as_fp32_does(tokenizer, encoded, monkeypatch):
    _, whole = fp16_run(tokenizer, encoded, "fp32", monkeypatch)
    _, half = fp16_run(tokenizer, encoded, "fp16", monkeypatch)
    assert 1e-6 < (half - whole).abs().max() < 0.02
    assert half[-3:].mean() < half[:3].mean() - 0.05


def test_gradients_that_the_scale_of_fp16_makes_infinite_are_left_out(
    tokenizer, encoded, monkeypatch
):
    start, _ = model_and_batch(tokenizer, encoded, 0.3)
    model, losses = fp16_run(tokenizer, encoded, "fp16", monkeypatch, scale=2.0**60)
    assert len(losses) == 9 and losses.isfinite().all()
    for name, value in start.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_an_interrupt_leaves_model_and_history_usable(tokenizer, encoded):
    model = new_model(tiny_config(tokenizer))

    def evaluate(model):
        raise KeyboardInterrupt

    config = TrainingConfig(epochs=2, evaluations_per_epoch=1)
    history = train(model, joint_loader(tokenizer, encoded, 0.3), config, evaluate)
    assert history.stopped == "stopped by hand"
    assert len(history.steps) == 3
    assert torch.isfinite(model.classifier.weight).all()


@pytest.mark.parametrize(
    "options",
    [{}, {"schedule": "alternating"}, {"schedule": "alternating", "task_updates_per_mlm": 2},
     {"finish_epochs": 1}],
)  # fmt: skip
def test_the_rate_falls_to_zero_with_the_last_update(tokenizer, encoded, options, monkeypatch):
    planned = []
    made = training.get_linear_schedule_with_warmup
    monkeypatch.setattr(
        training, "get_linear_schedule_with_warmup",
        lambda *arguments: planned.append(arguments) or made(*arguments),
    )  # fmt: skip
    model = new_model(tiny_config(tokenizer))
    config = TrainingConfig(epochs=2, warmup_share=0.5, **options)
    history = train(model, joint_loader(tokenizer, encoded, 0.3), config)
    assert sum(total for _, _, total in planned) == len(history.steps)
    assert [warmup for _, warmup, _ in planned] == [round(0.5 * total) for *_, total in planned]
    assert (history.finish_from is None) == ("finish_epochs" not in options)


def test_same_seed_same_weights(tokenizer, encoded):
    def run():
        set_seed(3)
        model = new_model(tiny_config(tokenizer))
        train(model, joint_loader(tokenizer, encoded, 0.5), TrainingConfig(0.5, epochs=2))
        return model.state_dict()

    first, second = run(), run()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("per_epoch, steps", [(1, [7, 14]), (2, [4, 7, 10, 14])])
def test_evaluations_are_spread_evenly_and_end_at_the_last_step(per_epoch, steps):
    assert evaluation_turns(7, 2, per_epoch) == steps


class Poisoned(torch.nn.Module):
    """A model whose answers become NaN after some forward passes in training."""

    def __init__(self, model, good):
        super().__init__()
        self.model, self.good, self.config = model, good, model.config

    @property
    def device(self):
        return self.model.device

    def forward(self, *inputs, **options):
        outputs = self.model(*inputs, **options)
        if self.training:
            self.good -= 1
            if self.good < 0:
                return {name: value * float("nan") for name, value in outputs.items()}
        return outputs


def test_a_loss_that_is_no_number_ends_the_run_with_what_was_best(tokenizer, encoded):
    model = Poisoned(model_and_batch(tokenizer, encoded, 0.3)[0], good=5)
    kept = []

    def evaluate(model):
        kept.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"loss": 1.0 / len(kept)}

    config = TrainingConfig(epochs=4, evaluations_per_epoch=1)
    history = train(model, joint_loader(tokenizer, encoded, 0.3), config, evaluate)
    assert history.stopped == (
        "The loss became nan at update 6; lower the learning rate. "
        "The weights are those of update 3"
    )
    assert history.best_step == 3 and len(history.steps) == 5
    assert all(torch.equal(value, kept[0][name]) for name, value in model.state_dict().items())


def test_a_loss_that_is_no_number_at_once_is_an_error(tokenizer, encoded):
    model = Poisoned(model_and_batch(tokenizer, encoded, 0.3)[0], good=1)
    with pytest.raises(
        NonFiniteLoss, match="became nan at update 2.* Nothing was evaluated before"
    ):
        train(model, joint_loader(tokenizer, encoded, 0.3), TrainingConfig(epochs=1))
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_nan_is_never_the_best():
    best = BestWeights(patience=None)
    model = torch.nn.Linear(1, 1)
    for step, measured in enumerate([{"loss": math.nan}, {"loss": 0.5},
                                     {"loss": math.nan, "accuracy": 0.9}], start=1):  # fmt: skip
        best.update(model, step, measured)
    assert best.step == 2


def test_a_loader_without_batches_is_refused(tokenizer, encoded):
    model, _ = model_and_batch(tokenizer, encoded, 0.3)
    with pytest.raises(ValueError, match="The loader has no batch"):
        train(model, [], TrainingConfig())


def test_an_infinite_gradient_of_a_finite_loss_is_not_stepped_on(tokenizer, encoded):
    model, _ = model_and_batch(tokenizer, encoded, 0.3)
    model.classifier.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(NonFiniteLoss, match="The gradient became (inf|nan) at update 1"):
        train(model, joint_loader(tokenizer, encoded, 0.3), TrainingConfig(epochs=1))
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


@pytest.mark.parametrize("broken, error", [({"stopped": STOPPED_BY_HAND}, KeyboardInterrupt),
                                           ({"diverged": True}, NonFiniteLoss)])  # fmt: skip
def test_a_run_that_was_cut_off_is_not_whole(broken, error):
    History().check_whole()
    with pytest.raises(error):
        History(**broken).check_whole()


@pytest.mark.parametrize("weight, left", [(1.0, ["classifier.bias"]), (0.3, []),
                                          (0.0, ["cls.predictions.bias"])])  # fmt: skip
def test_a_created_head_answers_once_it_was_trained(tokenizer, encoded, weight, left):
    model, _ = model_and_batch(tokenizer, encoded, weight)
    model.created = ["classifier.bias", "cls.predictions.bias"]
    config = TrainingConfig(mlm_weight=weight, epochs=1)
    train(model, joint_loader(tokenizer, encoded, weight), config)
    assert model.created == left


@pytest.fixture
def no_accelerator():
    """Nothing is left of the accelerators made before, nor of those made in the test."""

    def forget():
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()

    forget()
    yield
    forget()


@pytest.mark.parametrize("before", ["an accelerator", "the environment"])
def test_the_options_alone_choose_precision_and_accumulation(
    tokenizer, encoded, before, no_accelerator, monkeypatch
):
    def losses():
        model, _ = model_and_batch(tokenizer, encoded, 0.3)
        return train(model, joint_loader(tokenizer, encoded, 0.3), TrainingConfig(epochs=1)).steps

    expected = losses()
    AcceleratorState._reset_state(reset_partial_state=True)
    if before == "an accelerator":
        Accelerator(cpu=True, mixed_precision="bf16", gradient_accumulation_steps=4)
    else:
        monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
        monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    assert losses() == expected
