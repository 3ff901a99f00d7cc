"""Which method to take: the strongest opponent, and what is said about a run."""

import pytest
import torch
from own_tables import films, save_tiny_checkpoint, write_table

from bift_utils.data.tables import read_table
from bift_utils.data.texts import LabelledTexts
from bift_utils.finetune.opponents import (
    CHARACTERS,
    COMMONEST,
    FINE_TUNED,
    FROZEN,
    PLAIN,
    WORDS,
    compare_methods,
    measure_opponents,
    verdict_lines,
    which_to_take,
)
from bift_utils.finetune.report import score_classes
from bift_utils.finetune.texts import prepare_texts
from bift_utils.models.checkpoints import load_model

NAMES = ["a", "b", "c"]


def answers(*classes):
    """Return sure answers of these classes, on validation and test texts."""
    rows = 0.05 + 0.85 * torch.eye(3)[list(classes)]
    return {"validation": rows, "test": rows}


def parts(validation, test):
    return {
        "validation": LabelledTexts(["x"] * len(validation), validation),
        "test": LabelledTexts(["y"] * len(test), test),
    }


def prepared(tmp_path, tokenizer, rows):
    table = read_table(write_table(tmp_path / "own.csv", rows))
    return prepare_texts(table, tokenizer, "tiny", 0.3, 32, seed=0)


def test_every_cheaper_method_answers_all_held_out_texts(tmp_path, tokenizer):
    checkpoint = save_tiny_checkpoint(tmp_path / "tiny", tokenizer)
    texts = prepared(tmp_path, tokenizer, [*films(160), ("a text without a class", "")])
    found, notes = measure_opponents(texts, lambda: load_model(checkpoint), tokenizer, seed=0)
    assert list(found) == [COMMONEST, WORDS, CHARACTERS, FROZEN] and notes == []
    for name, chances in found.items():
        for part in ("validation", "test"):
            assert chances[part].shape == (len(texts.parts[part]), 2), name
            assert chances[part].sum(-1).allclose(torch.ones(1, dtype=chances[part].dtype))
    for name in (WORDS, CHARACTERS, FROZEN):  # in the order of the texts
        right = found[name]["test"].argmax(-1) == torch.tensor(texts.parts["test"].labels)
        assert right.double().mean() > 0.9, name


def test_a_method_that_fails_stops_nothing(tmp_path, tokenizer):
    rows = [(f"{'!?'[i % 2]} {'.' * (i + 1)}", "ab"[i % 2]) for i in range(40)]
    texts = prepared(tmp_path, tokenizer, rows)

    def untouched():
        raise MemoryError

    found, notes = measure_opponents(texts, untouched, tokenizer, seed=0)
    assert list(found) == [COMMONEST, CHARACTERS]
    assert notes[0].startswith("Not measured: bag of words (empty vocabulary")
    assert notes[1] == "Not measured: frozen encoder (no memory left)."


def test_the_strongest_is_chosen_on_validation_and_compared_on_test_texts():
    held_out = parts([0, 1, 2] * 20, [0, 1, 2] * 20)
    perfect, none = [0, 1, 2] * 20, [0, 0, 0] * 20
    mixed = {"validation": answers(*perfect)["validation"], "test": answers(*none)["test"]}
    lucky = {"validation": answers(*none)["validation"], "test": answers(*perfect)["test"]}
    methods = {FINE_TUNED: answers(*perfect), WORDS: mixed, CHARACTERS: lucky}
    found = compare_methods(methods, held_out, NAMES)
    assert found["strongest"] == WORDS  # the other one is better on the test texts alone
    assert found["difference"][0] == pytest.approx(2 / 3)
    assert found["baselines"] == {WORDS: pytest.approx(1 / 3), CHARACTERS: 1.0}
    assert set(found["methods"]) == {FINE_TUNED, WORDS, CHARACTERS}
    low, high = found["methods"][WORDS]["accuracy_interval"]
    assert low < 1 / 3 < high and low > 0.2 and high < 0.5
    assert found["take"].startswith("Take the fine-tuned model: beside the bag of words")


@pytest.mark.parametrize(
    "strongest, difference, beginning",
    [
        (WORDS, (0.04, 0.01, 0.07), "Take the fine-tuned model: beside the bag of words, the str"),
        (WORDS, (-0.04, -0.07, -0.01), "Take the bag of words, the strongest of the others on"),
        (FROZEN, (0.01, -0.02, 0.04), "Take the frozen encoder with logistic regression, the"),
        (PLAIN, (0.0, -0.1, 0.1), "Take the model with λ = 0 (--mlm-weight 0), the strong"),
    ],
)
def test_one_sentence_says_which_to_take(strongest, difference, beginning):
    sentence = which_to_take(strongest, difference, 300)
    assert sentence.startswith(beginning)
    assert "on the validation texts" in sentence  # another may be ahead on the test texts
    mean, low, high = (100 * value for value in difference)
    assert sentence.endswith(f", {mean:+.1f} points ({low:+.1f} to {high:+.1f}) on 300 test texts.")


def test_no_interval_is_given_where_no_text_tells_the_two_apart():
    """An interval from 0 to 0 would say that the two are known to be equally good."""
    sentence = which_to_take(WORDS, (0.0, 0.0, 0.0), 60)
    assert sentence.endswith(
        "shown to be better, since both get the same of the 60 test texts right."
    )
    assert "points" not in sentence


def a_report(given, best=3, **history):
    scores = score_classes(answers(*given)["test"], [0, 1, 2] * 2, NAMES)
    steps = [{"step": step} for step in (1, 2, 3, 4)]
    history = {"steps": steps, "best_step": best, "diverged": False, "stopped": "all", **history}
    return {"history": history, "validation": scores, "test": scores, "take": "Take it."}


@pytest.mark.parametrize(
    "report, lines",
    [
        (a_report([0, 1, 2] * 2), []),
        (a_report([0, 1, 2] * 2, best=4), ["It was still improving at the last update: more epo"]),
        (a_report([0, 1, 1] * 2), ["Never answered, though held-out texts are of it: c."]),
        (a_report([1] * 6), ["It gives one answer to all texts, so nothing was learned: lower th"]),
        (
            a_report([0, 1, 2] * 2, best=4, diverged=True, stopped="The loss became nan"),
            ["The loss became nan."],
        ),
    ],
)
def test_the_verdict_says_what_is_wrong_with_a_run(report, lines):
    *found, last = verdict_lines(report)
    assert last == "Take it." and len(found) == len(lines)
    assert all(line.startswith(start) for line, start in zip(found, lines, strict=True))
