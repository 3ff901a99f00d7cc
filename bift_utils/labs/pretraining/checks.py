"""Checks of the exercises in notebook 04."""

import math
from collections.abc import Callable

import torch

from bift_utils.labs.core.checks import (
    CheckResult,
    Mistake,
    as_number,
    close,
    first_difference,
    run_check,
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
    """Check exercise 04.1: `function(train_ids, held_out_ids, vocab_size)`, nats a token."""
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

    return run_check("04.1", function, stages)


def check_rate_factor(function: Callable) -> CheckResult:
    """Check exercise 04.2: `function(step, warmup, decay_begins, steps)`, the rate's factor."""

    def right(step, warmup, decay_begins, steps):
        return min(1.0, (step + 1) / warmup, (steps - step) / (steps - decay_begins))

    last = "The last step that is made still moves a little: 0 comes at step `steps`."
    early = "You are one step early: at step `decay_begins` the factor is still 1."
    from_warmup = (
        "The fall begins at step `decay_begins`; between the warm-up and it the factor is 1."
    )
    from_zero = "The fall begins at step `decay_begins`, from 1, not at step 0."
    level = "Between the warm-up and `decay_begins` the factor stays 1."
    above = "The factor may not pass 1: take the smaller of the two lines, and at most 1."
    cases = [  # step, warmup, decay_begins, steps, and what near misses give away
        (0, 4, 12, 20, {
            0.0: "With a rate of zero the first step moves nothing: count from step + 1.",
            1.0: "The run begins with the full rate: the warm-up is missing.",
            2.5: above,
        }),
        (1, 4, 12, 20, {
            0.25: "You are one step late: at step 1 two of four warm-up steps are made.",
            19 / 8: above,
        }),
        (3, 4, 12, 20, {
            0.75: "You are one step late: the last warm-up step has the full rate.",
            0.85: from_zero,
            17 / 8: above,
        }),
        (4, 4, 12, 20, {1.25: above, 2.0: above, 0.8: from_zero, 15 / 16: from_warmup}),
        (8, 4, 12, 20, {
            0.75: from_warmup, 0.6: from_zero, 12 / 17: from_warmup, 9 / 4: above, 1.5: above,
            0.5: level, 11 / 16: from_warmup, 0.0: level,
        }),
        (12, 4, 12, 20, {7 / 8: early, 0.4: from_zero, 0.5: from_warmup, 13 / 4: above}),
        (16, 4, 12, 20, {
            1.0: "From step `decay_begins` on the rate should fall: the decay is missing.",
            0.2: from_zero,
            3 / 8: early,
            5 / 8: "You are one step late: at step `decay_begins` + 1 the fall has begun.",
            3 / 7: "It reaches 0 at step `steps`, one after the last that is made.",
            0.0: "The rate falls evenly from 1, and does not drop to 0 at once.",
            0.25: "The fall is even: a straight line.",
        }),
        (19, 4, 12, 20, {0.0: last, 0.05: from_zero, 1 / 16: from_warmup}),
        (0, 1, 1, 3, {0.0: "With one warm-up step the first step has the full rate already."}),
        (60, 50, 80, 100, {0.8: from_warmup, 0.4: from_zero}),
        (1, 7, 8, 9, {}),
        (8, 7, 8, 9, {0.0: last}),
        (8, 7, 7, 9, {0.0: last, 1.0: "From step `decay_begins` on the rate should fall."}),
        (1, 2, 2, 3, {}),
        (75, 10, 60, 90, {}),
    ]  # fmt: skip

    def stages(function):
        for step, warmup, decay_begins, steps, causes in cases:
            expected = right(step, warmup, decay_begins, steps)
            answer = as_number(function(step, warmup, decay_begins, steps))
            if close(answer, expected):
                continue
            said = (
                f"At step {step} of {steps}, with {warmup} of warm-up and a decay that begins at "
                f"{decay_begins}, you gave {answer:.4g}."
            )
            for value, cause in causes.items():
                if close(answer, value):
                    raise Mistake(f"{said} {cause}")
            raise Mistake(
                f"{said} Expected {expected:.4g}. Draw the two lines: one through 1/warmup at step "
                "0, one from 1 at step `decay_begins` to 0 at step `steps`."
            )

    return run_check("04.2", function, stages)


def check_diagnose(function: Callable) -> CheckResult:
    """Check exercise 04.3: `function(accuracy, commonest)` is the offset of the answers."""
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

    return run_check("04.3", function, stages, "Your function changed the dict. Work on a copy.")
