"""Any order: what a known language says about blanks, whichever of its words are hidden.

A *law* is the table of P(sentence), one axis a position, so that adding along an axis forgets the
word there. Shapes: N sentences, T positions, V tokens.
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from bift_utils.languages.families import (
    ENUMERATION_LIMIT,
    HiddenMarkovLanguage,
    KnownLanguage,
)

# answers ids (N, T), blanks among them, with log P(token) at every position: (N, T, V)
Answer = Callable[[Tensor], Tensor]

SET_LIMIT = 2**12  # most sets of blanks that the table of one sentence has: twelve tokens
ORDER_LIMIT = math.factorial(8)  # most orders that are gone through: eight tokens
OLD_MAN_WORDS = ("the", "a", "old", "young", "man", "boat", "sail", "fish")


def old_man_language() -> HiddenMarkovLanguage:
    """Return the language of notebook 03, "the old man the boat": its words are `OLD_MAN_WORDS`.

    The hidden states are determiner, adjective, noun and verb. Introduced in notebook 09.
    """
    start = [0.7, 0.1, 0.2, 0.0]
    transition = [[0, 0.4, 0.6, 0], [0, 0.1, 0.9, 0], [0.1, 0, 0, 0.9], [0.8, 0.1, 0.1, 0]]
    emission = [
        [0.6, 0.4, 0, 0, 0, 0, 0, 0],
        [0, 0, 0.6, 0.4, 0, 0, 0, 0],
        [0, 0, 0.15, 0, 0.3, 0.3, 0.1, 0.15],
        [0, 0, 0, 0, 0.2, 0, 0.4, 0.4],
    ]
    tables = [torch.tensor(rows, dtype=torch.float64) for rows in (start, transition, emission)]
    return HiddenMarkovLanguage(*tables)


def sentence_law(language: KnownLanguage, length: int, label: int | None = None) -> Tensor:
    """Return P of every sentence of `length` tokens, (V, …, V) with T axes, float64.

    Args:
        language: any known language.
        length: T.
        label: with it, P(sentence given this label) in place of P(sentence).

    Raises:
        ValueError: `length` is below 1, there is no such label, or there are more than
            `ENUMERATION_LIMIT` sentences.

    Introduced in notebook 09.
    """
    prior, start, transition, emission = language.tables
    vocab_size = language.vocab_size
    if length < 1:
        raise ValueError(f"length was given as {length}; expected at least 1.")
    if vocab_size**length > ENUMERATION_LIMIT:
        raise ValueError(
            f"There are {vocab_size}^{length} = {vocab_size**length:,} sentences of {length} "
            f"tokens; expected at most {ENUMERATION_LIMIT:,}, to keep them in one table. Take a "
            "smaller length."
        )
    if label is not None:
        if not 0 <= label < len(prior):
            raise ValueError(f"label was given as {label}; expected 0 to {len(prior) - 1}.")
        prior = torch.nn.functional.one_hot(torch.tensor(label), len(prior)).double()
    mass = (prior[:, None] * start)[:, None]  # (C, 1, K): a label, no token yet, the first state
    for i in range(length):
        if i:
            mass = mass @ transition
        mass = torch.einsum("cnk,ckv->cnvk", mass, emission).flatten(1, 2)  # (C, V^(i+1), K)
    return mass.sum((0, 2)).reshape((vocab_size,) * length)


def hidden_sets(length: int, count: int) -> list[tuple[int, ...]]:
    """Return every way to hide `count` of `length` positions, each a tuple of positions.

    Raises:
        ValueError: `count` is not from 1 to `length`.

    Introduced in notebook 09.
    """
    if not 1 <= count <= length:
        raise ValueError(
            f"count was given as {count}; expected 1 to {length}, the number of tokens: with no "
            "blank there is nothing to ask."
        )
    return list(itertools.combinations(range(length), count))


def blank_posterior(law: Tensor, position: int, hidden: tuple[int, ...]) -> Tensor:
    """Return P(x_position given the words outside `hidden`), for every sentence at once.

    Args:
        law: (V, …, V), P(sentence).
        position: the blank asked for, one of `hidden`.
        hidden: all positions that are hidden.

    Returns:
        A table like `law` with axes of size 1 at the other blanks: nothing there is read. It is 0
        where the visible words cannot stand together.

    Introduced in notebook 09.
    """
    others = [i for i in hidden if i != position]
    joint = law.sum(others, keepdim=True) if others else law
    context = joint.sum(position, keepdim=True)
    return joint / torch.where(context > 0, context, 1.0)


def loss_by_count(law: Tensor) -> Tensor:
    """Return the least possible loss per blank with k = 1…T blanks, (T,), in nats.

    Entry k − 1 is the mean of H(x_i given the visible words) over all sets of k blanks and over
    the blanks i of a set. The entries add up to the entropy of a sentence.

    Source: Uria, Murray and Larochelle 2014, equation 6. Introduced in notebook 09.
    """
    losses = []
    for count in range(1, law.dim() + 1):
        total = 0.0
        sets = hidden_sets(law.dim(), count)
        for hidden in sets:
            for position in hidden:
                exact = blank_posterior(law, position, hidden)
                others = [i for i in hidden if i != position]
                joint = law.sum(others, keepdim=True) if others else law
                total += float(-torch.special.xlogy(joint, exact).sum())
        losses.append(total / (len(sets) * count))
    return torch.tensor(losses, dtype=torch.float64)


def sentence_losses(answer: Answer, tokens: Tensor, mask_token_id: int) -> Tensor:
    """Return what each blank of one sentence costs, for every set of blanks, (2^T, T), in nats.

    Row m hides the positions whose bit is set in m: row 0 none, row 1 the first, row 3 the first
    two. An entry is −log P(x_i given the visible words), 0 where nothing is hidden.

    Args:
        answer: ids (N, T) to log P(token), (N, T, V): a language's `cavity_posterior(…).log()`,
            or a network's `evaluation.token_log_probabilities`.
        tokens: (T,), a whole sentence.
        mask_token_id: the id of [MASK].

    Raises:
        ValueError: the sentence is too long, or has a blank already.

    Introduced in notebook 09.
    """
    length = len(tokens)
    if 2**length > SET_LIMIT:
        raise ValueError(
            f"A sentence of {length} tokens has 2^{length} = {2**length:,} sets of blanks; "
            f"expected at most {SET_LIMIT:,}, to ask them all. Take a shorter sentence, or draw "
            "sets with masking.hide_uniform_count."
        )
    if (tokens == mask_token_id).any():
        raise ValueError("The sentence holds [MASK]; expected a whole sentence. Fill its blanks.")
    hidden = torch.arange(2**length)[:, None] >> torch.arange(length) & 1 == 1  # (2^T, T)
    rows = tokens.cpu().expand(2**length, -1)
    found = answer(rows.masked_fill(hidden, mask_token_id)).double()
    losses = -found.gather(2, rows[..., None])[..., 0]
    return torch.where(hidden, losses, 0.0)


def bound_by_count(losses: Tensor) -> Tensor:
    """Return the mean loss per blank with k = 1…T blanks, (T,), from `sentence_losses`.

    Their sum is the bound on −log P(sentence): T times the mean loss per blank when k is drawn
    evenly from 1 to T.

    Source: Hoogeboom et al. 2022, section 3. Introduced in notebook 09.
    """
    length = losses.shape[1]
    bits = torch.arange(len(losses))[:, None] >> torch.arange(length) & 1
    counts = bits.sum(1)
    per_blank = losses.sum(1) / counts.clamp(min=1)
    means = [per_blank[counts == count].mean() for count in range(1, length + 1)]
    return torch.stack(means)


def order_losses(losses: Tensor) -> dict[tuple[int, ...], float]:
    """Return Σ −log P(word given the words written before), in nats, for each of the T! orders.

    Args:
        losses: (2^T, T), from `sentence_losses`.

    Raises:
        ValueError: there are more than `ORDER_LIMIT` orders.

    Introduced in notebook 09.
    """
    length = losses.shape[1]
    if math.factorial(length) > ORDER_LIMIT:
        raise ValueError(
            f"{length} tokens have {length}! = {math.factorial(length):,} orders; expected at most "
            f"{ORDER_LIMIT:,}. bound_by_count gives their mean without going through them."
        )
    table, found = losses.tolist(), {}
    for order in itertools.permutations(range(length)):
        hidden, total = 2**length - 1, 0.0
        for position in order:
            total += table[hidden][position]
            hidden -= 2**position
        found[order] = total
    return found
