"""Checks of the exercises in notebook 03b: each compares with the exact answer."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bift_utils.labs.core.checks import (
    CheckResult,
    Mistake,
    as_number,
    as_tensor,
    compare,
    run_check,
)
from bift_utils.runtime import make_generator

SENTENCE = (
    "Your function changed the sentence. Hide each token in a clone, or the next one is scored "
    "with more than itself hidden."
)


def _stand_in(corrupted: Tensor) -> Tensor:
    """Stand for a network of five words and [MASK] (5): each answer depends on all ids.

    Like the real one it answers with V + 1 columns, and [MASK] is the least likely answer.
    """
    if not isinstance(corrupted, Tensor) or corrupted.dim() != 2:
        raise Mistake(
            "log_probabilities wants ids of shape (N, T). For one sentence: tokens[None]."
        )
    if corrupted.is_floating_point() or not ((corrupted >= 0) & (corrupted <= 5)).all():
        raise Mistake("log_probabilities was given something that is not a token id.")
    places = torch.arange(1, corrupted.shape[1] + 1, dtype=torch.float64)
    mixed = corrupted.double() @ torch.cos(places[:, None] * places)  # (N, T)
    logits = torch.sin(mixed[..., None] * torch.arange(1, 7))
    logits = logits + 2.0 * torch.nn.functional.one_hot(corrupted, 6)
    logits[..., 5] = logits[..., 5] - 9.0
    return logits.log_softmax(-1)


def _stand_in_words(corrupted: Tensor) -> Tensor:
    """Stand for a network that answers with words alone: five columns, and never [MASK]."""
    return _stand_in(corrupted)[..., :5].log_softmax(-1)


def check_pair(function: Callable) -> CheckResult:
    """Check exercise 03b.1: `function(log_probabilities, tokens, first, second)` is a joint table.

    `log_probabilities` is a function from corrupted ids (N, T) to log-probabilities (N, T, V).
    """
    mask, size = 5, 5

    def ask(tokens, place) -> Tensor:
        """Return the answers at a place with every word in turn at the other blank."""
        return torch.stack([_stand_in_words(row[None])[0, place] for row in tokens])

    def filled(tokens, place) -> Tensor:
        """Return the sentence once for each word, with that word at a place, (V, T)."""
        rows = tokens.repeat(size, 1)
        rows[:, place] = torch.arange(size)
        return rows

    def chain(tokens, first, second) -> tuple[Tensor, Tensor]:
        """Return log P(word at first), (V,), and log P(word at second | word at first), (V, V)."""
        alone = _stand_in_words(tokens[None])[0, first]
        return alone, ask(filled(tokens, first), second)

    def near_misses(tokens, first, second) -> dict[str, Tensor]:
        alone, after = chain(tokens, first, second)
        alone_second, after_first = chain(tokens, second, first)
        right = (alone[:, None] + after).exp()
        at_first = ask(filled(tokens, first), first)
        return {
            "That is the product of two answers that were given at once. The second blank must be "
            "asked *after* a word was written into the first.": (
                alone[:, None] + alone_second
            ).exp(),
            "That is the logarithm: exp is missing at the end.": alone[:, None] + after,
            "Rows and columns are exchanged: row a is the word at `first`.": right.T,
            "You asked for `second` first. A network may answer differently in another order; "
            "begin with `first`.": (alone_second + after_first.T).exp(),
            "That is P(second | first), a row for each first word. Multiply each row by the "
            "probability of its first word.": after.exp(),
            "You divided each row by its sum, so that the first word no longer counts.": (
                right / right.sum(-1, keepdim=True)
            ),
            "You added the two probabilities; a chain multiplies them.": (
                alone.exp()[:, None] + after.exp()
            ),
            "The word was written into `first`, and then `first` was asked again: read the answer "
            "at `second`.": (alone[:, None] + at_first).exp(),
            "The first word's probability stands along the columns. It belongs to the rows: "
            "alone[:, None].": (alone + after).exp(),
        }

    def stages(function):
        what = "P(word a at `first`, word b at `second`), a row for each a, a column for each b"
        cases = [([3, mask, mask, 1], 1, 2), ([mask, 2, 0, mask], 0, 3),
                 ([4, mask, 1, 0, mask], 4, 1), ([mask, mask], 1, 0)]  # fmt: skip
        for ids, first, second in cases:
            tokens = torch.tensor(ids)
            answer = as_tensor(
                function(_stand_in_words, tokens.clone(), first, second), (size, size), what
            )
            alone, after = chain(tokens, first, second)
            compare(
                answer,
                (alone[:, None] + after).exp(),
                near_misses(tokens, first, second),
                f"For the sentence {ids} (5 is [MASK]), first {first}, second {second}.",
                "One call on the sentence as it is gives the first word's probabilities, at "
                f"`first` (that of word 0 is {float(alone[0].exp()):.4f}). Then write each word "
                "there, and ask at `second`.",
            )

    return run_check("03b.1", function, stages, SENTENCE)


def check_copy_or_doubt(function: Callable) -> CheckResult:
    """Check exercise 03b.2: `function(around, seen, kept, drawn)` is the optimum at a visible word.

    `kept` and `drawn` are the channel's shares of selected tokens.
    """

    def optimum(around, seen, kept, drawn):
        copy = kept * around[seen] / (kept * around[seen] + drawn / len(around))
        return copy * torch.eye(len(around), dtype=torch.float64)[seen] + (1 - copy) * around

    def near_misses(around, seen, kept, drawn):
        word = torch.eye(len(around), dtype=torch.float64)[seen]
        size = len(around)

        def mixed(copy):
            return copy * word + (1 - copy) * around

        likely = kept * around[seen]
        right = likely / (likely + drawn / size)
        exchanged = drawn * around[seen] / (drawn * around[seen] + kept / size)
        others = 1 - right
        return {
            "That is the context alone: the visible word is some evidence too.": around,
            "You copy always. A selected visible word may have been drawn at random.": word,
            "A random draw hits this very word once in V: divide `drawn` by the number of "
            "candidates.": mixed(likely / (likely + drawn)),
            "κ does not use the context: weigh `kept` with π(w).": mixed(kept / (kept + drawn)),
            "κ and 1 − κ are swapped: κ is the weight of the copy.": mixed(others),
            "`kept` and `drawn` are exchanged.": mixed(exchanged),
            "You set the visible word to κ. The context expects it too: *add* κ to "
            "(1 − κ) · π(w).": right * word + others * around * (1 - word),
            "κ is the weight of the copy, but 1 − κ goes to the context as a whole, the visible "
            "word included: you put κ on the word and shared the rest out among the others.": (
                right * word + others * (around * (1 - word)) / (around * (1 - word)).sum()
            ),
            "The shares are arguments: you took the 0.1 and 0.1 of the notebook.": optimum(
                around, seen, 0.1, 0.1
            ),
            "V is the number of candidates, len(around); you took the 8 of the notebook.": mixed(
                likely / (likely + drawn / 8)
            ),
            "The shares and V are those of the notebook (0.1, 0.1 and 8): take your arguments.": (
                mixed(around[seen] / (around[seen] + 1 / 8))
            ),
            "You left the division by V out of both terms' sum: κ is kept · π(w) over the sum of "
            "kept · π(w) and drawn / V.": mixed(likely * size / (likely + drawn)),
            "That is κ · π(w) at the word seen and nothing else; the context's share is missing.": (
                right * word
            ),
            "Your weights do not sum to one: the context counts with 1 − κ.": (
                right * word + around
            ),
            "A random draw is made from all V words, the one that stands there included: divide "
            "by V, not by V − 1.": mixed(likely / (likely + drawn / (size - 1))),
        }

    def stages(function):
        what = "one probability for each candidate"
        four = [0.4, 0.3, 0.2, 0.1]
        cases = [(four, 1, 0.3, 0.1), (four, 3, 0.1, 0.1), (four, 0, 0.3, 0.2), (four, 2, 0.0, 0.5),
                 ([0.6, 0.0, 0.4], 1, 0.2, 0.1), ([0.7, 0.3], 0, 0.05, 0.25)]  # fmt: skip
        for numbers, *question in cases:
            around = torch.tensor(numbers, dtype=torch.float64)
            answer = as_tensor(function(around.clone(), *question), tuple(around.shape), what)
            seen, kept, drawn = question
            compare(
                answer,
                optimum(around, *question),
                near_misses(around, *question),
                f"For π = {numbers}, the word seen number {seen}, kept {kept} and drawn {drawn}.",
                "Mix two answers: copy with weight κ, the context with weight 1 − κ.",
            )

    return run_check("03b.2", function, stages)


def _gaps(confidence: Tensor, right: Tensor, places: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Return confidence minus share of right answers in each bin that is not empty, and counts."""
    full = [k for k in range(bins) if bool((places == k).any())]
    inside = [places == k for k in full]
    gaps = [confidence[at].mean() - right[at].double().mean() for at in inside]
    return torch.stack(gaps), torch.stack([at.sum() for at in inside]).double()


def _places_above(confidence: Tensor, bins: int) -> Tensor:
    """Return the bins of the answers if an edge belonged to the bin below it."""
    return ((confidence * bins).ceil().long() - 1).clamp(min=0)


def _near_misses_of_calibration(confidence, right, places, bins) -> dict[str, Tensor]:
    """Return what the usual mistakes lead to."""
    n, true = len(confidence), right.double()
    gaps, counts = _gaps(confidence, right, places, bins)
    upper, upper_counts = _gaps(confidence, right, _places_above(confidence, bins), bins)
    ten, ten_counts = _gaps(confidence, right, (confidence * 10).long().clamp(max=9), 10)
    middle = (places.unique().double() + 0.5) / bins
    shares = torch.stack([true[places == k].mean() for k in places.unique()])
    weighted = counts * gaps.abs()
    below = confidence < 1.0
    lost = weighted.sum() * 0.0
    if below.any():
        lost_gaps, lost_counts = _gaps(confidence[below], right[below], places[below], bins)
        lost = (lost_counts * lost_gaps.abs()).sum()
    return {
        "Every bin counts alike in yours. Weigh each gap with the number of its answers.": (
            gaps.abs().mean()
        ),
        "You divided by the number of all bins; empty ones count too then, and full ones no more "
        "than others. Weigh each gap with the number of its answers.": gaps.abs().sum() / bins,
        "Your gaps cancel: one bin is too sure, another not sure enough. Take the absolute value "
        "of each bin's gap, before the sum.": (counts * gaps).sum() / n,
        "Your gaps cancel; only the sum's absolute value is taken. Take that of each bin's gap.": (
            (counts * gaps).sum().abs() / n
        ),
        "That is the largest gap; asked is their mean.": gaps.abs().max(),
        "You squared the gaps; take their absolute values.": (counts * gaps.square()).sum() / n,
        "That is the root of the mean squared gap; take absolute values.": (
            (counts * gaps.square()).sum() / n
        ).sqrt(),
        "You compared each single answer with 0 or 1. First take the means of a bin, then their "
        "gap.": (confidence - true).abs().mean(),
        "That is the sum over the answers: divide by their number.": weighted.sum(),
        "That is per cent; asked is a number from 0 to 1.": 100 * weighted.sum() / n,
        "You took the middle of the bin for the confidence. Take the mean confidence of the "
        "answers in it.": (counts * (middle - shares).abs()).sum() / n,
        "An edge belongs to the bin *above* it: bin k begins at k / bins, and does not hold its "
        "upper end.": (upper_counts * upper.abs()).sum() / n,
        "The number of bins is an argument: you took ten.": (ten_counts * ten.abs()).sum() / n,
        "A confidence of 1 is lost: 1 · bins is past the last bin, to which it belongs.": lost / n,
        "A confidence of 1 is lost: 1 · bins is past the last bin, to which it belongs. (Divide by "
        "all answers, too.)": lost / max(int(below.sum()), 1),
        "That is the share of right answers.": true.mean(),
        "That is the mean confidence.": confidence.mean(),
    }


def check_calibration_error(function: Callable) -> CheckResult:
    """Check exercise 03b.3: `function(confidence, right, bins)` is the calibration error."""
    generator = make_generator(12)
    many = 0.05 + 0.9 * torch.rand(40, generator=generator, dtype=torch.float64)
    cases = [
        ([0.62, 0.68, 0.91, 0.84, 0.96], [True, False, True, True, False], 2),  # one bin is empty
        ([0.3, 0.45, 0.6, 0.7, 0.9, 0.8], [True, True, False, True, True, False], 4),
        ([0.5, 0.25, 0.75, 0.1, 0.6, 1.0, 1.0], [False, True, True, False, True, True, False], 4),
        ([1.0], [False], 5),
        ([0.4, 0.7, 0.2], [True, False, True], 1),
        (many.tolist(), (torch.rand(40, generator=generator) < 0.6).tolist(), 8),
    ]

    def stages(function):
        for numbers, marks, bins in cases:
            confidence, right = torch.tensor(numbers, dtype=torch.float64), torch.tensor(marks)
            try:
                answer = as_number(function(confidence.clone(), right.clone(), bins))
            except RuntimeError as error:
                if "mean()" not in str(error):
                    raise
                raise Mistake(
                    f"Your function raised RuntimeError: {error} `right` holds True and False; "
                    "right.double() makes numbers of them."
                ) from None
            places = (confidence * bins).long().clamp(max=bins - 1)
            gaps, counts = _gaps(confidence, right, places, bins)
            if math.isnan(answer):
                raise Mistake(
                    f"That is NaN, with {bins} bins of which {bins - len(counts)} are empty: the "
                    "mean of nothing is 0 / 0. Leave empty bins out."
                )
            listed = f"confidence {numbers}, right {marks}" if len(numbers) < 9 else "40 answers"
            misses = _near_misses_of_calibration(confidence, right, places, bins)
            compare(
                answer,
                float((counts * gaps.abs()).sum() / len(confidence)),
                {cause: float(value) for cause, value in misses.items()},
                f"For {listed} and {bins} bins.",
                "In each bin: the mean confidence, the share of right answers, their gap. Then the "
                "mean of the gaps, weighed with the number of answers. Here the bins hold "
                f"{', '.join(str(int(count)) for count in counts)} answers (empty ones left out).",
            )

    return run_check("03b.3", function, stages)


def check_pseudo_likelihood(function: Callable) -> CheckResult:
    """Check exercise 03b.4: `function(log_probabilities, tokens, mask_token_id)` scores a sentence.

    `log_probabilities` is a function from corrupted ids (N, T) to log-probabilities (N, T, V).
    """
    mask, model = 5, _stand_in

    def single(tokens, hidden_at, place) -> Tensor:
        """Return log P(x_i) at a place, with the places `hidden_at` hidden."""
        blank = tokens.clone()
        blank[hidden_at] = mask
        return model(blank[None])[0, place, tokens[place]]

    def score(tokens, hidden_at, places=None) -> Tensor:
        """Sum over i of log P(x_i), with the places hidden_at(i) hidden."""
        places = range(len(tokens)) if places is None else places
        terms = [single(tokens, hidden_at(i), i) for i in places]
        return torch.stack([torch.zeros((), dtype=torch.float64), *terms]).sum()

    def near_misses(tokens) -> dict[str, Tensor]:
        expected, length = score(tokens, lambda i: [i]), len(tokens)
        entries, chances = [], []
        for i in range(length):
            blank = tokens.index_fill(0, torch.tensor(i), mask)
            entries.append(model(blank[None])[0, i, mask])
            chances.append(single(tokens, [i], i).exp())
        return {
            "You scored each token while it was visible: the model copies it. Put [MASK] "
            "in its place first.": score(tokens, lambda i: []),
            "You hid all tokens at once. Hide one, score it, and put it back.": score(
                tokens, lambda i: slice(None)
            ),
            "You hid the token and all to its right: that is a one-way score. Hide one "
            "token only.": score(tokens, lambda i: slice(i, None)),
            "A token that was hidden stayed hidden: start each time from the whole "
            "sentence.": score(tokens, lambda i: slice(0, i + 1)),
            "You read the entry of [MASK], not that of the hidden word: remember the word "
            "before you hide it.": torch.stack(entries).sum(),
            "The first token is missing from your sum.": score(
                tokens, lambda i: [i], range(1, length)
            ),
            "The last token is missing from your sum.": score(
                tokens, lambda i: [i], range(length - 1)
            ),
            "The first and the last token are missing from your sum: this sentence has no [CLS] "
            "and [SEP].": score(tokens, lambda i: [i], range(1, length - 1)),
            "That is in bits; nats take the natural logarithm.": expected / math.log(2),
            "That is the mean a token; asked is the sum.": expected / length,
            "You added probabilities; add their logarithms.": torch.stack(chances).sum(),
            "That is exp of the score; asked is its logarithm, in nats.": expected.exp(),
            "The sign is wrong: a log-likelihood is below zero.": -expected,
        }

    def stages(function):
        for ids in ([3, 0, 4, 1], [2, 2, 0, 3], [1, 4, 4, 0, 2, 3], [2]):
            tokens = torch.tensor(ids)
            answer = as_number(function(model, tokens.clone(), mask))
            first = float(single(tokens, [0], 0))
            compare(
                answer,
                float(score(tokens, lambda i: [i])),
                {cause: float(value) for cause, value in near_misses(tokens).items()},
                f"For the sentence {ids}.",
                "For each i: a clone with [MASK] at i, the model on it, the entry [0, i, x_i]. For "
                f"i = 0 that is {first:.4f}.",
            )

    return run_check("03b.4", function, stages, SENTENCE)
