"""The parts of the benchmarks that can be wrong; speed itself is measured by hand."""

from types import SimpleNamespace

import benchmark
import pytest
import torch
from benchmark import (
    JointLoss,
    Ratio,
    TwoPasses,
    against_the_peak,
    group_of,
    median_speed,
    spread_batches,
    take_turns,
)

from bift_utils.data import batches as data
from bift_utils.evaluation.flops import FlopMeter, forward_flops
from bift_utils.masking.collators import JointCollator
from bift_utils.runtime import make_generator
from bift_utils.training.loop import training_step


def test_contenders_take_turns_and_the_median_leaves_out_the_warm_up():
    ticks, order = iter([0, 1, 10, 13, 20, 22, 30, 35]), []

    def contender(name, work):
        return lambda: order.append(name) or work

    steps = take_turns({"a": contender("a", 7), "b": contender("b", 8)}, 2, lambda: next(ticks))
    assert order == ["a", "b", "a", "b"]
    assert steps == {"a": [(7, 1), (7, 2)], "b": [(8, 3), (8, 5)]}
    assert median_speed(steps["b"]) == 8 / 5
    assert median_speed([(100, 1000.0), (100, 1.0), (100, 2.0), (300, 1.0)]) == 100.0


def test_the_share_of_the_peak_counts_forward_and_backward(tokenizer, tiny_model, texts, labels):
    collator = JointCollator(tokenizer, make_generator(1), mlm_probability=0.9)
    encoded = data.encode_texts(tokenizer, texts, labels)
    batch = collator([encoded[i] for i in range(len(encoded))])
    blanks = int((batch["mlm_labels"] != -100).sum())
    with FlopMeter(tiny_model.train()) as meter:
        for _ in range(2):
            training_step(tiny_model, batch, 0.3)
    rows, tokens = batch["input_ids"].shape
    a_step = 3 * forward_flops(tiny_model.config, rows, tokens, blanks, len(texts))
    # a step of 4 sentences takes 2 seconds, and the product would do as much in a quarter of that
    measured = {"ours": [(4, 1.0), (4, 2.0)], "peak": [(a_step, 1.0), (a_step, 0.5)]}
    found = against_the_peak(measured, meter, lambda: torch.ones(300, 300) @ torch.ones(300, 300))
    ratio = Ratio("step", "sentences/s", 2.0, 1.0, None, **found)
    assert ratio.flops == pytest.approx(a_step / 2) and ratio.share == pytest.approx(0.25)
    assert "ours: 25% of the" in ratio.line() and "matrix products" in ratio.profile
    assert Ratio("masking", "tokens/s", 2.0, 1.0, 1.0).share is None


def test_what_an_optimiser_calls_is_the_optimisers():
    step = SimpleNamespace(name="Optimizer.step#AdamW.step", cpu_parent=None)
    product = SimpleNamespace(name="aten::addmm", cpu_parent=None)
    assert group_of(product) == "matrix products"
    assert group_of(SimpleNamespace(name="aten::mm", cpu_parent=step)) == "optimiser"


@pytest.mark.parametrize("speed, status", [(0.96, 0), (0.94, 1)])
def test_a_missed_goal_is_said_and_shows_in_the_status(speed, status, monkeypatch, capsys):
    ratio = Ratio("step", "tokens/s", 1000 * speed, 1000.0, 0.95)
    monkeypatch.setattr(benchmark, "COMPARISONS", {"step": lambda rounds, clock: [ratio]})
    assert benchmark.main(["--only", "step"]) == status
    verdict = "MISSED" if status else "reached"
    assert f"step: {1000 * speed:.0f} against 1,000 tokens/s" in (said := capsys.readouterr().out)
    assert f"{speed:.2f} × (goal 0.95 ×: {verdict})" in said


def test_the_batches_of_a_round_stand_for_a_whole_pass():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(4, 60, (32 * 200,), generator=generator).tolist()
    encoded = data.EncodedTexts([[5] * length for length in lengths])
    longest = [max(lengths[i] for i in batch) for batch in spread_batches(encoded)]
    everything = [
        max(lengths[i] for i in batch) for batch in data.LengthBucketSampler(lengths, 32, 0)
    ]
    assert len(longest) == benchmark.SPREAD and longest == sorted(longest)
    mean = sum(everything) / len(everything)
    assert sum(longest) / len(longest) == pytest.approx(mean, rel=0.05)


def test_the_ordinary_way_shares_one_encoder_and_ties_its_words(tokenizer, texts, labels):
    encoded = data.encode_texts(tokenizer, texts * 8, labels * 8, max_length=16)
    ordinary = TwoPasses(encoded, tokenizer, pad_to=24)
    encoder = ordinary.classifier.bert
    assert ordinary.masked_lm.bert is encoder
    words = encoder.embeddings.word_embeddings.weight
    assert ordinary.masked_lm.cls.predictions.decoder.weight is words
    assert sum(p is words for p in ordinary.parameters) == 1
    clean, masked = next(ordinary.batches)
    assert clean["input_ids"].shape == masked["input_ids"].shape == (32, 24)
    before = words.detach().clone()
    assert ordinary() == 32
    assert not torch.equal(before, words)


def test_the_trainer_is_given_the_loss_of_the_package(tokenizer, tiny_model, texts, labels):
    collator = JointCollator(tokenizer, make_generator(1))
    encoded = data.encode_texts(tokenizer, texts, labels)
    batch = collator([encoded[i] for i in range(len(encoded))])
    tiny_model.eval()
    theirs = JointLoss(tiny_model)(**batch)["loss"]
    assert torch.equal(theirs, training_step(tiny_model, batch, benchmark.WEIGHT)["loss"])
