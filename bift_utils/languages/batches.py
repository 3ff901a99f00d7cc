"""Batches of a known language: fresh sentences, corrupted, tagged, or labelled.

Shapes: N sentences, T positions, V tokens. Token V is [MASK], so the model's vocabulary is V + 1.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.languages.families import ClassConditionalLanguage, KnownLanguage, Sample
from bift_utils.masking.collators import check_classifier_input, joint_batch
from bift_utils.masking.tokens import MaskingConfig
from bift_utils.runtime import make_generator

# corrupts clean tokens (N, T) with a generator: returns what the model sees, and the labels
Corruption = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]


def language_masking(vocab_size: int, **rates: Any) -> MaskingConfig:
    """Return masking options for a known language: every token of it may be hidden or drawn.

    Args:
        vocab_size: V.
        rates: `mlm_probability`, `mask_replace_prob`, `random_replace_prob`, as in `MaskingConfig`.

    Introduced in notebook 03.
    """
    ordinary = torch.ones(vocab_size + 1, dtype=torch.bool)
    ordinary[vocab_size] = False
    return MaskingConfig(vocab_size, ordinary, **rates)


def hide_one(
    tokens: Tensor, generator: torch.Generator, mask_token_id: int
) -> tuple[Tensor, Tensor]:
    """Put [MASK] at one position of each sentence, drawn evenly; `tokens` is not changed.

    Returns:
        The corrupted ids and the labels, both (N, T): a label is the hidden token at its position
        and `IGNORE_INDEX` elsewhere.

    Introduced in notebook 01.
    """
    position = torch.randint(tokens.shape[1], (len(tokens), 1), generator=generator)
    labels = torch.full_like(tokens, IGNORE_INDEX).scatter(1, position, tokens.gather(1, position))
    return tokens.scatter(1, position, mask_token_id), labels


class LanguageBatches:
    """Fresh sentences for every step, corrupted: a loader for `training.train`, never the same.

    Args:
        language: any known language.
        corrupt: hides tokens, for instance `hide_one` or `masking.mask_tokens` with its options.
        steps: number of batches.
        batch_size: sentences a batch.
        length: T.
        generator: source of all randomness.

    Introduced in notebook 01.
    """

    def __init__(
        self,
        language: KnownLanguage,
        corrupt: Corruption,
        steps: int,
        batch_size: int,
        length: int,
        generator: torch.Generator,
    ):
        self.language, self.corrupt, self.steps = language, corrupt, steps
        self.batch_size, self.length, self.generator = batch_size, length, generator

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for _ in range(self.steps):
            clean = self.language.sample(self.batch_size, self.length, self.generator).tokens
            yield make_batch(*self.corrupt(clean, self.generator))


def make_batch(corrupted: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Name the tensors as `training.training_step` wants them.

    Introduced in notebook 01.
    """
    return {
        "input_ids": corrupted,
        "attention_mask": torch.ones_like(corrupted),
        "mlm_labels": labels,
    }


def example_language() -> ClassConditionalLanguage:
    """Return the language of notebook 06: 2 labels, 3 hidden tags, 24 tokens, always the same.

    It was picked among about a dozen because, with few labels, text without labels helps on it; on
    most of the others it helped little, not always, or not.

    Introduced in notebook 06.
    """
    return ClassConditionalLanguage.random(2, 3, 24, make_generator(3), concentration=0.7)


class JointLanguageBatches:
    """Labelled sentences, clean, and others with a blank: a loader for `training.train`.

    A batch holds `batch_size` of the labelled sentences and as many masked ones, in that order, so
    that few labels can stand beside much text. Which labelled sentences come when depends on `seed`
    alone, not on the text beside them.

    Args:
        language: where fresh text comes from.
        labelled: the sentences with labels, drawn again and again.
        steps: number of batches.
        batch_size: rows of each kind.
        seed: of the order, the fresh text and the blanks.
        text: tokens (M, T) without labels for the masked rows; None draws new ones at every step.
            `labelled.tokens` itself gives text that brings nothing new.
        corrupt: how tokens are hidden; None puts [MASK] at one position.
        classifier_input: "clean", or "masked": the labelled rows have holes as well, and answer
            for their class and for their blanks (Yao et al. 2022).

    Raises:
        ValueError: there is nothing to draw from, or the classifier's input is neither "clean" nor
            "masked".

    Introduced in notebook 06.
    """

    def __init__(
        self,
        language: ClassConditionalLanguage,
        labelled: Sample,
        steps: int,
        batch_size: int = 32,
        seed: int = 0,
        text: Tensor | None = None,
        corrupt: Corruption | None = None,
        classifier_input: str = "clean",
    ):
        check_classifier_input(classifier_input)
        if not len(labelled.tokens) or (text is not None and not len(text)):
            raise ValueError(
                "There are no sentences to draw from; expected at least one labelled sentence, "
                "and at least one in `text` unless it is None."
            )
        self.language, self.labelled, self.text = language, labelled, text
        self.steps, self.batch_size, self.seed = steps, batch_size, seed
        self.corrupt = corrupt or (lambda t, g: hide_one(t, g, language.mask_token_id))
        self.classifier_input = classifier_input

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        order, text = make_generator(self.seed, 0), make_generator(self.seed, 1)
        for _ in range(self.steps):
            yield joint_batch(self._labelled(order, text), self._masked(text))

    def _labelled(self, order: torch.Generator, text: torch.Generator) -> dict[str, Tensor]:
        chosen = torch.randint(len(self.labelled.tokens), (self.batch_size,), generator=order)
        tokens, classes = self.labelled.tokens[chosen], self.labelled.labels[chosen]
        if self.classifier_input == "masked":
            return {**make_batch(*self.corrupt(tokens, text)), "labels": classes}
        return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": classes}

    def _masked(self, generator: torch.Generator) -> dict[str, Tensor]:
        if self.text is None:
            length = self.labelled.tokens.shape[1]
            tokens = self.language.sample(self.batch_size, length, generator).tokens
        else:
            chosen = torch.randint(len(self.text), (self.batch_size,), generator=generator)
            tokens = self.text[chosen]
        return make_batch(*self.corrupt(tokens, generator))


@dataclass(frozen=True, eq=False)
class KnownTest:
    """Sentences with the exact answers to both questions about them.

    Args:
        tokens: (N, T), clean.
        label_posterior: (N, C), P(label given sentence).
        corrupted: (N, T), the same with blanks.
        blanks: (N, T) bool, where they are, M in all.
        token_posterior: (M, V), P(token at the blank given what is seen).

    Introduced in notebook 06.
    """

    tokens: Tensor
    label_posterior: Tensor
    corrupted: Tensor
    blanks: Tensor
    token_posterior: Tensor

    @classmethod
    def draw(cls, language: ClassConditionalLanguage, n: int, length: int, seed: int):
        """Draw n sentences and compute their exact posteriors."""
        generator = make_generator(seed)
        tokens = language.sample(n, length, generator).tokens
        return cls.of(language, tokens, *hide_one(tokens, generator, language.mask_token_id))

    @classmethod
    def of(
        cls, language: ClassConditionalLanguage, tokens: Tensor, corrupted: Tensor, labels: Tensor
    ):
        """Compute the exact posteriors of sentences (N, T) whose blanks are those of `labels`."""
        blanks = labels != IGNORE_INDEX
        exact = language.cavity_posterior(corrupted)[blanks]
        return cls(tokens, language.label_posterior(tokens), corrupted, blanks, exact)

    @property
    def label_entropy(self) -> float:
        """H(label given sentence) in nats, over these sentences: no classifier does better."""
        return float(torch.special.entr(self.label_posterior).sum(-1).mean())

    @property
    def best_accuracy(self) -> float:
        """The share of right answers that the exact posterior expects of itself."""
        return float(self.label_posterior.max(-1).values.mean())


class TaggedBatches:
    """Fresh sentences of a known language with their hidden states as labels, for `train`.

    Args:
        language: any known language.
        steps: number of batches.
        batch_size: sentences a batch.
        length: T.
        generator: source of all randomness.

    Introduced in notebook 05b.
    """

    def __init__(
        self,
        language: KnownLanguage,
        steps: int,
        batch_size: int,
        length: int,
        generator: torch.Generator,
    ):
        self.language, self.steps = language, steps
        self.batch_size, self.length, self.generator = batch_size, length, generator

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for _ in range(self.steps):
            sample = self.language.sample(self.batch_size, self.length, self.generator)
            yield {
                "input_ids": sample.tokens,
                "attention_mask": torch.ones_like(sample.tokens),
                "labels": sample.states,
            }
