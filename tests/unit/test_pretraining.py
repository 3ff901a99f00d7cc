import csv
import itertools
import json
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from transformers import BertForMaskedLM

from bift_utils.commands import pretrain as pretraining
from bift_utils.commands.pretrain import Log, PretrainingRun
from bift_utils.data.batches import IGNORE_INDEX, move_batch
from bift_utils.data.corpus import SPECIAL_TOKENS, split_reviews
from bift_utils.data.texts import LabelledTexts
from bift_utils.models.checkpoints import load_model, load_tokenizer
from bift_utils.training.history import NonFiniteLoss
from bift_utils.training.loop import training_step
from bift_utils.training.pretraining import (
    PretrainingConfig,
    make_optimizers,
    rate_factor,
    training_windows,
)

CONFIG = PretrainingConfig(
    vocab_size=300, layers=1, width=16, heads=2, positions=32, steps=12, batch_windows=4,
    warmup_steps=3, decay_share=0.5,
)  # fmt: skip
OPTIONS = [
    f"--{name.replace('_', '-')}={getattr(CONFIG, name)}"
    for name in ("vocab_size", "layers", "width", "heads", "positions", "steps", "batch_windows",
                 "warmup_steps", "decay_share")
]  # fmt: skip
NO_TIME = [name for name in Log.columns if name != "seconds"]


def make_reviews(n=60):
    """Short reviews; the name in the middle of each tells it from all others."""
    rng = random.Random(0)
    words = ["the", "a", "film", "story", "cast", "was", "very", "good", "bad", "dull", "not"]
    names = ["zq" + a + b for a, b in itertools.product("abcdefgh", repeat=2)][:n]
    parts = [[" ".join(rng.choices(words, k=6)) + "." for _ in range(2)] for _ in names]
    return [
        f"{one} With {name} in it! {two}" for name, (one, two) in zip(names, parts, strict=True)
    ]


REVIEWS = make_reviews()


def names_in(texts):
    return {name for name in (text.split("With ")[1][:4] for text in texts)}


@pytest.fixture(scope="module", autouse=True)
def few_reviews():
    def load(source):
        assert source == "imdb"
        return LabelledTexts(REVIEWS, [0] * len(REVIEWS))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretraining, "load_reviews", load)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory, few_reviews):
    """A run from start to end in one go."""
    run = PretrainingRun(tmp_path_factory.mktemp("whole") / "state", CONFIG)
    start = weights(run)
    run.train(CONFIG.steps, log_every=1, validate_every=5)
    assert not torch.equal(start["cls.predictions.bias"], weights(run)["cls.predictions.bias"])
    return run


@pytest.fixture(scope="module")
def exported(whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "checkpoint"
    pretraining.main([str(whole.state), *OPTIONS, "--until=0", f"--output={folder}", "--machine=x"])
    return folder


def weights(run):
    return {name: value.clone().cpu() for name, value in run.model.state_dict().items()}


def log(run):
    with (run.state / "log.csv").open(newline="") as file:
        return [[row[name] for name in NO_TIME] for row in csv.DictReader(file)]


def assert_same_run(one, two):
    assert one.step == two.step == CONFIG.steps
    assert one.tokens == two.tokens
    assert log(one) == log(two)
    for name, value in weights(one).items():
        assert torch.equal(value, weights(two)[name]), name


# resuming


def test_a_run_that_was_stopped_and_resumed_ends_with_the_same_bits(whole, tmp_path):
    first = PretrainingRun(tmp_path, CONFIG)
    first.train(5, log_every=1, validate_every=5)
    assert first.step == 5
    second = PretrainingRun(tmp_path, CONFIG)
    assert second.step == 5
    second.train(CONFIG.steps, log_every=1, validate_every=5)
    assert_same_run(second, whole)


def test_a_run_that_was_killed_between_two_saves_ends_with_the_same_bits(whole, tmp_path):
    killed = PretrainingRun(tmp_path, CONFIG)
    make_batch = killed.make_batch

    def kill_at_eight(step, windows):
        if step == 8:
            raise KeyboardInterrupt
        return make_batch(step, windows)

    killed.make_batch = kill_at_eight
    with pytest.raises(KeyboardInterrupt):
        killed.train(CONFIG.steps, log_every=1, validate_every=5)
    assert log(killed)[-1][0] == "8"  # the log is ahead of what was saved
    second = PretrainingRun(tmp_path, CONFIG)
    assert second.step == 5
    second.train(CONFIG.steps, log_every=1, validate_every=5)
    assert_same_run(second, whole)


def test_a_kill_while_saving_leaves_the_old_state(tmp_path, monkeypatch):
    run = PretrainingRun(tmp_path, CONFIG)
    run.train(1)

    def save_half(saved, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", save_half)
    with pytest.raises(KeyboardInterrupt):
        run.train(2)
    assert PretrainingRun(tmp_path, CONFIG).step == 1


def test_another_seed_ends_elsewhere(whole, tmp_path):
    other = PretrainingRun(tmp_path, replace(CONFIG, seed=1))
    other.train(CONFIG.steps, log_every=1, validate_every=5)
    assert log(other) != log(whole)


@pytest.mark.parametrize("option, value", [("learning_rate", 0.5), ("seed", 7), ("layers", 2)])
def test_a_run_is_not_resumed_with_another_configuration(whole, option, value):
    old = getattr(CONFIG, option)
    message = rf"belongs to another run; it differs in {option} \(saved: {old}, now: {value}\)"
    with pytest.raises(ValueError, match=message):
        PretrainingRun(whole.state, replace(CONFIG, **{option: value}))


def test_rows_of_the_log_past_the_resumed_step_are_dropped(tmp_path):
    path = tmp_path / "log.csv"
    ahead = Log(path, 0)
    for step in (5, 10):
        ahead.append({"step": step, "train_loss": 1.0})
    Log(path, 5).append({"step": 6})
    with path.open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["5", "6"]


# what a run reads


def test_the_log_has_every_step_and_counts_tokens(whole):
    rows = [dict(zip(NO_TIME, row, strict=True)) for row in log(whole)]
    assert [int(row["step"]) for row in rows] == list(range(1, 13))
    validated = [int(row["step"]) for row in rows if row["validation_loss"]]
    assert validated == [5, 10, 12]
    tokens = [0] + [int(row["tokens"]) for row in rows]
    most = CONFIG.batch_windows * CONFIG.positions
    assert all(0 < b - a <= most for a, b in itertools.pairwise(tokens))
    stream = training_windows(whole.reviews, whole.tokenizer, CONFIG, 0)
    read = (sum(map(len, windows)) for windows in itertools.islice(stream, 12))
    assert tokens[1:] == list(itertools.accumulate(read))  # padding is no text


def test_the_log_validates_on_held_out_reviews(tmp_path, monkeypatch):
    seen, batches = [], pretraining.validation_batches

    def watched(reviews, *rest, **options):
        seen.append(reviews)
        return batches(reviews, *rest, **options)

    monkeypatch.setattr(pretraining, "validation_batches", watched)
    run = PretrainingRun(tmp_path, CONFIG)
    run.train(1)
    assert len(seen) == 1 and seen[0] is run.held_out is not run.reviews


def test_the_tokenizer_never_sees_a_held_out_review(tmp_path, monkeypatch):
    seen = []
    train_tokenizer = pretraining.train_tokenizer

    def watched(texts, vocab_size):
        seen.extend(texts)
        return train_tokenizer(texts, vocab_size)

    monkeypatch.setattr(pretraining, "train_tokenizer", watched)
    PretrainingRun(tmp_path, CONFIG)
    training, held_out = split_reviews(REVIEWS)
    assert seen == training
    assert len(held_out) == 6 and not set(seen) & set(held_out)
    PretrainingRun(tmp_path, CONFIG)  # a second start reads the tokenizer from the state
    assert len(seen) == len(training)


def test_a_held_out_review_is_never_in_the_training_windows(whole):
    long_run = replace(CONFIG, steps=200)
    stream = training_windows(whole.reviews, whole.tokenizer, long_run, 0)
    read = " ".join(
        whole.tokenizer.decode(window).replace(" ##", "")
        for windows in itertools.islice(stream, 190)
        for window in windows
    )
    training, held_out = split_reviews(REVIEWS)
    assert all(name in read for name in names_in(training))
    assert not any(name in read for name in names_in(held_out))


def test_the_stream_can_be_entered_anywhere(whole):
    def windows(start, stop):
        stream = training_windows(whole.reviews, whole.tokenizer, CONFIG, start)
        return list(itertools.islice(stream, stop - start))

    all_steps = windows(0, 12)
    assert len(all_steps) == 12
    assert windows(5, 12) == all_steps[5:]
    assert windows(9, 12) == all_steps[9:]


def test_each_epoch_reads_each_window_once_in_another_order(whole, monkeypatch):
    monkeypatch.setattr(
        "bift_utils.training.pretraining.make_windows", lambda *_: [[i] * 5 for i in range(40)]
    )
    stream = training_windows(whole.reviews, whole.tokenizer, CONFIG, 0)
    steps = itertools.islice(stream, 20)  # ten steps of four windows are an epoch
    read = [window[0] for windows in steps for window in windows]
    assert sorted(read[:40]) == sorted(read[40:]) == list(range(40))
    assert read[:40] != read[40:]


def test_windows_and_masks_are_those_of_the_options(whole):
    hidden = words = 0
    stream = training_windows(whole.reviews, whole.tokenizer, CONFIG, 0)
    for step, windows in enumerate(itertools.islice(stream, 12)):
        assert max(len(window) for window in windows) <= CONFIG.positions
        assert len(windows) <= CONFIG.batch_windows
        batch = whole.make_batch(step, windows)
        assert torch.equal(batch["input_ids"], whole.make_batch(step, windows)["input_ids"])
        other = whole.make_batch(step + 1, windows)
        assert not torch.equal(batch["mlm_labels"], other["mlm_labels"])
        hidden += int((batch["mlm_labels"] != IGNORE_INDEX).sum())
        words += sum(len(window) - 2 for window in windows)
    assert hidden / words == pytest.approx(CONFIG.masking_rate, abs=0.08)


# the schedule


def test_learning_rate_rises_stays_and_falls_to_zero():
    config = PretrainingConfig(steps=1000, warmup_steps=100, decay_share=0.2)
    factors = [rate_factor(step, config) for step in range(1001)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[:100] == sorted(factors[:100])
    assert set(factors[99:801]) == {1.0}
    assert factors[900] == pytest.approx(0.5)
    assert factors[1000] == 0.0
    assert factors[801:] == sorted(factors[801:], reverse=True)
    assert rate_factor(1200, config) == 0.0


def test_before_the_rate_falls_a_run_does_not_depend_on_its_length():
    short, long = PretrainingConfig(steps=1000), PretrainingConfig(steps=4000)
    same = [rate_factor(step, short) == rate_factor(step, long) for step in range(1001)]
    assert same == [step <= short.decay_begins for step in range(1001)]


def test_a_run_whose_rate_is_constant_can_be_made_longer(tmp_path):
    PretrainingRun(tmp_path, CONFIG).train(5)
    longer = replace(CONFIG, steps=20)
    run = PretrainingRun(tmp_path, longer)
    assert run.step == 5
    run.train(12)
    with pytest.raises(ValueError, match="can only be changed before the rate falls"):
        PretrainingRun(tmp_path, CONFIG)
    assert PretrainingRun(tmp_path, longer).step == 12


def test_a_fall_that_does_not_fit_is_refused():
    PretrainingConfig(steps=1000, warmup_steps=200, decay_share=0.8)
    with pytest.raises(ValueError, match="leaves room for the warm-up"):
        PretrainingConfig(steps=1000, warmup_steps=200, decay_share=0.9)


def test_each_parameter_has_one_optimizer(whole):
    model = load_model("bift-mini")
    muon, adamw = make_optimizers(model, CONFIG)
    of = {
        id(p): optimizer for optimizer in (muon, adamw) for p in optimizer.param_groups[0]["params"]
    }
    assert len(of) == sum(len(o.param_groups[0]["params"]) for o in (muon, adamw))
    assert set(of) == {id(parameter) for parameter in model.parameters()}
    layer = model.bert.encoder.layer[0]
    assert of[id(layer.output.dense.weight)] is muon
    assert of[id(layer.output.dense.bias)] is adamw
    assert of[id(model.bert.embeddings.word_embeddings.weight)] is adamw


def test_updates_use_the_rate_of_their_step(tmp_path):
    run = PretrainingRun(tmp_path, CONFIG)
    run.train(2)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in run.optimizers]
    expected = [CONFIG.muon_learning_rate, CONFIG.learning_rate]
    assert rates == pytest.approx([rate * 2 / 3 for rate in expected])  # 2 of 3 steps of warm-up


def test_gradients_are_clipped_to_a_length_of_one(tmp_path):
    run = PretrainingRun(tmp_path, replace(CONFIG, initializer_range=0.5))
    windows = next(training_windows(run.reviews, run.tokenizer, run.config, 0))
    batch, lengths = run.make_batch(0, windows), []

    def length():
        grads = [p.grad.flatten() for p in run.model.parameters() if p.grad is not None]
        lengths.append(float(torch.cat(grads).norm()))

    training_step(run.model, move_batch(batch, run.model.device), 1.0)["loss"].backward()
    length()
    run.model.zero_grad()
    run.optimizers = [SimpleNamespace(param_groups=[{}], step=length, zero_grad=lambda: None)] * 2
    run.update(batch)
    assert lengths[0] > 1.5 and lengths[1:] == pytest.approx([1.0, 1.0], abs=1e-4)


def test_a_loss_that_is_no_number_is_not_stepped_on(tmp_path):
    run = PretrainingRun(tmp_path, CONFIG)
    windows = next(training_windows(run.reviews, run.tokenizer, run.config, 0))
    batch = run.make_batch(0, windows)
    with torch.no_grad():
        run.model.cls.predictions.bias[0] = float("nan")
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    with pytest.raises(NonFiniteLoss, match="step 0 became nan.*Lower the learning rates"):
        run.update(batch)
    for name, value in run.model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


def test_a_model_learns(tmp_path):
    config = replace(CONFIG, steps=60, learning_rate=1e-2)
    run = PretrainingRun(tmp_path, config)
    windows = next(training_windows(run.reviews, run.tokenizer, config, 0))
    batch = move_batch(run.make_batch(0, windows), run.model.device)
    before = training_step(run.model, batch, 1.0)["loss"].item()
    run.train(60)
    assert training_step(run.model, batch, 1.0)["loss"].item() < before - 0.5


# export


def test_export_writes_a_checkpoint_its_log_its_configuration_and_its_card(exported, whole):
    names = {path.name for path in exported.iterdir()}
    assert names >= {
        "config.json", "model.safetensors", "tokenizer.json", "training_log.csv",
        "pretraining.json", "README.md",
    }  # fmt: skip
    assert json.loads((exported / "pretraining.json").read_text())["steps"] == 12
    assert len((exported / "training_log.csv").read_text().splitlines()) == 13
    vocabulary = load_tokenizer(exported).get_vocab()
    assert vocabulary == whole.tokenizer.get_vocab()
    assert set(SPECIAL_TOKENS) <= set(vocabulary)


def test_export_keeps_the_weights_up_to_half_precision(exported, whole):
    loaded = load_model(exported)
    for name, value in weights(whole).items():
        if name not in loaded.created:
            assert torch.equal(loaded.state_dict()[name], value.half().float()), name
    assert BertForMaskedLM.from_pretrained(exported).dtype == torch.float32


def test_the_card_says_how_the_checkpoint_was_made(exported, whole):
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert "{" not in card
    assert "12 of 12 steps" in card
    assert "machine | x, 0.0 hours" in card
    options = dict(part.split() for part in card.split("FOLDER --")[1].split("\n")[0].split(" --"))
    given = dict(option[2:].split("=") for option in OPTIONS)
    assert options == given


def test_a_stopped_run_can_be_exported(tmp_path):
    folder = tmp_path / "checkpoint"
    pretraining.main([str(tmp_path / "state"), *OPTIONS, "--until=2", f"--output={folder}"])
    assert "2 of 12 steps" in (folder / "README.md").read_text(encoding="utf-8")


def test_an_existing_checkpoint_is_refused_before_training(exported, tmp_path, monkeypatch, capsys):
    before = (exported / "model.safetensors").read_bytes()
    monkeypatch.setattr(pretraining, "PretrainingRun", None)  # to build it would raise TypeError
    with pytest.raises(SystemExit):
        pretraining.main([str(tmp_path / "state"), *OPTIONS, f"--output={exported}"])
    assert "already holds a checkpoint; choose another folder" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()
    assert (exported / "model.safetensors").read_bytes() == before
