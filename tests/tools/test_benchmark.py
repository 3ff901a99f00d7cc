"""The arithmetic of `benchmark.py`, with made-up timings; speed itself is measured by hand."""

import json

import benchmark
import pytest
import torch
from benchmark import Ratio, TwoPasses, median_speed, spread_batches, take_turns

from bift_utils.data import batches as data


def test_the_median_leaves_out_the_warm_up_and_outliers():
    steps = [(100, 1000.0), (100, 1.0), (100, 2.0), (300, 1.0)]  # the first one is the warm-up
    assert median_speed(steps) == 100.0
    with pytest.raises(ValueError, match="1 rounds were measured; expected more than 1"):
        median_speed(steps[:1])


def test_contenders_take_turns_and_are_timed_alone():
    ticks, order = iter([0, 1, 10, 13, 20, 22, 30, 35]), []

    def contender(name, work):
        return lambda: order.append(name) or work

    steps = take_turns({"a": contender("a", 7), "b": contender("b", 8)}, 2, lambda: next(ticks))
    assert order == ["a", "b", "a", "b"]
    assert steps == {"a": [(7, 1), (7, 2)], "b": [(8, 3), (8, 5)]}


def test_a_ratio_knows_its_goal():
    reached = Ratio("step", "tokens/s", 4400.0, 2000.0, 2.2)
    missed = Ratio("step", "tokens/s", 4399.0, 2000.0, 2.2)
    assert reached.reached and not missed.reached
    assert reached.line() == "step: 4,400 against 2,000 tokens/s, 2.20 × (goal 2.2 ×: reached)"
    assert missed.line().endswith("MISSED)")


@pytest.mark.parametrize("speeds, status", [((30.0, 10.0), 0), ((19.0, 10.0), 1)])
def test_status_and_file(speeds, status, monkeypatch, tmp_path, capsys):
    def compare(rounds, clock):
        assert rounds == 5
        return [Ratio("fine", "u/s", 2.0, 1.0, 1.0), Ratio("other", "u/s", *speeds, 2.0)]

    monkeypatch.setattr(benchmark, "COMPARISONS", {"joint": compare})
    path = tmp_path / "speed.json"
    assert benchmark.main(["--rounds", "5", "--json", str(path)]) == status
    written = json.loads(path.read_text(encoding="utf-8"))
    assert [row["ratio"] for row in written["ratios"]] == [2.0, speeds[0] / speeds[1]]
    assert [row["reached"] for row in written["ratios"]] == [True, not status]
    assert written["clock"] == "wall" and written["environment"]["torch"]
    assert capsys.readouterr().out.count("goal") == 2


def test_only_one_comparison(monkeypatch, capsys):
    def never(rounds, clock):
        raise AssertionError("not asked for")

    ratios = {"joint": never, "masking": lambda *_: [Ratio("m", "u/s", 2.0, 1.0, 1.0)]}
    monkeypatch.setattr(benchmark, "COMPARISONS", ratios)
    assert benchmark.main(["--only", "masking"]) == 0


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
