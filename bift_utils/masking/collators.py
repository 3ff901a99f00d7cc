"""Batches for a classifier, for masked-LM, and for both objectives at once."""

from collections.abc import Sequence

import torch

from bift_utils.data.batches import IGNORE_INDEX, pad_batch
from bift_utils.masking.tokens import MaskingConfig, mask_tokens


def check_mlm_weight(mlm_weight: float) -> float:
    """Return λ as a float, or raise `ValueError` unless 0 ≤ λ ≤ 1."""
    if not 0.0 <= mlm_weight <= 1.0:
        raise ValueError(
            f"The MLM weight λ was given as {mlm_weight}; expected a number from 0 (task only) "
            "to 1 (masked-LM only)."
        )
    return float(mlm_weight)


CLASSIFIER_INPUTS = ("clean", "masked")  # what the classifier sees in joint training


class SequenceCollator:
    """Pad encoded texts into a batch for a classifier.

    Returns a dict with `input_ids` and `attention_mask` (B, T), and `labels` (B,) where the texts
    have labels.

    Introduced in notebook 05.
    """

    def __init__(self, tokenizer):
        self.pad_token_id = tokenizer.pad_token_id

    def __call__(self, examples: Sequence[dict]) -> dict[str, torch.Tensor]:
        batch = pad_batch([example["input_ids"] for example in examples], self.pad_token_id)
        if "labels" in examples[0]:
            batch["labels"] = torch.tensor([example["labels"] for example in examples])
        return batch


class MaskedLMCollator:
    """Pad encoded texts and hide some of their tokens: a batch for masked-LM alone.

    Returns a dict with `input_ids` (corrupted), `attention_mask` and `mlm_labels`, all (B, T).
    Options as in `MaskingConfig.from_tokenizer`: rates, and `whole_words=True`.

    Introduced in notebook 02.
    """

    def __init__(self, tokenizer, generator: torch.Generator, **rates):
        self.pad_token_id = tokenizer.pad_token_id
        self.config = MaskingConfig.from_tokenizer(tokenizer, **rates)
        self.generator = generator

    def __call__(self, examples: Sequence[dict]) -> dict[str, torch.Tensor]:
        batch = pad_batch([example["input_ids"] for example in examples], self.pad_token_id)
        batch["input_ids"], batch["mlm_labels"] = mask_tokens(
            batch["input_ids"], self.config, self.generator
        )
        return batch


class JointCollator:
    """Build the batch of both objectives: each text once clean for the task, once masked for MLM.

    A row carries the labels that it has. Clean rows have a class in `labels` and `IGNORE_INDEX`
    all along `mlm_labels`; masked rows have it the other way round. One encoder call serves both.
    With λ = 0 the masked rows are left out, with λ = 1 the clean ones: what has no weight costs
    no time and cannot change the result.

    With `classifier_input="masked"` there are no clean rows: each masked row carries its class as
    well, and the classifier learns from text with holes (Yao et al. 2022), for half the compute.

    Returns a dict with `input_ids`, `attention_mask` and `mlm_labels` (R, T), and `labels` (R,);
    R is 2B for clean input and 0 < λ < 1, and B otherwise.

    Raises:
        ValueError: λ is outside [0, 1], or the classifier's input is neither "clean" nor "masked".

    Introduced in notebook 06.
    """

    def __init__(
        self,
        tokenizer,
        generator: torch.Generator,
        mlm_weight: float,
        classifier_input: str = "clean",
        **rates,
    ):
        self.mlm_weight = check_mlm_weight(mlm_weight)
        if classifier_input not in CLASSIFIER_INPUTS:
            raise ValueError(
                f"classifier_input was given as {classifier_input!r}; expected one of "
                f"{CLASSIFIER_INPUTS}."
            )
        self.classifier_input = classifier_input
        self.clean = SequenceCollator(tokenizer)
        self.masked = MaskedLMCollator(tokenizer, generator, **rates)

    def __call__(self, examples: Sequence[dict]) -> dict[str, torch.Tensor]:
        if self.classifier_input == "masked":
            classes = torch.tensor([example["labels"] for example in examples])
            return {**self.masked(examples), "labels": classes}
        parts = []
        if self.mlm_weight < 1.0:
            clean = self.clean(examples)
            clean["mlm_labels"] = torch.full_like(clean["input_ids"], IGNORE_INDEX)
            parts.append(clean)
        if self.mlm_weight > 0.0:
            masked = self.masked(examples)
            masked["labels"] = torch.full((len(examples),), IGNORE_INDEX)
            parts.append(masked)
        return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
