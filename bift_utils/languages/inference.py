"""Exact inference by forward–backward, for hidden-Markov text seen through a corruption channel.

Shapes: C classes, N sequences, T positions, K hidden states, V tokens. Tokens are 0…V−1, and V is
[MASK]. Everything is computed on the CPU in float64, and weights are kept as logarithms (−inf for
what is impossible): a class or a state that falls behind by any factor can still come back.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from bift_utils.masking.tokens import CorruptionChannel


class Tables(NamedTuple):
    """A language: prior (C,), start (C, K), transition (C, K, K) and emission (C, K, V)."""

    prior: Tensor
    start: Tensor
    transition: Tensor
    emission: Tensor


LEAST_WEIGHT, LEAST_ENTRY = -230.0, 1e-200  # log 1e-100; their product is above 1e-308


def _log_product(weights: Tensor, matrix: Tensor) -> Tensor:
    """Return log(exp(weights) @ matrix), (…, N, L), from log weights (…, N, K) and (…, K, L).

    It is a matrix product wherever no term can fall below what float64 holds, and a sum of
    logarithms elsewhere: exact both times.
    """
    top = weights.max(-1, keepdim=True).values
    top = torch.where(top == -torch.inf, 0.0, top)
    shifted = weights - top
    far_behind = (shifted > -torch.inf) & (shifted < LEAST_WEIGHT)
    tiny = (matrix > 0.0) & (matrix < LEAST_ENTRY)
    if not far_behind.any() and not tiny.any():
        return (shifted.exp() @ matrix).log() + top
    columns = matrix.log().unsqueeze(-3).unbind(-1)  # L of (…, 1, K)
    return torch.stack([(weights + column).logsumexp(-1) for column in columns], -1)


def _normalise(states: Tensor) -> tuple[Tensor, Tensor]:
    """Return log weights (…, K) that sum to one, and the log of what was divided out, (…)."""
    log_mass = states.logsumexp(-1)
    return states - torch.where(log_mass == -torch.inf, 0.0, log_mass).unsqueeze(-1), log_mass


def forward(tables: Tables, evidence: Tensor) -> tuple[Tensor, Tensor]:
    """Go through the sentences from left to right, one product a position.

    Args:
        tables: the language.
        evidence: (C, N, T, K), log P(z_i | state at i, class), where z_i is what stands at i.

    Returns:
        `left`, (C, N, T, K), is P(state at i | class, z to the left of i). `log_left`, (C, N,
        T + 1), is log P(class, z to the left of i) in nats; the last entry has all of z. From
        where it is −inf on, that class is ruled out.

    Source: Rabiner 1989, sections III.A and V.A. Introduced in notebook 03.
    """
    classes, sequences, _, states = evidence.shape
    message = tables.start.log()[:, None].expand(classes, sequences, states)
    log_mass = tables.prior.log()[:, None].expand(classes, sequences)
    left, log_left = [], [log_mass]
    for here in evidence.unbind(2):  # (C, N, K)
        left.append(message)
        message, mass = _normalise(message + here)
        message = _log_product(message, tables.transition)
        log_mass = log_mass + mass
        log_left.append(log_mass)
    return torch.stack(left, 2), torch.stack(log_left, 2)


def backward(tables: Tables, evidence: Tensor) -> tuple[Tensor, Tensor]:
    """Go through the sentences from right to left; arguments and source as in `forward`.

    Returns:
        `right`, (C, N, T, K), is the log of a number proportional to P(z to the right of i | state
        at i, class). `log_right`, (C, N, T), is the log of what was divided out of it, in nats.
    """
    message = torch.zeros_like(evidence[:, :, 0])
    log_mass = torch.zeros_like(message[..., 0])
    right, log_right = [], []
    for here in reversed(evidence.unbind(2)):
        right.append(message)
        log_right.append(log_mass)
        message, mass = _normalise(_log_product(message + here, tables.transition.mT))
        log_mass = log_mass + mass
    return torch.stack(right[::-1], 2), torch.stack(log_right[::-1], 2)


def mix_classes(states: Tensor, log_mass: Tensor) -> Tensor:
    """Return log P(class, state), (C, N, T, K), from log weights and a log factor (C, N, T)."""
    joint = states + log_mass.unsqueeze(-1)
    return joint - joint.logsumexp((0, 3), keepdim=True)


class ExactInference(ABC):
    """What can be inferred from a sentence, exactly: the base of the languages in `synthetic`.

    Every method takes `corrupted`, (N, T) ids from 0…V−1 or V for [MASK], and a `channel` that says
    how the text was corrupted, so that each visible token is doubted as it deserves. With `None`
    visible tokens are certain and [MASK] is a blank, as under a 100/0/0 channel of any rate.

    Raises:
        ValueError: an id is outside the vocabulary, a sequence is empty, or one is impossible
            under the language and the channel; the message names the sequence and the position.
    """

    @property
    @abstractmethod
    def tables(self) -> Tables:
        """The language as a class-conditional hidden-Markov language."""

    @property
    def vocab_size(self) -> int:
        """V, the number of tokens; [MASK] is not counted."""
        return self.tables.emission.shape[-1]

    @property
    def mask_token_id(self) -> int:
        """The id of [MASK]: V, the first one after the tokens."""
        return self.vocab_size

    def log_probability(
        self, corrupted: Tensor, channel: CorruptionChannel | None = None
    ) -> Tensor:
        """Return log P(z) in nats, (N,). Without a channel, blanks are summed over.

        Introduced in notebook 03.
        """
        return self._left_to_right(corrupted, channel)[2][..., -1].logsumexp(0)

    def left_posterior(self, corrupted: Tensor, channel: CorruptionChannel | None = None) -> Tensor:
        """Return P(x_i = v | z to the left of i), (N, T, V): the best that a one-way model can do.

        Introduced in notebook 01.
        """
        _, left, log_left = self._left_to_right(corrupted, channel)
        return self._tokens(mix_classes(left, log_left[..., :-1])).exp()

    def cavity_posterior(
        self, corrupted: Tensor, channel: CorruptionChannel | None = None
    ) -> Tensor:
        """Return π_i(v) = P(x_i = v | z at all other positions), (N, T, V).

        Introduced in notebook 03.
        """
        return self._log_cavity(corrupted, channel).exp()

    def token_posterior(
        self, corrupted: Tensor, channel: CorruptionChannel | None = None
    ) -> Tensor:
        """Return P(x_i = v | z), (N, T, V), z_i included: what a proof-reader would believe.

        Introduced in notebook 03b.
        """
        around = self._log_cavity(corrupted, channel)
        shown = self._channel_matrix(channel).T[corrupted.cpu().long()]  # (N, T, V)
        return (around + shown.log()).softmax(-1)

    def masked_token_posterior(self, corrupted: Tensor, channel: CorruptionChannel) -> Tensor:
        """Return q_i(v) = P(x_i = v | z, i selected), (N, T, V): the minimiser of the MLM loss.

        At [MASK] it is π_i, the cavity posterior. At a visible token w it is "copy or doubt":
        κ δ_w + (1 − κ) π_i with κ = c π_i(w) / (c π_i(w) + b / V), because a scored token was
        either kept or drawn at random. A channel that does neither (100/0/0) never scores a
        visible token; nothing is optimal there, and π_i is returned.

        Source: Bayes' rule, derived in notebook 03b. Introduced in notebook 03.
        """
        around = self._log_cavity(corrupted, channel)
        scored = channel.selected_matrix(self.vocab_size).T[corrupted.cpu().long()]  # (N, T, V)
        never = scored.sum(-1, keepdim=True) == 0
        return (around + torch.where(never, 1.0, scored).log()).softmax(-1)

    def state_posterior(
        self, corrupted: Tensor, channel: CorruptionChannel | None = None
    ) -> Tensor:
        """Return P(state at i = s | z), (N, T, K); state s counts as the same in all classes.

        Introduced in notebook 05b.
        """
        evidence, around, log_around = self._both_ways(corrupted, channel)
        return mix_classes(around + evidence, log_around).exp().sum(0)

    def _channel_matrix(self, channel: CorruptionChannel | None) -> Tensor:
        if channel is not None:
            return channel.matrix(self.vocab_size)
        matrix = torch.eye(self.vocab_size, self.vocab_size + 1, dtype=torch.float64)
        matrix[:, -1] = 1.0  # a blank says nothing
        return matrix

    def _evidence(self, tokens: Tensor, channel: CorruptionChannel | None) -> Tensor:
        # corrupted text is a hidden-Markov language too; its emission is emission times channel
        emission = _log_product(self.tables.emission.log(), self._channel_matrix(channel))
        return emission.mT[:, tokens]  # (C, N, T, K), from (C, K, V + 1)

    def _left_to_right(self, corrupted: Tensor, channel: CorruptionChannel | None):
        tokens = _check_tokens(corrupted, self.vocab_size)
        evidence = self._evidence(tokens, channel)
        left, log_left = forward(self.tables, evidence)
        _check_possible(tokens, log_left, self.mask_token_id)
        return evidence, left, log_left

    def _both_ways(self, corrupted: Tensor, channel: CorruptionChannel | None):
        evidence, left, log_left = self._left_to_right(corrupted, channel)
        right, log_right = backward(self.tables, evidence)
        return evidence, left + right, log_left[..., :-1] + log_right

    def _log_cavity(self, corrupted: Tensor, channel: CorruptionChannel | None) -> Tensor:
        _, around, log_around = self._both_ways(corrupted, channel)
        return self._tokens(mix_classes(around, log_around))

    def _tokens(self, states: Tensor) -> Tensor:
        """Log probabilities of the tokens, (N, T, V), from those of the states, (C, N, T, K)."""
        tokens = _log_product(states.flatten(1, 2), self.tables.emission).logsumexp(0)
        return tokens.unflatten(0, states.shape[1:3])


def _check_tokens(tokens: Tensor, vocab_size: int) -> Tensor:
    if tokens.dim() != 2 or tokens.is_floating_point():
        raise ValueError(
            f"Tokens were given as {tokens.dtype} of shape {tuple(tokens.shape)}; expected "
            "integer ids of shape (sequences, positions). For one sentence, pass tokens[None]."
        )
    if tokens.shape[1] == 0:
        raise ValueError("The sequences have length 0; expected at least one token in each.")
    outside = (tokens < 0) | (tokens > vocab_size)
    if outside.any():
        sequence, position = outside.nonzero()[0].tolist()
        raise ValueError(
            f"Sequence {sequence} has token id {int(tokens[sequence, position])} at position "
            f"{position}; expected 0 to {vocab_size - 1}, or {vocab_size} for [MASK]."
        )
    return tokens.cpu().long()


def _check_possible(tokens: Tensor, log_left: Tensor, mask_token_id: int) -> None:
    impossible = (log_left[..., 1:] == -torch.inf).all(0)  # (N, T): no class is left
    if impossible.any():
        sequence, position = impossible.nonzero()[0].tolist()
        token = int(tokens[sequence, position])
        name = "[MASK]" if token == mask_token_id else f"token {token}"
        raise ValueError(
            f"Sequence {sequence} is impossible: under this language and channel, {name} at "
            f"position {position} has probability zero after what stands to its left. Pass text "
            "of this language with the channel that corrupted it, or put [MASK] where a token is "
            "not known."
        )
