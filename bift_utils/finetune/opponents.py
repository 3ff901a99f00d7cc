"""Which method to take: the fine-tuned model beside cheaper ones, on the same texts."""

from collections.abc import Callable, Mapping, Sequence

import torch

from bift_utils.data.batches import IGNORE_INDEX, batches_by_length
from bift_utils.data.texts import LabelledTexts
from bift_utils.evaluation.baselines import (
    Limits,
    bag_of_words_probabilities,
    frozen_vectors,
    probe_probabilities,
)
from bift_utils.evaluation.intervals import seed_interval, verdict
from bift_utils.finetune.report import score_classes
from bift_utils.finetune.texts import OwnTexts
from bift_utils.masking.collators import SequenceCollator

FINE_TUNED, COMMONEST, WORDS, CHARACTERS, FROZEN, PLAIN = (
    "fine-tuned", "commonest class", "bag of words", "bag of characters", "frozen encoder",
    "fine-tuned with λ = 0",
)  # fmt: skip
IN_WORDS = {
    COMMONEST: "the commonest class",
    WORDS: "the bag of words",
    CHARACTERS: "the bag of characters",
    FROZEN: "the frozen encoder with logistic regression",
    PLAIN: "the model with λ = 0 (--mlm-weight 0)",
}
HELD_OUT = ("validation", "test")
Answers = dict[str, torch.Tensor]  # P(class given text), (N, K), for "validation" and "test"


def measure_opponents(
    texts: OwnTexts, untouched: Callable, tokenizer, seed: int
) -> tuple[dict[str, Answers], list[str]]:
    """Ask cheaper methods for the held-out texts; none of them can fail the run.

    Args:
        texts: train, validation and test.
        untouched: returns the checkpoint as it was before fine-tuning.
        tokenizer: that of the checkpoint.
        seed: of what must be drawn where a table is too large.

    Returns:
        The answers of each method that could be asked, and a sentence for each that could not.

    Introduced in notebook 08.
    """
    limits = Limits(seed=seed)
    methods: dict[str, Callable[[], Answers]] = {
        COMMONEST: lambda: _commonest(texts.parts, len(texts.class_names)),
        WORDS: lambda: _bag(texts.parts, limits, characters=False),
        CHARACTERS: lambda: _bag(texts.parts, limits, characters=True),
        FROZEN: lambda: _probe(texts, untouched(), tokenizer, limits),
    }
    found, notes = {}, []
    for name, answer in methods.items():
        try:
            found[name] = answer()
        except (ValueError, MemoryError) as error:  # such as texts of emoji alone: no words
            notes.append(f"Not measured: {name} ({str(error).rstrip('.') or 'no memory left'}).")
    return found, notes


def _commonest(parts: Mapping[str, LabelledTexts], classes: int) -> Answers:
    counts = torch.bincount(torch.tensor(parts["train"].labels), minlength=classes)
    shares = (counts / counts.sum()).double()
    return {name: shares.repeat(len(parts[name]), 1) for name in HELD_OUT}


def _bag(parts: Mapping[str, LabelledTexts], limits: Limits, characters: bool) -> Answers:
    known, asked = parts["train"], [text for name in HELD_OUT for text in parts[name].texts]
    answers = bag_of_words_probabilities(
        known.texts, known.labels, asked, characters=characters, limits=limits
    )
    sizes = [len(parts[name]) for name in HELD_OUT]
    return dict(zip(HELD_OUT, answers.split(sizes), strict=True))


def _probe(texts: OwnTexts, model, tokenizer, limits: Limits) -> Answers:
    vectors, labels = {}, {}
    for name, encoded in texts.encoded.items():
        batches, places = batches_by_length(encoded, SequenceCollator(tokenizer), 64)
        classes = torch.tensor(encoded.labels)
        named = classes != IGNORE_INDEX
        vectors[name] = frozen_vectors(model, batches)[places][named]
        labels[name] = classes[named].tolist()
    return probe_probabilities(vectors, labels, limits=limits)


def compare_methods(
    answers: Mapping[str, Answers], parts: Mapping[str, LabelledTexts], names: Sequence[str]
) -> dict:
    """Score all methods on the same texts, and say which to take.

    The strongest opponent is chosen on the validation texts and compared on the test texts, so
    that nothing is chosen by the texts that decide.

    Args:
        answers: name of a method to its answers; `FINE_TUNED` is one of them.
        parts: with "validation" and "test".
        names: K names of classes.

    Returns:
        `methods` (name to `accuracy` and `macro_f1` on the test texts, each with its interval),
        `baselines` (name to test accuracy), `strongest`, `difference` (fine-tuned less strongest,
        with its interval) and `take`, a sentence.

    Introduced in notebook 08.
    """
    test = parts["test"].labels
    scores = {name: score_classes(found["test"], test, names) for name, found in answers.items()}
    kept = ("accuracy", "accuracy_interval", "macro_f1", "macro_f1_interval")
    methods = {name: {key: row[key] for key in kept} for name, row in scores.items()}
    others = [name for name in answers if name != FINE_TUNED]
    known = torch.tensor(parts["validation"].labels)
    right = {name: (answers[name]["validation"].argmax(-1) == known).sum() for name in others}
    strongest = max(others, key=lambda name: int(right[name]))
    hits = {
        name: (answers[name]["test"].argmax(-1) == torch.tensor(test)).double()
        for name in (FINE_TUNED, strongest)
    }
    gaps = hits[FINE_TUNED] - hits[strongest]
    difference = seed_interval(gaps.tolist()) if len(gaps) > 1 else (float(gaps.sum()), -1.0, 1.0)
    return {
        "methods": methods,
        "baselines": {name: methods[name]["accuracy"] for name in others},
        "strongest": strongest,
        "difference": list(difference),
        "take": which_to_take(strongest, difference, len(test)),
    }


def which_to_take(strongest: str, difference: tuple[float, float, float], texts: int) -> str:
    """Say in a sentence which method to take, by a paired difference in accuracy.

    Introduced in notebook 08.
    """
    mean, low, high = (100 * value for value in difference)
    measured = f"{mean:+.1f} points ({low:+.1f} to {high:+.1f}) on {texts} test texts"
    if low == high == 0:  # no pair differs, which is no proof that none ever would
        measured = f"since both get the same of the {texts} test texts right"
    found, other = verdict(difference), IN_WORDS[strongest]
    if found == "better":
        return (
            f"Take the fine-tuned model: beside {other}, the strongest of the others on the "
            f"validation texts, {measured}."
        )
    if found == "worse":
        return (
            f"Take {other}, the strongest of the others on the validation texts: the fine-tuned "
            f"model is below it, {measured}."
        )
    return (
        f"Take {other}, the strongest of the simpler methods on the validation texts: the "
        f"fine-tuned model is not shown to be better, {measured}."
    )


def verdict_lines(report: dict) -> list[str]:
    """Say what a careful colleague would say about a finished run, the advice last.

    Args:
        report: with `history`, and where there are classes `validation`, `test`, and what
            `compare_methods` returns.

    Introduced in notebook 08.
    """
    history, lines = report["history"], []
    if history["diverged"]:
        lines.append(f"{history['stopped']}.")
    elif history["steps"] and history["best_step"] == history["steps"][-1]["step"]:
        lines.append("It was still improving at the last update: more epochs may help.")
    if "test" in report:
        lines += _about_classes(report)
    if "take" in report:
        lines += [*report.get("not_measured", []), report["take"]]
    return lines


def _about_classes(report: dict) -> list[str]:
    """Say which classes were never answered, and whether anything was learned at all."""
    names = list(report["test"]["classes"])
    table = torch.stack([torch.tensor(report[part]["confusion"]) for part in HELD_OUT]).sum(0)
    there, answered = table.sum(1).tolist(), table.sum(0).tolist()
    silent = [n for n, t, a in zip(names, there, answered, strict=True) if t and not a]
    if len(silent) == len(names) - 1:
        return [
            "It gives one answer to all texts, so nothing was learned: lower the learning rate, "
            "or train for more epochs."
        ]
    return [f"Never answered, though held-out texts are of it: {', '.join(silent)}."] * bool(silent)
