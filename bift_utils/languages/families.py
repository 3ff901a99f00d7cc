"""Known languages: text whose every probability can be computed, to hold next to a network.

A Markov chain is a hidden-Markov language whose states are its tokens, and both have one class:
the posteriors of all three come from `languages.ExactInference`.

Shapes: N sequences, T positions, V tokens, K hidden states (tags), C classes (labels).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy
import torch
from torch import Tensor

from bift_utils.languages.inference import ExactInference, Tables, forward
from bift_utils.masking.tokens import CorruptionChannel

ENUMERATION_LIMIT = 2**18  # most sentences that an exact entropy goes through
CHUNK = 2**13  # sentences at a time, so that memory stays small


class Sample(NamedTuple):
    """Sampled text: tokens (N, T), states (N, T) and labels (N,), int64.

    A Markov chain's states are its tokens. A language without classes has label 0 everywhere.
    """

    tokens: Tensor
    states: Tensor
    labels: Tensor


class Entropies(NamedTuple):
    """Entropies in nats. The first three are (T,), one a position: `.mean()` averages them.

    Args:
        alone: H(x_i).
        given_left: H(x_i | all tokens to its left).
        given_both: H(x_i | all other tokens), so with one hidden position at a time.
        label: H(y | sentence), a scalar; 0 for a language without classes.
    """

    alone: Tensor
    given_left: Tensor
    given_both: Tensor
    label: Tensor


class KnownLanguage(ExactInference):
    """What all three languages can do besides exact inference: sampling and entropies."""

    def sample(self, n: int, length: int, generator: torch.Generator) -> Sample:
        """Draw n sentences of `length` tokens. Introduced in notebook 01."""
        _check_count("n", n)
        _check_count("length", length)
        prior, start, transition, emission = self.tables
        labels = _draw(prior.expand(n, -1), generator)
        state = _draw(start[labels], generator)
        states, tokens = [], []
        for _ in range(length):
            states.append(state)
            tokens.append(_draw(emission[labels, state], generator))
            state = _draw(transition[labels, state], generator)
        return Sample(torch.stack(tokens, 1), torch.stack(states, 1), labels)

    def marginals(self, length: int) -> Tensor:
        """Return P(x_i = v), (T, V): what is known of a sentence of blanks.

        Introduced in notebook 01.
        """
        _check_count("length", length)
        return self.left_posterior(torch.full((1, length), self.mask_token_id))[0]

    def entropies(self, length: int) -> Entropies:
        """Return the exact entropies, by going through all V^T sentences of this length.

        Raises:
            ValueError: `length` is below 1, or there are more than `ENUMERATION_LIMIT` sentences.

        Introduced in notebook 01.
        """
        _check_count("length", length)
        total = torch.zeros(2 * length + 1, dtype=torch.float64)
        for tokens in _all_sentences(self.vocab_size, length):
            _, log_left = forward(self.tables, self._evidence(tokens, None))
            log_p = log_left[..., -1].logsumexp(0)
            possible = log_p > -torch.inf
            total += log_p[possible].exp() @ self._sentence_entropies(tokens[possible])
        return self._as_entropies(total)

    def estimate_entropies(
        self, length: int, n: int, generator: torch.Generator
    ) -> tuple[Entropies, Entropies]:
        """Estimate the entropies from n sampled sentences; return them and their standard errors.

        Each sentence gives the entropies of its exact posteriors, so that only the choice of
        sentences is random; `alone` is exact. The standard error of an average over positions is
        at most the average of the standard errors. Introduced in notebook 05.
        """
        _check_count("n", n, at_least=2)
        tokens = self.sample(n, length, generator).tokens
        values = torch.cat([self._sentence_entropies(part) for part in tokens.split(CHUNK)])
        estimates = self._as_entropies(values.mean(0))
        errors = self._as_entropies(values.std(0) / n**0.5)
        return estimates, errors._replace(alone=torch.zeros_like(estimates.alone))

    def _sentence_entropies(self, tokens: Tensor) -> Tensor:
        """Entropies of the posteriors in each sentence, (N, 2T + 1): left, both, label."""
        left = _entropy(self.left_posterior(tokens))
        both = _entropy(self.cavity_posterior(tokens))
        return torch.cat([left, both, _entropy(self._labels(tokens))[:, None]], 1)

    def _as_entropies(self, values: Tensor) -> Entropies:
        length = len(values) // 2
        alone = _entropy(self.marginals(length))
        return Entropies(alone, values[:length], values[length:-1], values[-1])

    def _labels(self, corrupted: Tensor, channel: CorruptionChannel | None = None) -> Tensor:
        return self._left_to_right(corrupted, channel)[2][..., -1].softmax(0).T


@dataclass(frozen=True, eq=False)
class MarkovLanguage(KnownLanguage):
    """A Markov chain: each token depends on the one before it.

    Args:
        start: (V,), probabilities of the first token.
        transition: (V, V), a row per token: probabilities of the next.

    Raises:
        ValueError: a shape is wrong, or a row is not a distribution; the message names it.

    Introduced in notebook 01.
    """

    start: Tensor
    transition: Tensor

    def __post_init__(self):
        _keep_distributions(self, "start", (None,))
        _keep_distributions(self, "transition", (len(self.start), len(self.start)))

    @classmethod
    def random(
        cls, vocab_size: int, generator: torch.Generator, concentration: float = 0.3
    ) -> "MarkovLanguage":
        """Draw a language; each row is Dirichlet. The smaller, the more predictable."""
        rows = _random_rows(vocab_size + 1, vocab_size, concentration, generator)
        return cls(rows[0], rows[1:])

    @property
    def tables(self) -> Tables:
        identity = torch.eye(len(self.start), dtype=torch.float64)
        return _one_class(self.start, self.transition, identity)

    def entropies(self, length: int) -> Entropies:
        """Return the exact entropies, by a closed form: only the two neighbours matter.

        H(x_i | both) = H(x_i | x_{i−1}) + H(x_{i+1} | x_i) − H(x_{i+1} | x_{i−1}): the chain rule.
        """
        marginals = self.marginals(length)
        alone = _entropy(marginals)
        one_step = _entropy(self.transition)
        two_steps = _entropy(self.transition @ self.transition)
        given_left = torch.cat([alone[:1], marginals[:-1] @ one_step])
        skipping = torch.cat([alone[1:2], marginals[:-2] @ two_steps])  # H(x_{i+1} | x_{i−1})
        given_both = given_left.clone()
        given_both[:-1] += given_left[1:] - skipping
        no_label = torch.zeros((), dtype=torch.float64)
        return Entropies(alone, given_left, given_both.clamp(min=0.0), no_label)


@dataclass(frozen=True, eq=False)
class HiddenMarkovLanguage(KnownLanguage):
    """A hidden chain of tags, each of which emits one token.

    Args:
        start: (K,), probabilities of the first tag.
        transition: (K, K), a row per tag: probabilities of the next.
        emission: (K, V), a row per tag: probabilities of its token.

    Raises:
        ValueError: a shape is wrong, or a row is not a distribution; the message names it.

    Source: Rabiner 1989. Introduced in notebook 03.
    """

    start: Tensor
    transition: Tensor
    emission: Tensor

    def __post_init__(self):
        _keep_distributions(self, "start", (None,))
        _keep_distributions(self, "transition", (len(self.start), len(self.start)))
        _keep_distributions(self, "emission", (len(self.start), None))

    @classmethod
    def random(
        cls, states: int, vocab_size: int, generator: torch.Generator, concentration: float = 0.3
    ) -> "HiddenMarkovLanguage":
        """Draw a language; each row is Dirichlet. The smaller, the more predictable."""
        rows = _random_rows(states + 1, states, concentration, generator)
        emission = _random_rows(states, vocab_size, concentration, generator)
        return cls(rows[0], rows[1:], emission)

    @property
    def tables(self) -> Tables:
        return _one_class(self.start, self.transition, self.emission)


@dataclass(frozen=True, eq=False)
class ClassConditionalLanguage(KnownLanguage):
    """A label is drawn first, then a sentence from that label's language.

    Args:
        prior: (C,), probabilities of the labels.
        languages: C Markov or hidden-Markov languages, alike in their numbers of states and tokens.

    Raises:
        ValueError: the prior is not a distribution over C labels, or the languages do not match.

    Introduced in notebook 07.
    """

    prior: Tensor
    languages: Sequence[MarkovLanguage | HiddenMarkovLanguage]

    def __post_init__(self):
        object.__setattr__(self, "languages", tuple(self.languages))
        _check_count("The number of languages", len(self.languages))
        _keep_distributions(self, "prior", (len(self.languages),))
        for label, language in enumerate(self.languages):
            if not isinstance(language, MarkovLanguage | HiddenMarkovLanguage):
                raise ValueError(
                    f"The language of label {label} is a {type(language).__name__}; expected a "
                    "MarkovLanguage or a HiddenMarkovLanguage."
                )
        shapes = [tuple(language.tables.emission.shape[1:]) for language in self.languages]
        if len(set(shapes)) > 1:
            raise ValueError(
                f"The languages have (states, tokens) = {shapes}; expected the same for every "
                "label. Give all of them the same tags and the same vocabulary."
            )

    @classmethod
    def random(
        cls,
        labels: int,
        states: int,
        vocab_size: int,
        generator: torch.Generator,
        concentration: float = 0.3,
    ) -> "ClassConditionalLanguage":
        """Draw a hidden-Markov language for each label; all labels are equally likely."""
        sizes = (states, vocab_size, generator, concentration)
        languages = [HiddenMarkovLanguage.random(*sizes) for _ in range(labels)]
        return cls(torch.ones(labels) / labels, languages)

    @property
    def tables(self) -> Tables:
        parts = zip(*(language.tables[1:] for language in self.languages), strict=True)
        return Tables(self.prior, *(torch.cat(part) for part in parts))

    def label_posterior(
        self, corrupted: Tensor, channel: CorruptionChannel | None = None
    ) -> Tensor:
        """Return P(y | z), (N, C): the best that a sentence classifier can do.

        Arguments and errors as in `languages.ExactInference`. Introduced in notebook 07.
        """
        return self._labels(corrupted, channel)


def _one_class(start: Tensor, transition: Tensor, emission: Tensor) -> Tables:
    return Tables(torch.ones(1, dtype=torch.float64), start[None], transition[None], emission[None])


def _entropy(probabilities: Tensor) -> Tensor:
    return torch.special.entr(probabilities).sum(-1)


def _draw(rows: Tensor, generator: torch.Generator) -> Tensor:
    """One index (…) for each row of probabilities (…, K)."""
    cumulative = rows.cumsum(-1)
    cumulative = cumulative / cumulative[..., -1:]
    shape = (*rows.shape[:-1], 1)
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
    return (uniform >= cumulative).sum(-1)


def _random_rows(
    rows: int, columns: int, concentration: float, generator: torch.Generator
) -> Tensor:
    _check_count("The number of states or tokens", min(rows, columns))
    if not 0 < concentration < numpy.inf:
        raise ValueError(
            f"concentration was given as {concentration}; expected a finite number above 0."
        )
    # NumPy promises never to change RandomState's numbers, so a seed keeps its language
    source = numpy.random.RandomState(int(torch.randint(2**32, (), generator=generator)))
    with numpy.errstate(invalid="ignore"):
        drawn = torch.from_numpy(source.dirichlet(numpy.full(columns, concentration), rows))
    lost = drawn.isnan().any(1)
    if lost.any():
        drawn[lost] = _peaked_rows(int(lost.sum()), columns, concentration, source)
    return drawn


def _peaked_rows(
    rows: int, columns: int, concentration: float, source: numpy.random.RandomState
) -> Tensor:
    """Draw Dirichlet rows by logarithms, where all gamma variates of a row underflow to 0.

    A gamma variate of shape α is one of shape α + 1 times U^(1/α), with U uniform on (0, 1).

    Source: Marsaglia and Tsang 2000, section 6.
    """
    larger = numpy.log(source.gamma(concentration + 1.0, size=(rows, columns)))
    uniform = numpy.log(1.0 - source.random_sample((rows, columns)))  # of (0, 1]
    # α · log of the variates: their differences may be divided by any α, however small
    scaled = torch.from_numpy(concentration * larger + uniform)
    return ((scaled - scaled.max(1, keepdim=True).values) / concentration).softmax(1)


def _all_sentences(vocab_size: int, length: int) -> Iterator[Tensor]:
    if vocab_size**length > ENUMERATION_LIMIT:
        raise ValueError(
            f"There are {vocab_size}^{length} sentences of {length} tokens; expected at most "
            f"{ENUMERATION_LIMIT}, to go through them all. Take a smaller length, or call "
            "estimate_entropies, which samples sentences."
        )
    powers = vocab_size ** torch.arange(length)
    for ids in torch.arange(vocab_size**length).split(CHUNK):
        yield ids[:, None] // powers % vocab_size


def _keep_distributions(language: KnownLanguage, name: str, shape: tuple[int | None, ...]) -> None:
    """Check the rows of a field and keep them in float64."""
    table = torch.as_tensor(getattr(language, name), dtype=torch.float64, device="cpu").detach()
    fits = table.dim() == len(shape) and table.numel() > 0
    if not fits or any(n not in (None, size) for n, size in zip(shape, table.shape, strict=True)):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} has shape {tuple(table.shape)}; expected ({wanted}).")
    for row, probabilities in enumerate(table.reshape(-1, table.shape[-1])):
        total = float(probabilities.sum())
        if not ((probabilities >= 0).all() and abs(total - 1.0) < 1e-6):
            raise ValueError(
                f"{name}{f' row {row}' if table.dim() > 1 else ''} sums to {total:.8g} and its "
                f"smallest entry is {float(probabilities.min()):g}; expected probabilities from 0 "
                "to 1 that sum to 1. Correct the entries, or divide the row by its sum."
            )
    # a row typed by hand or kept in float32 misses one by a little; exactness needs all of it
    object.__setattr__(language, name, table / table.sum(-1, keepdim=True))


def _check_count(name: str, value: int, at_least: int = 1) -> None:
    if value < at_least:
        raise ValueError(f"{name} was given as {value}; expected at least {at_least}.")
