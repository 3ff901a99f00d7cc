"""Joint training on a language whose every answer is known: batches, and both heads measured.

Shapes: N sentences, T positions, V tokens, C labels. Token V is [MASK].
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from bift_utils.evaluation import predict_classes
from bift_utils.losses import IGNORE_INDEX, check_mlm_weight
from bift_utils.masking import CLASSIFIER_INPUTS
from bift_utils.oracle import Corruption, hide_one, kl_divergence, token_log_probabilities
from bift_utils.runtime import make_generator
from bift_utils.synthetic import ClassConditionalLanguage, Sample


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
    that few labels can stand beside much text. With λ = 0 the masked rows are left out, with λ = 1
    the clean ones. Which labelled sentences come when depends on `seed` alone, not on λ or on the
    text beside them.

    Args:
        language: where fresh text comes from.
        labelled: the sentences with labels, drawn again and again.
        mlm_weight: λ.
        steps: number of batches.
        batch_size: rows of each kind.
        seed: of the order, the fresh text and the blanks.
        text: tokens (M, T) without labels for the masked rows; None draws new ones at every step.
            `labelled.tokens` itself gives text that brings nothing new.
        corrupt: how tokens are hidden; None puts [MASK] at one position.
        classifier_input: "clean", or "masked": the labelled rows have holes as well, and answer
            for their class and for their blanks (Yao et al. 2022).

    Raises:
        ValueError: λ is outside [0, 1], there is nothing to draw from, or the classifier's input
            is neither "clean" nor "masked".

    Introduced in notebook 06.
    """

    def __init__(
        self,
        language: ClassConditionalLanguage,
        labelled: Sample,
        mlm_weight: float,
        steps: int,
        batch_size: int = 32,
        seed: int = 0,
        text: Tensor | None = None,
        corrupt: Corruption | None = None,
        classifier_input: str = "clean",
    ):
        if classifier_input not in CLASSIFIER_INPUTS:
            raise ValueError(
                f"classifier_input was given as {classifier_input!r}; expected one of "
                f"{CLASSIFIER_INPUTS}."
            )
        if not len(labelled.tokens) or (text is not None and not len(text)):
            raise ValueError(
                "There are no sentences to draw from; expected at least one labelled sentence, "
                "and at least one in `text` unless it is None."
            )
        self.language, self.labelled, self.text = language, labelled, text
        self.mlm_weight = check_mlm_weight(mlm_weight)
        self.steps, self.batch_size, self.seed = steps, batch_size, seed
        self.corrupt = corrupt or (lambda t, g: hide_one(t, g, language.mask_token_id))
        self.classifier_input = classifier_input

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        order, text = make_generator(self.seed, 0), make_generator(self.seed, 1)
        for _ in range(self.steps):
            parts = []
            if self.mlm_weight < 1.0:
                parts.append(self._labelled(order, text))
            if self.mlm_weight > 0.0:
                parts.append(self._masked(text))
            batch = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
            yield {**batch, "attention_mask": torch.ones_like(batch["input_ids"])}

    def _labelled(self, order: torch.Generator, text: torch.Generator) -> dict[str, Tensor]:
        chosen = torch.randint(len(self.labelled.tokens), (self.batch_size,), generator=order)
        tokens, labels = self.labelled.tokens[chosen], self.labelled.labels[chosen]
        answers = torch.full_like(tokens, IGNORE_INDEX)
        if self.classifier_input == "masked":
            tokens, answers = self.corrupt(tokens, text)
        return {"input_ids": tokens, "mlm_labels": answers, "labels": labels}

    def _masked(self, generator: torch.Generator) -> dict[str, Tensor]:
        if self.text is None:
            length = self.labelled.tokens.shape[1]
            tokens = self.language.sample(self.batch_size, length, generator).tokens
        else:
            chosen = torch.randint(len(self.text), (self.batch_size,), generator=generator)
            tokens = self.text[chosen]
        corrupted, answers = self.corrupt(tokens, generator)
        no_class = torch.full((len(tokens),), IGNORE_INDEX)
        return {"input_ids": corrupted, "mlm_labels": answers, "labels": no_class}


@dataclass(frozen=True, eq=False)
class KnownTest:
    """Sentences with the exact answers to both questions about them.

    Args:
        tokens: (N, T), clean.
        label_posterior: (N, C), P(label given sentence).
        corrupted: (N, T), the same with one blank each.
        blanks: (N, T) bool, where it is.
        token_posterior: (N, V), P(token at the blank given the rest).

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
        corrupted, labels = hide_one(tokens, generator, language.mask_token_id)
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


def evaluate_heads(model, test: KnownTest) -> dict[str, float]:
    """Return how far both heads are from the exact answers, over all sentences of the test.

    Returns:
        `label_kl` and `token_kl`: KL(exact ‖ model) in nats a sentence and nats a blank; `loss`:
        expected cross-entropy of the labels (their entropy plus `label_kl`); `accuracy`: expected
        share of right labels, when each sentence's label is drawn from its exact posterior.

    Introduced in notebook 06.
    """
    batches = [
        {"input_ids": part, "attention_mask": torch.ones_like(part)}
        for part in test.tokens.split(512)
    ]
    labels = predict_classes(model, batches).double()
    label_kl = float(kl_divergence(test.label_posterior, labels.clamp(min=1e-12).log()).mean())
    tokens = token_log_probabilities(model, test.corrupted)[test.blanks]
    chosen = labels.argmax(-1, keepdim=True)
    return {
        "loss": test.label_entropy + label_kl,
        "accuracy": float(test.label_posterior.gather(1, chosen).mean()),
        "label_kl": label_kl,
        "token_kl": float(kl_divergence(test.token_posterior, tokens).mean()),
    }
