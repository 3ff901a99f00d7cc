"""Checks of the exercises in notebook 02.

Where an answer is random, the tolerance is derived, not chosen: a correct masker, whether it tosses
a coin for each token or counts out a fixed number, is rejected with probability below 1e-9 in all.
Six numbers are tested, each at 1e-10 or less, most against exact binomial tails. With 150,000
selected tokens the masker 81/10/9 then passes with probability below 1e-10: its kept tokens give it
away.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from scipy import stats

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.labs.core.checks import CheckResult, Mistake, as_number, run_check
from bift_utils.labs.masking import practice_maskers as practice
from bift_utils.masking import zoo
from bift_utils.masking.tokens import OUTCOMES, mask_tokens, outcomes
from bift_utils.runtime import make_generator

ALPHA = 1e-10  # two-sided, for each of the six tests of `check_mask_tokens`


def check_outcome(function: Callable) -> CheckResult:
    """Check exercise 02.1: `function(u, rate, mask_share, random_share)` names the outcome."""
    bert = (0.15, 0.8, 0.1)
    cases = [  # arguments, answer, and what each near miss gives away
        ((0.05, *bert), "[MASK]", {"kept": "Below m·a a token becomes [MASK]."}),
        ((0.60, *bert), "not selected", {
            "[MASK]": "0.6 is below the share 0.8, but the share is of the *selected* tokens: "
            "compare with rate · share.",
            "kept": "From the rate upwards the token is not selected; it is not asked for.",
        }),
        ((0.125, *bert), "random", {
            "kept": "The second part begins where the first ends: it reaches up to "
            "rate · (mask_share + random_share) = 0.135.",
            "[MASK]": "[MASK] ends at rate · mask_share = 0.12.",
        }),
        ((0.145, *bert), "kept", {
            "not selected": "A kept token looks untouched, but it *is* selected: the model is "
            "asked for it.",
            "random": "Random tokens end at rate · (mask_share + random_share) = 0.135.",
        }),
        ((0.15, *bert), "not selected", {"kept": "Exactly at the rate is no longer below it."}),
        ((0.35, 0.4, 1.0, 0.0), "[MASK]", {"not selected": "The rate is 0.4 here, not 0.15.",
                                           "kept": "The shares are 100/0/0 here."}),
        ((0.19, 0.4, 0.25, 0.5), "random", {"[MASK]": "The shares are 25/50/25 here."}),
    ]  # fmt: skip

    def stages(function):
        for arguments, expected, causes in cases:
            answer = function(*arguments)
            if answer not in OUTCOMES:
                raise Mistake(f"Expected one of the names {OUTCOMES}, got {answer!r}.")
            if answer != expected:
                u, rate, first, second = arguments
                cause = causes.get(answer, "Draw the line from 0 to 1 and mark the three ends.")
                raise Mistake(
                    f"For u = {u}, rate {rate} and shares {first} and {second} you gave "
                    f"{answer!r}; expected {expected!r}. {cause}"
                )

    return run_check("02.1", function, stages)


def _bounds(n: int, low: float, high: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the counts between which a binomial count stays, for a chance from `low` to `high`."""
    return stats.binom.ppf(alpha / 2, n, low), stats.binom.isf(alpha / 2, n, high)


def _result(function: Callable, ids: torch.Tensor, config, seed: int) -> zoo.Masked:
    """Call a masker on a copy and return what it gives, if that has the right form."""
    given = ids.clone()
    answer = function(given, config, make_generator(seed))
    if answer is None:
        raise Mistake("Your function returned None. Is a `return` missing?")
    if not (isinstance(answer, tuple) and len(answer) == 2):
        raise Mistake("Expected two tensors: return corrupted, labels.")
    for name, tensor in zip(("corrupted", "labels"), answer, strict=True):
        if not isinstance(tensor, torch.Tensor) or tensor.shape != ids.shape:
            raise Mistake(f"`{name}` should be a tensor of the shape of input_ids, {ids.shape}.")
    if not torch.equal(given, ids):
        raise Mistake(
            "Your function changed input_ids. The classifier, or the next epoch, needs the clean "
            "text: work on input_ids.clone()."
        )
    return answer


def _check_exact_facts(ids, corrupted, labels, config) -> None:
    """Check what holds for every token, whatever was drawn."""
    selected = labels != IGNORE_INDEX
    if selected.all():
        raise Mistake("Every position has a label. Write −100 where a token was not selected.")
    if not selected.any():
        raise Mistake("Nothing was selected among 200,000 tokens at a rate of 0.15.")
    if not config.ordinary[ids[selected]].all():
        raise Mistake(
            "Special tokens were selected ([CLS], [SEP] or [PAD] has a label). "
            "Select only where config.ordinary[input_ids] is True."
        )
    if not torch.equal(labels[selected], ids[selected]):
        raise Mistake(
            "A label is not the original token. Take the labels from input_ids, "
            "not from the corrupted copy."
        )
    if not torch.equal(corrupted[~selected], ids[~selected]):
        if (corrupted[selected] == config.mask_token_id).all():
            raise Mistake(
                "Only [MASK] has a label. Random and kept tokens are asked for, too: label all "
                "that was selected."
            )
        raise Mistake(
            "A token without a label was changed. The model would read a wrong token that the loss "
            "never asks for; draw the random tokens inside the selection only."
        )
    drawn = corrupted[selected & (corrupted != ids) & (corrupted != config.mask_token_id)]
    if not config.ordinary[drawn].all():
        shifted = drawn.max() < int(config.ordinary.sum())
        raise Mistake(
            "Special tokens were drawn as replacements. "
            + (
                "A place in the list of ordinary ids is not an id yet: look it up in the list."
                if shifted
                else "Draw from config.ordinary.nonzero() instead of the whole vocabulary."
            )
        )


KNOWN_SHARES = {  # [MASK], random, kept in percent, and how one arrives there
    (81, 10, 9): "That is what two separate coins give, the random one winning: 0.9 · 0.9, 0.1 and "
    "0.9 · 0.1. Let one number decide, or toss the second coin only among the rest.",
    (80, 2, 18): "A tenth *of the rest* became random: 0.1 · 20 % = 2 %. Half of the rest is 10 %.",
    (100, 0, 0): "Every selected token became [MASK].",
    (90, 1, 9): "[MASK] was written over the random tokens. Choose disjoint sets.",
    (80, 20, 0): "No token is kept as it is.",
    (80, 0, 20): "No random token was written.",
    (80, 10, 10): "Close, but more tokens say that it is not quite 80/10/10.",
}


def _check_shares(counts: list[int]) -> None:
    """Compare the counts of [MASK], random and kept with 80/10/10."""
    n = sum(counts)
    low, high = _bounds(n, 0.8, 0.8)
    kept_low, kept_high = _bounds(n, 0.1, 0.1001)  # one draw of 1,000 gives the original back
    if low <= counts[0] <= high and kept_low <= counts[2] <= kept_high:
        return
    shares = [100 * count / n for count in counts]

    def distance(known):
        return max(abs(a - b) for a, b in zip(known, shares, strict=True))

    near = min(KNOWN_SHARES, key=distance)
    raise Mistake(
        "Of {:,} selected tokens {:.1f} % became [MASK], {:.1f} % random, {:.1f} % were kept; "
        "expected 80/10/10. ".format(n, *shares)
        + (
            KNOWN_SHARES[near]
            if distance(near) < 0.5
            else "Cut the range below the rate at 80 % and at 90 %."
        )
    )


def _check_rate(function: Callable, ids: torch.Tensor, config) -> None:
    """Ask for another rate, with the same slack of one token a row as at 15 %."""
    _, labels = _result(function, ids, config, seed=4)
    n, found = int(config.ordinary[ids].sum()), int((labels != IGNORE_INDEX).sum())
    low, high = _bounds(n, config.mlm_probability, config.mlm_probability)
    if not low - len(ids) <= found <= high + len(ids):
        raise Mistake(
            f"{100 * found / n:.1f} % of the tokens were selected. The rate is "
            f"config.mlm_probability, {config.mlm_probability} here."
        )


def check_mask_tokens(function: Callable) -> CheckResult:
    """Check exercise 02.2: `function(input_ids, config, generator)` masks as BERT does."""

    def stages(function):
        ids, config = zoo.practice_batch()
        few = ids[:1000]
        first = _result(function, few, config, seed=1)
        _check_exact_facts(few, *first, config)
        again, other = (_result(function, few, config, seed) for seed in (1, 2))
        if not torch.equal(first[0], again[0]) or not torch.equal(first[1], again[1]):
            raise Mistake(
                "The same seed gave two results. Pass generator=generator to every random call."
            )
        if torch.equal(first[1], other[1]):
            raise Mistake(
                "Two seeds gave the same selection. Draw from the generator you are given."
            )
        corrupted, labels = _result(function, ids, config, seed=3)
        columns = (labels[:, 1:196] != IGNORE_INDEX).sum(0).double()  # ordinary in every row
        if (columns - columns.mean()).abs().max() > 250:  # ten standard errors
            raise Mistake(
                "Every row has the same positions selected. Draw numbers of the shape (B, T)."
            )
        found = outcomes(ids, corrupted, labels, config.mask_token_id)
        counts = found.flatten().bincount(minlength=4).tolist()[1:]
        low, high = _bounds(int(config.ordinary[ids].sum()), 0.15, 0.15)
        # one token a row more or less: a fixed count may be rounded either way
        if not low - len(ids) <= sum(counts) <= high + len(ids):
            share = sum(counts) / int(config.ordinary[ids].sum())
            hint = "It is config.mlm_probability of the ordinary tokens."
            if counts[2] < 0.01 * sum(counts):
                hint = "No selected token was kept: do the labels leave out the kept tokens?"
            raise Mistake(f"{100 * share:.1f} % of the tokens were selected; expected 15 %. {hint}")
        _check_shares(counts)
        _check_rate(function, few, replace(config, mlm_probability=0.4))
        per_id = corrupted[found == OUTCOMES.index("random")].bincount(minlength=1005)
        if per_id.max() > _bounds(int(per_id.sum()), 0.001, 0.001, ALPHA / 1000)[1]:
            raise Mistake(
                f"One id was drawn {int(per_id.max()):,} times of {int(per_id.sum()):,}. "
                "Draw a new token for each position, every ordinary one with the same chance."
            )

    return run_check("02.2", function, stages)


def check_selected_needed(function: Callable) -> CheckResult:
    """Check exercise 02.3: `function(p, q, z)` is how many selected tokens tell p from q."""

    def needed(p, q, z):
        return (z * ((p * (1 - p)) ** 0.5 + (q * (1 - q)) ** 0.5) / abs(p - q)) ** 2

    def near_misses(p, q, z):
        a, b = (p * (1 - p)) ** 0.5, (q * (1 - q)) ** 0.5
        return {
            "Both counts scatter: add the two standard errors. You have one of them.": (
                (z * a / abs(p - q)) ** 2,
                (z * b / abs(p - q)) ** 2,
            ),
            "The standard error is √(p(1 − p)/n): its square root is missing.": (
                z * (a**2 + b**2) / abs(p - q),
                (z * (a**2 + b**2) / abs(p - q)) ** 2,
            ),
            "n stands under a square root: square the quotient.": (z * (a + b) / abs(p - q),),
            "You added the variances. That is the error of a difference; here the line between p "
            "and q must keep z standard errors from each, so the errors themselves add up.": (
                (z / (p - q)) ** 2 * (a**2 + b**2),
            ),
            "z is missing.": (needed(p, q, 1),),
            "That is the number of all tokens; asked is the number of selected ones.": (
                needed(p, q, z) / 0.15,
            ),
        }

    def stages(function):
        for p, q, z in ((0.10, 0.09, 6.0), (0.09, 0.10, 6.0), (0.80, 0.83, 4.0), (0.10, 0.02, 5.0)):
            answer, expected = as_number(function(p, q, z)), needed(p, q, z)
            said = f"For p = {p}, q = {q}, z = {z} you gave {answer:,.10g}; "
            for cause, values in near_misses(p, q, z).items():
                if any(abs(answer - value) <= 1 for value in values):
                    raise Mistake(said + f"expected {math.ceil(expected):,}. {cause}")
            if not -1e-6 <= answer - expected <= 1.001:
                raise Mistake(
                    said + f"expected the whole number just above {expected:,.1f}. "
                    "Solve |p − q| = z·√(p(1 − p)/n) + z·√(q(1 − q)/n) for n and round up."
                )
            if answer != round(answer):
                raise Mistake(said + "tokens come in whole numbers: round up with math.ceil.")

    return run_check("02.3", function, stages)


RIGHT = {  # correct maskers, seeds
    "masking.mask_tokens": (mask_tokens, range(4)),
    "zoo.fixed_count": (zoo.fixed_count, range(2)),
    "a masker that never draws the original": (practice.never_the_original, range(2)),
}
UNLUCKY = "a masker whose kept share is off by 4.5 standard errors, once up and once down,"
ONE_FAULT = [  # masker, its fault, what to look at; the easiest first
    (zoo.labels_everywhere, zoo.ASKS_ALL, "Is every label different from −100?"),
    (zoo.only_padding_spared, zoo.HIDES_SPECIALS, "Use config.ordinary: what has a label?"),
    (practice.edits_in_place, zoo.IN_PLACE,
     "Keep a clone of input_ids before the call, compare afterwards, and use the clone as the "
     "original from there on."),
    (practice.changes_others, zoo.CHANGES_OTHERS,
     "Compare with the original where the label is −100."),
    (zoo.half_of_the_rest, zoo.DRAWS_SPECIALS,
     "Look at what stands at selected places: neither [MASK] nor the original, and not ordinary."),
    (practice.with_shares(1.0, 0.0), zoo.WRONG_SHARES, "It is 100/0/0: count the three outcomes."),
    (practice.with_shares(0.8, 0.02), zoo.WRONG_SHARES,
     "It is 80/2/18: its share of [MASK] is right."),
    (practice.with_shares(0.81, 0.10), zoo.WRONG_SHARES,
     "It is 81/10/9: one point off. Is your tolerance about six standard errors, and do you look "
     "at the kept tokens?"),
    (practice.counted_out(7.5), zoo.WRONG_SHARES,
     "Its kept share is off by seven and a half standard errors √(p(1 − p)/n), and six are the "
     "limit."),
]  # fmt: skip


def check_find_faults(function: Callable) -> CheckResult:
    """Check exercise 02.4: `function(masker, input_ids, config, generator)` names the faults."""

    def stages(function):
        ids, config = zoo.practice_batch()

        def ask(masker, seed=0):
            answer = function(masker, ids.clone(), config, make_generator(seed))
            if answer is None:
                raise Mistake("Your function returned None. Is a `return` missing?")
            if isinstance(answer, str) or not set(answer) <= set(zoo.FAULTS):
                raise Mistake(f"Expected a set of names from masking.zoo.FAULTS, got {answer!r}.")
            return set(answer)

        unlucky = {UNLUCKY: (practice.counted_out(4.5, -4.5), range(2))}
        for name, (masker, seeds) in {**RIGHT, **unlucky}.items():
            for seed in seeds:
                answer = ask(masker, seed)
                if answer:
                    raise Mistake(
                        f"False alarm: {name} is correct, and your test accuses it: "
                        f"{sorted(answer)} (seed {seed}). Six standard errors are exceeded by "
                        "chance once in 500 million times; and special tokens may stand where "
                        "they stood."
                    )
        for masker, fault, hint in ONE_FAULT:
            answer = ask(masker)
            if fault not in answer:
                raise Mistake(f"Your test lets a masker pass that has this fault: {fault}. {hint}")
            extra = answer - {fault}
            if extra and fault != zoo.ASKS_ALL:
                raise Mistake(
                    f"A masker whose only fault is “{fault}” is also accused of {sorted(extra)}. "
                    f"{hint}"
                )
        for name, masker in zoo.ZOO.items():
            answer, faults = ask(masker, seed=7), zoo.ANSWERS[name]
            right = zoo.ASKS_ALL in answer if zoo.ASKS_ALL in faults else answer == faults
            if not right:
                raise Mistake(
                    f"For “{name}” your test says {sorted(answer)}; "
                    f"its faults are {sorted(faults)}."
                )

    return run_check("02.4", function, stages)
