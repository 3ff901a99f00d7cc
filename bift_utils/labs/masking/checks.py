"""Checks of the exercises in notebook 02.

Where an answer is random, the limits are derived in `distribution`: a correct masker, whether it
tosses a coin for each token or counts out a fixed number, is refused at most once in 1e9. With
150,000 selected tokens the masker 81/10/9 then passes with probability below 1e-10: its kept tokens
give it away.
"""

from collections.abc import Callable
from dataclasses import replace

import torch

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.labs.core.checks import (
    NO_RETURN,
    CheckResult,
    Mistake,
    as_pair,
    as_tensor,
    run_check,
)
from bift_utils.labs.masking import practice_maskers as practice
from bift_utils.labs.masking.distribution import bounds, is_even
from bift_utils.masking import zoo
from bift_utils.masking.tokens import OUTCOMES, mask_tokens, outcomes
from bift_utils.runtime import make_generator

MASKED, RANDOM, KEPT = (OUTCOMES.index(name) for name in ("[MASK]", "random", "kept"))


def _result(function: Callable, ids: torch.Tensor, config, seed: int) -> zoo.Masked:
    """Call a masker on a copy and return what it gives, if that has the right form."""
    answer = as_pair(function(ids.clone(), config, make_generator(seed)), "corrupted, labels")
    names, shape = ("corrupted", "labels"), tuple(ids.shape)
    corrupted, labels = (
        as_tensor(part, shape, f"`{name}`, a tensor of the shape of input_ids", ids)
        for name, part in zip(names, answer, strict=True)
    )
    return corrupted, labels


def _check_exact_facts(ids, corrupted, labels, config) -> None:
    """Check what holds for every token, whatever was drawn."""
    selected = labels != IGNORE_INDEX
    if (corrupted == IGNORE_INDEX).any() and selected.all():
        raise Mistake("The two are swapped: return corrupted first, then labels.")
    if (corrupted == IGNORE_INDEX).any():
        raise Mistake("−100 stands in the corrupted text. It is no id; it belongs into the labels.")
    if selected.all():
        raise Mistake("Every position has a label. Write −100 where a token was not selected.")
    if not selected.any():
        raise Mistake(f"Nothing was selected among {ids.numel():,} tokens at a rate of 0.15.")
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


def _right_shares(counts: list[int]) -> bool:
    """Say whether the counts of [MASK], random and kept fit 80/10/10."""
    low, high = bounds(sum(counts), 0.8, 0.8)
    # one draw of 1,000 gives the original back
    kept_low, kept_high = bounds(sum(counts), 0.1, 0.1001)
    return low <= counts[0] <= high and kept_low <= counts[2] <= kept_high


def _shares_cause(counts: list[int]) -> str:
    """Say how one arrives at wrong counts of [MASK], random and kept."""
    n = sum(counts)
    shares = [100 * count / n for count in counts]

    def distance(known):
        return max(abs(a - b) for a, b in zip(known, shares, strict=True))

    near = min(KNOWN_SHARES, key=distance)
    return (
        "Of {:,} selected tokens {:.1f} % became [MASK], {:.1f} % random, {:.1f} % were kept; "
        "expected 80/10/10. ".format(n, *shares)
        + (
            KNOWN_SHARES[near]
            if distance(near) < 0.5
            else "Cut the range below the rate at 80 % and at 90 %."
        )
    )


SAME_COLUMNS = (
    "Some positions are selected far more often than others, the same in every row. Draw numbers "
    "of the shape (B, T)."
)
SPANS = (
    "Neighbours are selected together far too often. Each token is selected for itself, not in "
    "spans."
)
WHOLE_ROWS = (
    "Some rows have far more selected tokens than others: whole rows, or one coin for a row. Draw "
    "a number for each token, shape (B, T)."
)


def _clumped(hits: torch.Tensor, of: torch.Tensor) -> float:
    """Return how much more than by chance groups differ, whatever their common share; fair is 1."""
    hits, of = hits[of > 0].double(), of[of > 0].double()
    share = hits.sum() / of.sum()
    return float(((hits - of * share) ** 2 / (of * share * (1 - share) + 1e-9)).mean())


def _check_selection(ids, labels, config, hint: str = "") -> None:
    """Check how many tokens were selected, and that they lie anywhere."""
    ordinary, selected, rate = config.ordinary[ids], labels != IGNORE_INDEX, config.mlm_probability
    n, found = int(ordinary.sum()), int(selected.sum())
    low, high = bounds(n, rate, rate)
    # one token a row more or less: a fixed count may be rounded either way
    off = not low - len(ids) <= found <= high + len(ids)
    columns, rows = ((selected.sum(d), ordinary.sum(d)) for d in (0, 1))
    together = (rate + 1 / 195) ** 2  # again one token a row
    spans = False
    for first in (1, 2):  # pairs that share no token: (1, 2), (3, 4) …, then (2, 3), (4, 5) …
        both = selected[:, first : first + 192].unflatten(1, (-1, 2)).all(-1)
        spans = spans or int(both.sum()) > bounds(both.numel(), together, together)[1]
    uneven = not is_even(*columns, rate), not is_even(*rows, rate)
    if not (off or spans or any(uneven)):
        return
    if _clumped(*columns) > 2 or (uneven[0] and not off):
        raise Mistake(SAME_COLUMNS)
    if _clumped(*rows) > 5:
        raise Mistake(WHOLE_ROWS)
    if off:
        raise Mistake(
            f"{100 * found / n:.1f} % of the tokens were selected; expected {100 * rate:g} %. The "
            f"rate is config.mlm_probability, {rate:g} here, of the ordinary tokens. {hint}".strip()
        )
    raise Mistake(SPANS if spans else WHOLE_ROWS)


def _check_outcomes(found, labels) -> None:
    """Check the shares of the outcomes, and that they are drawn for each token by itself."""
    selected = labels != IGNORE_INDEX
    counts = found.flatten().bincount(minlength=4).tolist()[1:]
    right = _right_shares(counts)
    for outcome, chance in ((MASKED, 0.8), (KEPT, 0.1)):
        for dimension, name in ((1, "row"), (0, "column")):
            hits, of = (found == outcome).sum(dimension), selected.sum(dimension)
            if (right and not is_even(hits, of, chance)) or (not right and _clumped(hits, of) > 2):
                raise Mistake(
                    f"What becomes of the selected tokens of a {name} hangs together: a {name} has "
                    f"far too many, or far too few, {OUTCOMES[outcome]}. Draw the outcome anew for "
                    "each token."
                )
    if not right:
        raise Mistake(_shares_cause(counts))


def _check_draws(ids, corrupted, labels, config) -> None:
    """Check how the outcomes and the random ids are spread over a text with uneven ids."""
    found = outcomes(ids, corrupted, labels, config.mask_token_id)
    _check_outcomes(found, labels)
    as_random = found == RANDOM
    # where a random token is seen it is any ordinary one but the original, all with one chance
    choices = config.ordinary.nonzero()[:, 0]
    drawn, clean = corrupted[as_random], ids[as_random]
    times = drawn.bincount(minlength=len(config.ordinary))[choices]
    of = len(drawn) - clean.bincount(minlength=len(config.ordinary))[choices]
    if not is_even(times, of, 1 / (len(choices) - 1)):
        often, seldom = choices[times.argmax()], choices[times.argmin()]
        raise Mistake(
            f"One id was drawn {int(times.max()):,} times ({int(often)}), another "
            f"{int(times.min()):,} times ({int(seldom)}), of {len(drawn):,} random tokens. Draw a "
            "new token for each position, every ordinary id with the same chance, whatever the "
            "text holds."
        )
    for offset, side in ((1, "left"), (-1, "right")):
        neighbour = ids.roll(offset, 1)
        asked = as_random & config.ordinary[neighbour] & (neighbour != ids)
        same = int((asked & (corrupted == neighbour)).sum())
        if same > bounds(int(asked.sum()), 1 / 999, 1 / 999)[1]:
            raise Mistake(
                f"{same:,} of {int(asked.sum()):,} random tokens equal their {side} neighbour. "
                "Draw them from the vocabulary, not from the text."
            )


def _uneven(ids: torch.Tensor, config) -> torch.Tensor:
    """Return the practice batch with some ids far more frequent than others, and many missing."""
    places = (ids - 5) ** 2 // 1000
    return torch.where(config.ordinary[ids], places + 5, ids)


def check_mask_tokens(function: Callable) -> CheckResult:
    """Check exercise 02.1: `function(input_ids, config, generator)` masks as BERT does."""

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
        found = outcomes(ids, corrupted, labels, config.mask_token_id)
        counts = found.flatten().bincount(minlength=4).tolist()[1:]
        kept_hint = "No selected token was kept: do the labels leave out the kept tokens?"
        few_kept = counts[2] < 0.01 * sum(counts)
        _check_selection(ids, labels, config, kept_hint if few_kept else "")
        _check_outcomes(found, labels)
        # nine in ten tokens selected: many random ones, and a rate that is not the usual one
        uneven, often = _uneven(ids[:2500], config), replace(config, mlm_probability=0.9)
        corrupted, labels = _result(function, uneven, often, seed=4)
        _check_exact_facts(uneven, corrupted, labels, often)
        _check_selection(uneven, labels, often)
        _check_draws(uneven, corrupted, labels, often)

    changed = (
        "Your function changed input_ids. The classifier, or the next epoch, needs the clean "
        "text: work on input_ids.clone()."
    )
    return run_check("02.1", function, stages, changed, seconds=180.0)


RIGHT = {  # correct maskers, seeds
    "masking.mask_tokens": (mask_tokens, range(2)),
    "zoo.fixed_count": (zoo.fixed_count, range(1)),
    "a masker that never draws the original": (practice.never_the_original, range(1)),
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
    (practice.with_shares(0.85, 0.05), zoo.WRONG_SHARES,
     "It is 85/5/10: its share of kept tokens is right."),
    (practice.with_shares(0.75, 0.15), zoo.WRONG_SHARES,
     "It is 75/15/10: there are too few [MASK]."),
    (practice.with_shares(0.8, 0.15), zoo.WRONG_SHARES, "It is 80/15/5: too few were kept."),
    (practice.with_shares(0.81, 0.10), zoo.WRONG_SHARES,
     "It is 81/10/9: one point off. Is your tolerance about six standard errors, and do you look "
     "at the kept tokens?"),
    (practice.counted_out(7.5), zoo.WRONG_SHARES,
     "Its kept share is off by seven and a half standard errors √(p(1 − p)/n), and six are the "
     "limit."),
]  # fmt: skip


COLLECTIONS = (set, frozenset, list, tuple)


def check_find_faults(function: Callable) -> CheckResult:
    """Check exercise 02.2: `function(masker, input_ids, config, generator)` names the faults."""

    def stages(function):
        ids, config = zoo.practice_batch()

        def ask(masker, seed=0):
            answer = function(masker, ids.clone(), config, make_generator(seed))
            if answer is None:
                raise Mistake(NO_RETURN)
            if not isinstance(answer, COLLECTIONS) or not set(answer) <= set(zoo.FAULTS):
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
            if extra and fault == zoo.ASKS_ALL:
                raise Mistake(
                    f"Where every position has a label, return “{fault}” alone and at once; you "
                    f"gave {sorted(extra)} as well."
                )
            if extra:
                raise Mistake(
                    f"A masker whose only fault is “{fault}” is also accused of {sorted(extra)}. "
                    f"{hint}"
                )
        for name, masker in zoo.ZOO.items():
            answer, faults = ask(masker, seed=7), zoo.ANSWERS[name]
            if answer != faults:
                raise Mistake(
                    f"For “{name}” your test says {sorted(answer)}; "
                    f"its faults are {sorted(faults)}."
                )

    return run_check("02.2", function, stages, changed="", seconds=300.0)
