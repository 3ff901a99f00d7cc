"""The prediction loop: what a model answers at blanks, for rows and for tokens."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor
from transformers import BertTokenizer

from bift_utils.data.batches import IGNORE_INDEX, move_batch
from bift_utils.data.corpus import HELD_OUT_SEED, make_windows
from bift_utils.masking.collators import MaskedLMCollator
from bift_utils.models.joint import evaluating
from bift_utils.runtime import make_generator
from bift_utils.training.losses import masked_lm_loss


def validation_batches(
    reviews: list[list[list[int]]],
    tokenizer: BertTokenizer,
    positions: int = 128,
    limit: int | None = None,
) -> list[dict[str, torch.Tensor]]:
    """Return held-out windows with masks fixed by seed: 15 %, 80/10/10, drawn once for ever.

    Args:
        reviews: token ids of each sentence of each held-out review.
        tokenizer: the tokenizer of the model.
        positions: most tokens a window, [CLS] and [SEP] included.
        limit: how many windows to draw by seed; None for all.

    Introduced in notebook 04.
    """
    windows = make_windows(reviews, tokenizer, positions)
    if limit is not None:
        order = torch.randperm(len(windows), generator=make_generator(HELD_OUT_SEED, 1))
        windows = [windows[i] for i in order[:limit].tolist()]
    windows.sort(key=len)
    batches = []
    for start in range(0, len(windows), 32):
        collator = MaskedLMCollator(tokenizer, make_generator(HELD_OUT_SEED, 2, start))
        batches.append(collator([{"input_ids": ids} for ids in windows[start : start + 32]]))
    return batches


def predict(
    model,
    batches: Iterable[dict[str, Tensor]],
    ask: Callable[[dict[str, Tensor]], dict[str, Tensor]],
) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Yield each batch, on the model's device, with what the model answers; nothing is changed.

    Args:
        model: a `BertForJointTraining`.
        batches: dicts with `input_ids` and `attention_mask`, both (B, T).
        ask: returns the model's `masked_positions` or `classified` for a batch.

    Introduced in notebook 05.
    """
    with evaluating(model):
        for batch in batches:
            batch = move_batch(batch, model.device)
            yield batch, model(batch["input_ids"], batch["attention_mask"], **ask(batch))


def at_blanks(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Ask the masked-LM head at every position that has a label."""
    return {"masked_positions": batch["mlm_labels"] != IGNORE_INDEX}


def for_all_rows(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Ask the classifier for every row."""
    return {"classified": torch.ones_like(batch["input_ids"][:, 0], dtype=torch.bool)}


def at_labels(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Ask the classifier wherever there is a label: a row's, or a token's."""
    return {"classified": batch["labels"] != IGNORE_INDEX}


def evaluate_masked_lm(model, batches: Iterable[dict[str, Tensor]]) -> dict[str, float]:
    """Measure the masked-LM head on batches that are already masked.

    The masks are part of the batches, drawn once by a seed: two evaluations of one model agree,
    and two models answer the same blanks. Losses at different masking rates cannot be compared.

    Args:
        model: a `BertForJointTraining`.
        batches: dicts with `input_ids`, `attention_mask` and `mlm_labels`, all (B, T).

    Returns:
        `loss` (nats a blank, averaged over all blanks), `accuracy` (0 to 1) and `blanks`.

    Raises:
        ValueError: the batches hold no blank at all, so that there is nothing to measure.

    Introduced in notebook 04.
    """
    total, right, blanks = 0.0, 0, 0
    for batch, outputs in predict(model, batches, at_blanks):
        answers = batch["mlm_labels"][batch["mlm_labels"] != IGNORE_INDEX]
        total += float(masked_lm_loss(outputs["mlm_logits"], answers)) * len(answers)
        right += int((outputs["mlm_logits"].argmax(-1) == answers).sum())
        blanks += len(answers)
    if not blanks:
        raise ValueError(
            "The batches hold no blank; expected at least one to measure. Give more or longer "
            "texts, or mask at a higher rate."
        )
    return {"loss": total / blanks, "accuracy": right / blanks, "blanks": blanks}


def predict_classes(model, batches: Iterable[dict[str, Tensor]]) -> Tensor:
    """Return P(class given text) for every text, (B, K), float64, in the order of the batches.

    Float64, because in single precision an answer below 1e-45 becomes 0, and its loss infinite.

    Raises:
        ValueError: there is no batch.

    Introduced in notebook 05.
    """
    rows = predict(model, batches, for_all_rows)
    return _together(found["class_logits"].double().softmax(-1).cpu() for _, found in rows)


def tag_log_probabilities(model, batches: Iterable[dict[str, Tensor]]) -> Tensor:
    """Return log P(label) of every labelled token, (N, K), float64 on the CPU, in reading order.

    Args:
        model: a `BertForJointTraining` with `pooling="token"`.
        batches: dicts with `input_ids`, `attention_mask` and `labels`, all (B, T).

    Raises:
        ValueError: there is no batch.

    Introduced in notebook 05b.
    """
    rows = predict(model, batches, at_labels)
    return _together(found["class_logits"].double().log_softmax(-1).cpu() for _, found in rows)


def _together(parts: Iterable[Tensor]) -> Tensor:
    found = list(parts)
    if not found:
        raise ValueError("There is no batch; expected at least one to make predictions for.")
    return torch.cat(found)
