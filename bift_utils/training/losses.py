"""The two losses and their weighted sum."""

import torch
from torch.nn import functional

from bift_utils.data.batches import IGNORE_INDEX


def masked_lm_loss(
    logits: torch.Tensor, labels: torch.Tensor, answers: int | None = None
) -> torch.Tensor:
    """Cross-entropy in nats, averaged over the labelled positions; 0 when there is none.

    Position i of `logits` is scored against position i of `labels`: nothing is shifted, because a
    masked-LM predicts the token *at* the blank (a causal LM predicts the next one).

    Args:
        logits: (..., V), scores over the vocabulary.
        labels: (...), token ids; `IGNORE_INDEX` where nothing is asked.
        answers: what the sum is divided by. None takes the labelled positions of `labels`; for a
            part of a batch give those of the whole batch, and the parts' losses add up to its own.

    Raises:
        ValueError: the shapes do not match.

    Source: Devlin et al. 2019, section 3.1. Introduced in notebook 02.
    """
    if logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"masked_lm_loss got logits of shape {tuple(logits.shape)} and labels of shape "
            f"{tuple(labels.shape)}; expected labels of shape {tuple(logits.shape[:-1])}. "
            "Pass one label per row of logits."
        )
    # in parts, because in half precision all rows at once as 32 bits no longer fit into the cache
    parts = zip(logits.flatten(0, -2).split(128), labels.flatten().split(128), strict=True)
    total = sum(
        functional.cross_entropy(part.float(), asked, ignore_index=IGNORE_INDEX, reduction="sum")
        for part, asked in parts
    )
    return _mean(total, labels, answers)


def sequence_loss(
    logits: torch.Tensor, labels: torch.Tensor, answers: int | None = None
) -> torch.Tensor:
    """Cross-entropy in nats, averaged over the labelled sentences (or tokens); 0 without any.

    Args:
        logits: (B, K), scores over the classes.
        labels: (B,), class ids 0…K−1; `IGNORE_INDEX` for one without a label.
        answers: what the sum is divided by, as in `masked_lm_loss`.

    Raises:
        ValueError: the shapes do not match, or a label is not one of 0…K−1.

    Introduced in notebook 05.
    """
    if logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"sequence_loss got logits of shape {tuple(logits.shape)} and labels of shape "
            f"{tuple(labels.shape)}; expected one label per row of logits."
        )
    total = functional.cross_entropy(
        logits.float(), labels, ignore_index=IGNORE_INDEX, reduction="sum"
    )
    return _mean(total, labels, answers)


def _mean(total: torch.Tensor, labels: torch.Tensor, answers: int | None) -> torch.Tensor:
    # a mean over nothing would be 0 / 0 = NaN, and 0 * NaN is NaN again in the joint loss
    if answers is None:
        return total / (labels != IGNORE_INDEX).sum().clamp(min=1)
    return total / max(answers, 1)


def check_mlm_weight(mlm_weight: float) -> float:
    """Return λ as a float, or raise `ValueError` unless 0 ≤ λ ≤ 1."""
    if not 0.0 <= mlm_weight <= 1.0:
        raise ValueError(
            f"The MLM weight λ was given as {mlm_weight}; expected a number from 0 (task only) "
            "to 1 (masked-LM only)."
        )
    return float(mlm_weight)


def joint_loss(
    mlm_loss: torch.Tensor | None, task_loss: torch.Tensor | None, mlm_weight: float
) -> torch.Tensor:
    """L = λ · L_MLM + (1 − λ) · L_task, in nats; λ is `mlm_weight`.

    A term whose weight is zero is left out rather than multiplied by zero, so that it can neither
    bring in NaN nor touch a gradient. A loss may be `None` only where its weight is zero.

    Raises:
        ValueError: λ is outside [0, 1], or a loss with a positive weight is missing.

    Source: the article, section 4.3. Introduced in notebook 06.
    """
    weight = check_mlm_weight(mlm_weight)
    terms = [(weight, mlm_loss, "masked-LM"), (1.0 - weight, task_loss, "task")]
    kept: list[torch.Tensor] = []
    for share, loss, name in terms:
        if share == 0:
            continue
        if loss is None:
            raise ValueError(
                f"joint_loss got no {name} loss although its weight is {share:g}; "
                "pass it, or set its weight to zero."
            )
        kept.append(loss if share == 1.0 else share * loss)
    return kept[0] if len(kept) == 1 else kept[0] + kept[1]
