"""Checks of the exercises in notebook 09."""

import math
from collections.abc import Callable

import torch
from scipy import stats
from torch import Tensor

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.labs.core.checks import CheckResult, Mistake, as_number, run_check
from bift_utils.runtime import make_generator

CLOSE = 1e-5
RARE = 1e-9  # chance that a test of random draws accuses a right answer


def _name_number(answer: float, expected: float, near_misses: dict[str, float], hint: str) -> None:
    """Raise the cause of the near miss that the answer equals, or the hint."""
    if math.isclose(answer, expected, rel_tol=CLOSE):
        return
    for cause, value in near_misses.items():
        if math.isclose(answer, value, rel_tol=CLOSE):
            raise Mistake(cause)
    raise Mistake(f"You gave {answer:.4f}; by hand it is {expected:.4f}. {hint}")


def check_bound(function: Callable) -> CheckResult:
    """Check exercise 09.1: `function(tables)` is the bound on −log P from losses by k."""

    def stages(function):
        length = 3
        # tables[k − 1]: a row for each set of k blanks, a column for each blank of the set
        tables = [
            torch.tensor([[0.5], [1.0], [0.9]]),
            torch.tensor([[1.2, 0.8], [0.7, 2.0], [1.5, 1.1]]),
            torch.tensor([[2.4, 1.8, 3.0]]),
        ]
        answer = as_number(function(tables))
        means = [float(table.mean()) for table in tables]
        every = torch.cat([table.flatten() for table in tables])
        by_set = torch.cat([table.mean(1) for table in tables])
        sets = [len(table) for table in tables]
        _name_number(
            answer,
            sum(means),
            {
                "You forgot T: that is the mean loss per blank. A sentence has T words, so the "
                "bound is T times it, or simply the sum over k.": sum(means) / length,
                "You gave each set of blanks the same weight: there are C(T, k) sets of k blanks, "
                "so that k near T/2 counts most. Take the mean of each table first, and then every "
                "k counts once.": length * float(by_set.mean()),
                "That is the mean over the sets, without T, and each set counts alike. Every k "
                "must count once.": float(by_set.mean()),
                "That is the pooled mean times T: every blank counts alike, so a large k counts "
                "for more. Take the mean of each table first.": length * float(every.mean()),
                "That is the pooled mean: every blank counts alike, and T is missing.": float(
                    every.mean()
                ),
                "That is minus the pseudo-log-likelihood: k = 1 alone. Every k from 1 to T "
                "belongs to the bound.": length * means[0],
                "That is k = T alone: every word without reading any other.": length * means[-1],
                "You added up the blanks of each set. Take their mean: with k blanks that is a "
                "sum divided by k.": sum(float(table.sum(1).mean()) for table in tables),
                "You added everything up. Take the mean of each table, over its sets and over its "
                "blanks, and add up the means.": float(every.sum()),
                "The sign is wrong: losses are positive, and so is the bound on −log P.": -sum(
                    means
                ),
                "That is a probability; asked is the bound on −log P, in nats.": math.exp(
                    -sum(means)
                ),
                "k = T is missing: the set in which everything is hidden counts too.": sum(
                    means[:-1]
                ),
                "k = 1 is missing: the sets with one blank count too.": sum(means[1:]),
                "You weighed each table with its number of sets.": sum(
                    n * mean for n, mean in zip(sets, means, strict=True)
                ),
            },
            "Take the mean of each of the T tables, and add up the means.",
        )
        other = [torch.tensor([[1.0], [3.0]]), torch.tensor([[0.5, 2.5]])]
        _name_number(
            as_number(function(other)), 3.5, {}, "(This sentence has two words, so two tables.)"
        )

    return run_check("09.1", function, stages)


CLS, SEP, PAD, MASK = 0, 1, 2, 3


def _practice_rows(n: int) -> tuple[Tensor, Tensor]:
    """Rows of five or of three ordinary tokens, between [CLS] and [SEP]; and which ids may hide."""
    ids = torch.randint(4, 12, (n, 7), generator=make_generator(21))
    ids[:, 0], ids[:, 6] = CLS, SEP
    ids[::2, 4], ids[::2, 5:] = SEP, PAD  # every other row is short
    ordinary = torch.ones(12, dtype=torch.bool)
    ordinary[:4] = False
    return ids, ordinary


def check_uniform_mask(function: Callable) -> CheckResult:
    """Check exercise 09.2: `function(input_ids, ordinary, mask_token_id, generator)` hides k.

    k is drawn anew for each row, evenly from 1 to the number of its ordinary tokens.
    """

    def stages(function):
        n = 4000
        ids, ordinary = _practice_rows(n)
        answer = function(ids, ordinary, MASK, make_generator(22))
        hidden = _form_of_mask(answer, ids, ordinary)
        counts = hidden.sum(1)
        _check_counts(counts[1::2], 5)
        _check_counts(counts[::2], 3)
        _check_places(hidden)
        again, _ = function(ids.clone(), ordinary.clone(), MASK, make_generator(23))
        if torch.equal(again == MASK, hidden):
            raise Mistake(
                "Another generator hides the same tokens: draw every random number with "
                "generator=generator."
            )
        same, _ = function(ids.clone(), ordinary.clone(), MASK, make_generator(22))
        if not torch.equal(same == MASK, hidden):
            raise Mistake(
                "The same seed hides other tokens: a draw does not use the generator that is given."
            )

    return run_check("09.2", function, stages)


def _form_of_mask(answer, ids: Tensor, ordinary: Tensor) -> Tensor:
    """Check what does not depend on chance, and return where [MASK] stands."""
    if answer is None:
        raise Mistake("Your function returned None. Is a `return` missing?")
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        raise Mistake("Expected two tensors: return corrupted, labels.")
    corrupted, labels = answer
    if tuple(corrupted.shape) != tuple(ids.shape) or tuple(labels.shape) != tuple(ids.shape):
        raise Mistake(
            f"Expected two tensors of shape {tuple(ids.shape)}, got {tuple(corrupted.shape)} and "
            f"{tuple(labels.shape)}."
        )
    hidden = corrupted == MASK
    if (hidden & ~ordinary[ids]).any():
        raise Mistake(
            "A special token is hidden ([CLS], [SEP] or [PAD]). Only ordinary tokens may be: "
            "ordinary[input_ids] says which."
        )
    if not torch.equal(corrupted[~hidden], ids[~hidden]):
        raise Mistake("A token that is not hidden was changed: here there is only [MASK].")
    if (labels[~hidden] != IGNORE_INDEX).any():
        raise Mistake("A visible token has a label. It is −100 wherever nothing is asked.")
    if not torch.equal(labels[hidden], ids[hidden]):
        raise Mistake("The label at a blank is not the token that is hidden there.")
    return hidden


def _check_counts(counts: Tensor, length: int) -> None:
    """Check that every number of blanks from 1 to `length` is equally likely."""
    found = counts.bincount(minlength=length + 1)
    if found[0]:
        raise Mistake(
            f"{int(found[0])} of {len(counts)} rows have no blank: there is nothing to ask, and "
            "the mean over no blank is NaN. k begins at 1."
        )
    if (found > 0).sum() == 1:
        raise Mistake(
            "All rows of a batch have the same number of blanks. Draw k for each row, so that "
            "one batch asks easy and hard questions."
        )
    if not found[length]:
        raise Mistake(
            f"Of {len(counts)} rows with {length} ordinary tokens none is hidden whole. k = T "
            "belongs to it: torch.randint(1, T, …) ends at T − 1."
        )
    if stats.chisquare(found[1:].numpy()).pvalue < RARE:
        shares = ", ".join(f"{share:.0%}" for share in (found[1:] / len(counts)).tolist())
        longest = " A row may have fewer ordinary tokens than the longest." if length == 3 else ""
        raise Mistake(
            f"With {length} ordinary tokens, k = 1…{length} came up in {shares} of the rows; "
            "expected equal shares. Draw the number first, then that many places; hiding each "
            f"token with one fixed chance makes a middling k the likeliest.{longest}"
        )


def _check_places(hidden: Tensor) -> None:
    """Check that every place is hidden equally often, alone and together with others."""
    long = hidden[1::2, 1:6]
    alone = long[long.sum(1) == 1].sum(0)
    pairs = (long[long.sum(1) == 2] * 2 ** torch.arange(5)).sum(1).bincount(minlength=32)
    sets = [2**i + 2**j for i in range(5) for j in range(i)]
    tests = [alone.numpy(), pairs[sets].numpy()]
    if any(stats.chisquare(found).pvalue < RARE for found in tests):
        raise Mistake(
            "Some places are hidden more often than others, or some together. Every set of k "
            "places must be equally likely: sort random numbers, or use torch.randperm."
        )


def check_bound_loss(function: Callable) -> CheckResult:
    """Check exercise 09.3: `function(losses, blanks, lengths)` estimates the bound from a batch."""

    def stages(function):
        # what stands where nothing is asked is no loss of anything
        losses = torch.tensor(
            [[2.0, 9.0, 9.0, 9.0], [1.0, 3.0, 5.0, 9.0], [5.0, 9.0, 1.0, 9.0]], requires_grad=True
        )
        blanks = torch.tensor(
            [[True, False, False, False], [True, True, True, False], [True, False, True, False]]
        )
        lengths = torch.tensor([4, 3, 3])  # the second and the third row end with padding
        given = losses.detach().clone().requires_grad_(), blanks.clone(), lengths.clone()
        result = function(*given)
        answer = as_number(result.detach() if isinstance(result, Tensor) else result)
        plain, counts = losses.detach(), blanks.sum(1)
        sums = (plain * blanks).sum(1)
        means = sums / counts
        expected = float((lengths * means).mean())
        _name_number(
            answer,
            expected,
            {
                "That is the pooled mean: a row with many blanks counts for more. Take the mean "
                "of each row first, and weigh it with its length.": float(
                    sums.sum() / counts.sum()
                ),
                "You multiplied the pooled mean with the mean length. Take the mean of each row "
                "first, or rows with many blanks count for more.": float(
                    sums.sum() / counts.sum() * lengths.double().mean()
                ),
                "You forgot T: the mean loss per blank of a row, times the length of that row, is "
                "its estimate.": float(means.mean()),
                "You added up the blanks of each row. With k of T hidden the sum is k losses; the "
                "bound wants T times their mean.": float(sums.mean()),
                "That is T times the sum: divide by k, the number of blanks of the row.": float(
                    (lengths * sums).mean()
                ),
                "You divided by T and multiplied with k; it is T / k.": float(
                    (sums * counts / lengths).mean()
                ),
                "You divided by T twice, or by T in place of k.": float((sums / lengths).mean()),
                "You took T to be the width of the table; rows with padding are shorter: use "
                "lengths.": float((4 * means).mean()),
                "You added up the rows; asked is their mean.": float((lengths * means).sum()),
                "Visible positions are in your mean. Only blanks have a loss.": float(
                    (lengths * plain.mean(1)).mean()
                ),
                "Visible positions are in your mean. Only blanks have a loss. (And T is "
                "missing.)": float(plain.mean()),
            },
            "For each row: T times the mean over its blanks. Then the mean over the rows.",
        )
        if not (isinstance(result, Tensor) and result.requires_grad):
            raise Mistake(
                "The number is right, but no gradient comes back from it: a network could not "
                "learn from this loss. Leave out .item(), float() and .detach()."
            )

    return run_check("09.3", function, stages)


def check_unmask_step(function: Callable) -> CheckResult:
    """Check exercise 09.4: `function(tokens, log_p, mask_token_id, generator)` fills one blank.

    It is the blank with the least entropy, and its word is drawn from the answer there.
    """
    mask = 4
    tokens = torch.tensor([2, mask, mask, mask, 1])
    p = torch.tensor(
        [
            [1.00, 0.00, 0.00, 0.00],  # visible: no doubt, and nothing to fill
            [0.30, 0.30, 0.20, 0.20],
            [0.50, 0.50, 0.00, 0.00],  # the least entropy: two words, even
            [0.62, 0.14, 0.12, 0.12],  # the likeliest word, and the largest margin
            [0.00, 1.00, 0.00, 0.00],
        ]
    )
    log_p = p.log()

    def stages(function):
        n, drawn = 400, []
        generator = make_generator(31)
        for _ in range(n):
            after = function(tokens, log_p, mask, generator)
            if after is None:
                raise Mistake("Your function returned None. Is a `return` missing?")
            if not isinstance(after, Tensor) or after.shape != tokens.shape:
                got = tuple(after.shape) if isinstance(after, Tensor) else type(after).__name__
                raise Mistake(f"Expected the sentence, a tensor of shape (5,), got {got}.")
            drawn.append(after)
        states = torch.stack(drawn)  # (n, T)
        changed = states != tokens
        if changed[:, [0, 4]].any():
            raise Mistake("A visible word was changed. Only a blank may be filled.")
        filled = changed.sum(1)
        if (filled == 0).any():
            raise Mistake(
                "Nothing was filled: the least entropy of all stands at a visible word. Look for "
                "it among the blanks alone, and mind that 0 · log 0 is NaN (torch.special.entr "
                "takes probabilities and knows that it is 0)."
            )
        if (filled > 1).any():
            raise Mistake(
                f"{int(filled.max())} blanks were filled at once, and none of them read the "
                "others. Fill one."
            )
        words = states[changed]
        if ((words < 0) | (words >= mask)).any():
            raise Mistake("A blank was filled with something that is no word.")
        place = changed.int().argmax(1)
        _check_place(place)
        shares = states[:, 2].bincount(minlength=4)[:4]
        if shares[:2].max() == n:
            raise Mistake(
                f"Of {n} sentences each got the same word. Draw it (torch.multinomial), do not "
                "take the best: the likeliest words alone are another language."
            )
        if shares[2:].sum():
            raise Mistake("A word with probability 0 was drawn: log_p holds logarithms, use exp.")
        if stats.binomtest(int(shares[0]), n, 0.5).pvalue < RARE:
            raise Mistake(
                f"Two words are equally likely, and one of them came {int(shares.max())} times in "
                f"{n}. Draw from the answer at the blank, with the generator that is given."
            )
        again = make_generator(31)
        repeated = [function(tokens, log_p, mask, again) for _ in range(20)]
        if not torch.equal(torch.stack(repeated), states[:20]):
            raise Mistake(
                "The same seed fills in other words: a draw does not use the generator that is "
                "given. Pass it: torch.multinomial(…, generator=generator)."
            )

    return run_check("09.4", function, stages)


def _check_place(place: Tensor) -> None:
    """Say by which rule the blank seems to have been chosen, if it was the wrong one."""
    counts = place.bincount(minlength=5)
    if (place == 2).all():
        return
    if (place == 3).all():
        raise Mistake(
            "You filled the blank with the likeliest best word (or the largest margin). Asked is "
            "the least entropy: −Σ p log p over all words of the blank."
        )
    if (place == 1).all():
        raise Mistake(
            "You filled the first blank, or the one with the most entropy. Asked is the least."
        )
    if counts[1] and counts[2] and counts[3] and float(counts[1:4].min()) > 0.2 * len(place):
        raise Mistake("You took a blank by chance. Asked is the blank with the least entropy.")
    raise Mistake(
        "Which blank you fill changes from draw to draw, so it hangs on the word that was drawn. "
        "Choose the blank first, from the answers, and then draw its word: otherwise likely words "
        "are favoured twice."
    )


def check_guided_step(function: Callable) -> CheckResult:
    """Check exercise 09.5: `function(p_word, p_class, label)` is P(word given rest and class)."""
    p_word = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=torch.float64)
    p_class = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.0, 1.0]], dtype=torch.float64)

    def stages(function):
        for label in (1, 0):
            answer = function(p_word, p_class, label)
            if answer is None:
                raise Mistake("Your function returned None. Is a `return` missing?")
            answer = torch.as_tensor(answer, dtype=torch.float64).detach()
            if tuple(answer.shape) != (4,):
                raise Mistake(
                    f"Expected one probability for each of the 4 words, got shape "
                    f"{tuple(answer.shape)}. Take the column of the label: p_class[:, label]."
                )
            _name_step(answer, label)

    def _name_step(answer, label):
        fits = p_class[:, label]
        product = p_word * fits
        if torch.allclose(answer, product / product.sum(), atol=1e-7):
            return
        other = p_word * p_class[:, 1 - label]
        near_misses = {
            "That is the product, not yet a distribution: divide by its sum, P(class given the "
            "rest).": product,
            "That is the answer without the class.": p_word,
            "You asked the classifier alone: a word that never stands here gets a share. Multiply "
            "with P(word).": fits / fits.sum(),
            "That is the classifier's column as it is. Multiply with P(word), and divide by the "
            "sum.": fits,
            "That is written for the other class: take the column of `label`.": other / other.sum(),
            "You averaged the two answers. Bayes' rule multiplies.": (p_word + fits / fits.sum())
            / 2,
            "You added the two; Bayes' rule multiplies.": (p_word + fits) / (p_word + fits).sum(),
            "You normalised by a softmax: these are probabilities, not logits.": product.softmax(0),
            "The class counts twice.": p_word * fits**2 / (p_word * fits**2).sum(),
            "The word counts twice.": p_word**2 * fits / (p_word**2 * fits).sum(),
            "You divided by the classifier. Multiply: a word that fits the class must gain.": (
                p_word / fits.clamp(min=1e-300) / (p_word / fits.clamp(min=1e-300)).sum()
            ),
            "You kept only the likeliest word; asked are the probabilities of all.": (
                torch.nn.functional.one_hot(product.argmax(), 4).double()
            ),
        }
        for cause, value in near_misses.items():
            if torch.allclose(answer, value, atol=1e-7):
                raise Mistake(cause)
        if answer.isnan().any():
            raise Mistake("There is a NaN in your answer: word 3 has probability 0 (log 0, 0/0?).")
        raise Mistake(
            f"For label {label} you gave {[round(float(x), 3) for x in answer]}. Multiply P(word) "
            "with the column of the label, word by word, and divide by the sum."
        )

    return run_check("09.5", function, stages)
