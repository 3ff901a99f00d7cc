"""Checks of the exercises in notebook 04."""

import math
from collections.abc import Callable

import torch

from bift_utils.labs.core.checks import (
    CheckResult,
    Mistake,
    as_list,
    as_number,
    close,
    first_difference,
    run_check,
)

UNKNOWN = ["[UNK]"]


def _longest_first(word: str, vocabulary: set[str]) -> list[str]:
    pieces, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                break
        else:
            return list(UNKNOWN)
        pieces.append(piece)
        start = end
    return pieces


_WATCH = {"watch", "w", "wa", "##a", "##able", "##t", "##c", "##h", "##ab", "##le", "un", "##watch"}
_WORDPIECE: list[tuple[str, set[str], dict]] = [  # word, vocabulary, what near misses give away
    ("watch", _WATCH, {
        ("w", "##a", "##t", "##c", "##h"): "You took the shortest piece; the rule takes the "
        "longest that fits.",
    }),
    ("watchable", _WATCH, {
        ("watch", "able"): "A piece inside a word carries ## in front.",
        ("watch", "##ab", "##le"): "##able is longer than ##ab and fits too.",
        ("watch",): "The rest of the word was dropped: go on until its end.",
        ("[UNK]",): "The word is not in the vocabulary, but its pieces are. Inside a word, look a "
        "piece up with ## in front.",
    }),
    ("unwatch", _WATCH, {
        ("un", "watch"): "A piece inside a word carries ## in front, whether or not the vocabulary "
        "has the same letters without it.",
    }),
    ("watchxable", _WATCH, {
        ("watch", "[UNK]", "##able"): "One place without a piece makes the *whole* word [UNK].",
        ("watch", "[UNK]"): "One place without a piece makes the *whole* word [UNK].",
        ("watch", "##able"): "A letter that no piece covers may not be dropped.",
        ("watch",): "One place without a piece makes the *whole* word [UNK].",
    }),
    ("abc", {"a", "ab", "##b", "##bc"}, {
        ("a", "##bc"): "The longest piece at the start is ab, and then nothing fits. The rule "
        "never goes back to a shorter piece.",
    }),
    ("able", _WATCH, {
        ("##able",): "##able continues a word; at the start of one it does not fit.",
        ("able",): "able is not in the vocabulary, only ##able is.",
    }),
    ("unx", {"un", "##x", "x"}, {("un", "x"): "A piece inside a word carries ## in front."}),
    ("unable", {"un", "able", "##ab"}, {
        ("un", "able"): "able begins a word; inside one only a piece with ## fits, and there is no "
        "##able. So the whole word is [UNK].",
        ("un", "##able"): "##able is not in the vocabulary; only pieces that are may be written.",
        ("un", "##ab"): "The last letters are covered by no piece, so the *whole* word is [UNK].",
        ("un", "[UNK]"): "One place without a piece makes the *whole* word [UNK].",
    }),
    ("papa", {"pa", "##pa", "pap", "##p", "##a"}, {
        ("pa", "##pa"): "pap is longer than pa and fits too; then ##a.",
        ("pap", "a"): "A piece inside a word carries ## in front.",
    }),
    ("xun", {"un", "##un", "##x"}, {
        ("##x", "##un"): "A piece with ## does not fit at the start of a word.",
        ("un",): "A letter at the start that no piece covers may not be dropped.",
    }),
    ("a", {"a", "##a"}, {("##a",): "At the start of a word a piece carries no ##."}),
    ("b", {"a", "##b"}, {("b",): "b is not in the vocabulary."}),
    ("aaaa", {"a", "##aa"}, {
        ("a", "##aa", "##a"): "##a is not in the vocabulary: the whole word is [UNK].",
        ("a", "##aa"): "The last letter was dropped.",
    }),
    ("aaaaa", {"a", "##aa"}, {}),
]  # fmt: skip


def _wordpiece_cause(answer: list, expected: list[str], word: str) -> str:
    """Say what is wrong with pieces that no table of near misses knows."""
    if not all(isinstance(piece, str) for piece in answer):
        return "A piece is a string."
    letters = [piece.removeprefix("##") for piece in answer]
    if answer == expected[::-1]:
        return "The pieces are in the wrong order: from left to right."
    if not answer:
        return "Some letters are left: no piece was taken."
    if expected == UNKNOWN:
        return "At some place no piece of the vocabulary fits, so the *whole* word is [UNK]."
    if answer == UNKNOWN:
        return "Every letter is covered by a piece; look inside a word with ## in front."
    if "".join(letters) != word:
        return "Your pieces do not spell the word: start each where the one before ended."
    if letters == [piece.removeprefix("##") for piece in expected]:
        return "The cuts are right; ## stands before every piece but the first."
    return "At each place the rule takes the longest piece that fits."


def check_wordpiece(function: Callable) -> CheckResult:
    """Check exercise 04.1: `function(word, vocabulary)` cuts a word, longest piece first."""

    def stages(function):
        for word, vocabulary, causes in _WORDPIECE:
            answer = as_list(function(word, set(vocabulary)), "pieces")
            expected = _longest_first(word, vocabulary)
            if answer != expected:
                cause = causes.get(tuple(answer)) or _wordpiece_cause(answer, expected, word)
                raise Mistake(
                    f"For {word!r} and the vocabulary {sorted(vocabulary)} you gave {answer}. "
                    f"{cause} {first_difference(answer, expected)}"
                )

    return run_check(
        "04.1", function, stages, "Your function changed the vocabulary. Only look pieces up in it."
    )


def _check_windows(answer) -> list[list[int]]:
    """Return the learner's windows as lists of lists, or say what is wrong with their form."""
    found = as_list(answer, "windows, each a list of ids")
    windows = []
    for window in found:
        if isinstance(window, int):
            raise Mistake(f"Expected a list of windows, each a list of ids, got {found}.")
        windows.append(as_list(window, "ids"))
    if any(isinstance(token, list | tuple) for window in windows for token in window):
        raise Mistake(
            "A window holds sentences instead of ids. Join the sentences with +, or use extend."
        )
    return windows


def _check_packing(said: str, windows, sentences, size: int) -> None:
    """Say which rule the windows break, if one."""
    tokens = [token for sentence in sentences for token in sentence]
    packed = [token for window in windows for token in window]
    if not all(windows):
        raise Mistake(f"{said} One of them is empty.")
    if packed != tokens:
        cause = (
            "The order has changed: a later sentence was moved into an earlier window."
            if sorted(packed) == sorted(tokens)
            else "The last window was lost: append it after the loop."
            if packed == tokens[: len(packed)]
            else "Every token must be there, exactly once."
        )
        raise Mistake(f"{said} {cause}")
    if any(len(window) > size for window in windows):
        raise Mistake(f"{said} A window has more than {size} tokens. Check before you add.")
    starts = {sentence[0] for sentence in sentences}
    if not all(window[0] in starts for window in windows):
        raise Mistake(f"{said} A sentence was cut in two; it should begin the next window, whole.")


def check_pack(function: Callable) -> CheckResult:
    """Check exercise 04.2: `function(sentences, size)` packs whole sentences into windows."""
    cases = [  # sentences, size, windows
        ([[1, 2, 3], [4, 5], [6, 7], [8, 9, 10, 11]], 5, [[1, 2, 3, 4, 5], [6, 7], [8, 9, 10, 11]]),
        ([[1, 2, 3, 4], [5, 6, 7], [8], [9, 10]], 5, [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]),
        ([[1, 2, 3]], 3, [[1, 2, 3]]),
        ([], 4, []),
        ([[5], [5], [5, 6], [7]], 3, [[5, 5], [5, 6, 7]]),
        ([[1, 2], [3, 4], [5, 6]], 2, [[1, 2], [3, 4], [5, 6]]),
        ([[9], [8], [7], [6]], 1, [[9], [8], [7], [6]]),
        ([[1], [2, 3, 4], [5], [6, 7], [8]], 4, [[1, 2, 3, 4], [5, 6, 7, 8]]),
    ]

    def stages(function):
        for sentences, size, expected in cases:
            given = [list(sentence) for sentence in sentences]
            windows = _check_windows(function(given, size))
            said = f"For {sentences} and windows of {size} you gave {windows}."
            _check_packing(said, windows, sentences, size)
            if windows != expected:
                raise Mistake(
                    f"{said} A sentence that still fits should join the window at hand, also one "
                    f"that fills it exactly. {first_difference(windows, expected)}"
                )

    return run_check(
        "04.2",
        function,
        stages,
        "Your function changed its sentences: `current += sentence` grows the first one. Write "
        "current = current + sentence.",
    )


def _unigram_near_misses(counts, held, held_counts) -> dict[str, float]:
    """Return cause and value of the usual mistakes; counts (V,), held (M,)."""
    p, raw, other = counts / counts.sum(), counts - 1, held_counts + 1
    right = float(-p.log()[held].mean())
    return {
        "That is in bits; nats take the natural logarithm.": right / math.log(2),
        "That is with the logarithm to base 10; nats take the natural one.": right / math.log(10),
        "The sign is wrong: a loss is −ln p.": -right,
        "That is the sum over the held-out tokens; asked is the mean.": right * len(held),
        "That is a mean over the vocabulary; average over the held-out tokens, so that a frequent "
        "token counts as often as it occurs.": float(-p.log().mean()),
        "You took each held-out token once; a token that occurs twice is asked twice.":
            float(-p.log()[held.unique()].mean()),
        "That is the entropy of the training frequencies; the held-out tokens were not asked.":
            float(-(p * p.log()).sum()),
        "You counted the held-out tokens: a model that knows them has seen the answers. Count the "
        "training tokens.": float(-(other / other.sum()).log()[held].mean()),
        "You added one to the counts, but divided by the old total: the frequencies no longer "
        "sum to one.": float(-(counts / raw.sum()).log()[held].mean()),
        "You left the last held-out token out: average over all of them.":
            float(-p.log()[held[:-1]].mean()),
        "You left the first held-out token out: average over all of them.":
            float(-p.log()[held[1:]].mean()),
        "You added one only to tokens that training has seen; one is added to every token of the "
        "vocabulary.": float(-((raw + (raw > 0)) / (raw + (raw > 0)).sum()).log()[held].mean()),
        "You added one only to tokens that training has not seen; one is added to every token.":
            float(-((raw + (raw == 0)) / (raw + (raw == 0)).sum()).log()[held].mean()),
        "You added one to the total, not one for each token of the vocabulary: divide by the sum "
        "of the new counts.": float(-(counts / (raw.sum() + 1)).log()[held].mean()),
        "You used the counts as they are: one is added to each.":
            float(-(raw / raw.sum()).log()[held].mean()),
        "You divided by the number of training tokens; the mean is over the held-out ones.":
            right * len(held) / float(raw.sum()),
        "You divided by the size of the vocabulary; the mean is over the held-out tokens.":
            right * len(held) / len(counts),
        "You took the logarithm of the mean probability; take the mean of the logarithms.":
            float(-p[held].mean().log()),
        "That is exp of the loss, a perplexity.": math.exp(right),
        "You counted training and held-out tokens together; the model knows the first only.":
            float(-((counts + held_counts) / (counts + held_counts).sum()).log()[held].mean()),
        "That is a probability, averaged; average −ln p.": float(p[held].mean()),
    }  # fmt: skip


def check_unigram_loss(function: Callable) -> CheckResult:
    """Check exercise 04.3: `function(train_ids, held_out_ids, vocab_size)`, nats a token."""
    cases = [  # the second has a token that training never saw
        ([0, 0, 0, 0, 0, 1, 1, 2], [0, 1, 1, 2, 0, 1], 4),
        ([3, 3, 3, 1, 1, 0], [2, 3, 4, 3], 5),
        ([1], [0, 0, 2], 3),
    ]

    def stages(function):
        for train_ids, held_out_ids, vocab_size in cases:
            answer = as_number(function(list(train_ids), list(held_out_ids), vocab_size))
            held = torch.tensor(held_out_ids)
            counts = torch.bincount(torch.tensor(train_ids), minlength=vocab_size).double() + 1
            seen = torch.bincount(held, minlength=vocab_size).double()
            expected = float(-(counts / counts.sum()).log()[held].mean())
            said = (
                f"For training ids {train_ids}, held-out ids {held_out_ids} and {vocab_size} "
                f"tokens you gave {answer:.4g}."
            )
            for cause, value in _unigram_near_misses(counts, held, seen).items():
                if close(answer, value, 1e-5) and not close(value, expected, 1e-5):
                    raise Mistake(f"{said} {cause}")
            if not close(answer, expected, 1e-5):
                shares = [f"{int(n)}/{int(counts.sum())}" for n in counts]
                raise Mistake(
                    f"{said} With one added to the count of every token the frequencies are "
                    f"{shares}; average −ln of those of the held-out tokens. "
                    f"{first_difference(answer, expected)}"
                )

    return run_check("04.3", function, stages)


def check_rate_factor(function: Callable) -> CheckResult:
    """Check exercise 04.4: `function(step, warmup, steps)` is the factor on the rate."""

    def right(step, warmup, steps):
        return min(1.0, (step + 1) / warmup, (steps - step) / (steps - warmup))

    cases = [  # step, warmup, steps, and what near misses give away
        (0, 4, 20, {
            0.0: "With a rate of zero the first step moves nothing: count from step + 1.",
            1.0: "The run begins with the full rate: the warm-up is missing.",
            1.25: "The factor may not pass 1: take the smaller of the two lines.",
        }),
        (1, 4, 20, {0.25: "You are one step late: at step 1 two of four warm-up steps are made."}),
        (3, 4, 20, {0.75: "You are one step late: the last warm-up step has the full rate.",
                    17 / 16: "The factor may not pass 1."}),
        (4, 4, 20, {1.25: "The factor may not pass 1: take the smaller of the two lines.",
                    0.8: "The fall begins at step `warmup`, from 1, not at step 0.",
                    15 / 16: "You are one step early: at step `warmup` the factor is still 1."}),
        (12, 4, 20, {1.0: "After the warm-up the rate should fall: the decay is missing.",
                     0.4: "The fall begins at step `warmup`, from 1, not at step 0.",
                     8 / 15: "It reaches 0 at step `steps`, one after the last that is made.",
                     7 / 15: "It reaches 0 at step `steps`, one after the last that is made.",
                     7 / 16: "You are one step early."}),
        (19, 4, 20, {0.0: "The last step that is made still moves a little: 0 comes at step "
                     "`steps`."}),
        (20, 4, 20, {}),
        (0, 1, 3, {0.0: "With one warm-up step the first step has the full rate already."}),
        (60, 50, 100, {}),
        (2, 7, 9, {}),
        (8, 7, 9, {0.0: "The last step that is made still moves a little: 0 comes at step "
                   "`steps`."}),
        (1, 2, 3, {}),
    ]  # fmt: skip

    def stages(function):
        for step, warmup, steps, causes in cases:
            answer = as_number(function(step, warmup, steps))
            if close(answer, right(step, warmup, steps)):
                continue
            said = f"At step {step} of {steps}, {warmup} of them warm-up, you gave {answer:.4g}."
            for value, cause in causes.items():
                if close(answer, value):
                    raise Mistake(f"{said} {cause}")
            raise Mistake(
                f"{said} Expected {right(step, warmup, steps):.4g}. Draw the two lines: one "
                "through 1/warmup at step 0, one from 1 at step "
                "`warmup` to 0 at step `steps`."
            )

    return run_check("04.4", function, stages)


def check_diagnose(function: Callable) -> CheckResult:
    """Check exercise 04.5: `function(accuracy, commonest)` is the offset of the answers."""
    # accuracy by offset, commonest, answer, and what near misses give away
    cases: list[tuple[dict[int, float], float, int | None, dict]] = [
        ({-2: 0.01, -1: 0.02, 0: 0.65, 1: 0.01}, 0.14, 0, {
            None: "0 is the offset of a healthy model, and 0 counts as False: is there an `or` or "
            "an `if` on the offset?",
            0.65: "That is the accuracy; asked is the offset at which it is highest.",
            2: "That is the place in the list; asked is the offset.",
        }),
        ({-2: 0.01, -1: 0.65, 0: 0.02, 1: 0.01}, 0.14, -1, {
            1: "To the left is a negative offset.",
            0: "At the blank this model is below the constant guess: look at the other offsets.",
            None: "This model knows the answers, though not at the blank.",
        }),
        ({-1: 0.02, 0: 0.03, 1: 0.5, 2: 0.01}, 0.14, 1, {
            -1: "Here the answers come one position late.",
            None: "A shift may go to the right as well.",
        }),
        ({-2: 0.05, -1: 0.09, 0: 0.12, 1: 0.11}, 0.14, None, {
            0: "Its best offset is no better than the constant guess: it answers nowhere. "
            "Compare with `commonest`.",
        }),
        ({-1: 0.30, 0: 0.20, 1: 0.01}, 0.14, -1, {
            0: "At the blank it beats the constant guess, but one to the left it is better still.",
        }),
        ({-3: 0.40, -1: 0.02, 0: 0.03}, 0.10, -3, {
            -1: "Look at every offset in the dict, not only at −1, 0 and 1.",
            0: "Look at every offset in the dict, not only at −1, 0 and 1.",
            None: "Look at every offset in the dict, not only at −1, 0 and 1.",
        }),
        ({-1: 0.20, 1: 0.45, 0: 0.30}, 0.14, 1, {
            -1: "It is above the constant guess, but not the best: compare all offsets.",
            0: "It is above the constant guess, but not the best: compare all offsets.",
        }),
        ({2: 0.7, 0: 0.2, -2: 0.3}, 0.1, 2, {
            -2: "It is above the constant guess, but not the best: compare all offsets.",
            0: "It is above the constant guess, but not the best: compare all offsets.",
        }),
        ({0: 0.9}, 0.5, 0, {None: "0 counts as False: is there an `or` or an `if` on the offset?"}),
        ({1: 0.004, 0: 0.001}, 0.002, 1, {
            None: "However low the shares are: it answers there better than the constant guess.",
        }),
        ({0: 0.98, -1: 0.99}, 0.97, -1, {}),
        ({-1: 0.10, 0: 0.14, 1: 0.05}, 0.14, None, {
            0: "Equal to the constant guess is not better.",
        }),
    ]  # fmt: skip

    def stages(function):
        for accuracy, commonest, expected, causes in cases:
            answer = function(dict(accuracy), commonest)
            if answer is not None and (
                isinstance(answer, str | bool) or not hasattr(answer, "real")
            ):
                raise Mistake(f"Expected an offset (a whole number) or None, got {answer!r}.")
            if answer != expected or (answer is None) != (expected is None):
                cause = causes.get(answer, "Which offset has the highest accuracy?")
                raise Mistake(
                    f"For accuracies {accuracy} and a constant guess of {commonest} you gave "
                    f"{answer!r}. {cause}"
                )

    return run_check("04.5", function, stages, "Your function changed the dict. Work on a copy.")
