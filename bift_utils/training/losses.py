"""The two losses and their weighted sum."""

import torch
from torch.nn import functional

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.runtime import number

MLM_WEIGHT = number(0.0, 1.0)._replace(
    expected="a number from 0 (task only) to 1 (masked-LM only)", name="The MLM weight λ"
)


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
        ValueError: the shapes do not match, or a label is not one of 0…V−1.

    Source: Devlin et al. 2019, section 3.1. Introduced in notebook 02.
    """
    return _cross_entropy("masked_lm_loss", logits, labels, answers)


def masked_lm_loss_by_row(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Average in two steps: over the blanks of each row, then over the rows; in nats a blank.

    With k blanks a row, k drawn evenly from 1 to T, T times this is an unbiased estimate of the
    bound on −log P(sentence). The plain mean over all blanks of a batch is not: there a row with
    many blanks counts for more.

    Args:
        logits: (N, V), scores at the N labelled positions of the batch, in reading order.
        labels: (B, T), token ids; `IGNORE_INDEX` where nothing is asked.

    Raises:
        ValueError: there are not as many logits as labelled positions, or a row has no blank.

    Introduced in notebook 09.
    """
    blanks = labels != IGNORE_INDEX
    counts = blanks.sum(1)
    if len(logits) != int(counts.sum()) or not bool((counts > 0).all()):
        raise ValueError(
            f"masked_lm_loss_by_row got {len(logits)} rows of logits for {int(counts.sum())} "
            f"blanks, and a row with {int(counts.min())} blanks; expected one row of logits for "
            "each blank, and at least one blank in each row. Hide with masking.hide_uniform_count."
        )
    losses = functional.cross_entropy(logits.float(), labels[blanks], reduction="none")
    weights = 1.0 / (counts * len(counts))  # of each blank, by its row
    return (losses * weights[blanks.nonzero()[:, 0]]).sum()


def sequence_loss(
    logits: torch.Tensor, labels: torch.Tensor, answers: int | None = None
) -> torch.Tensor:
    """Cross-entropy in nats, averaged over the labelled sentences (or tokens); 0 without any.

    Args:
        logits: (..., K), scores over the classes; mostly (B, K).
        labels: (...), class ids 0…K−1; `IGNORE_INDEX` for one without a label.
        answers: what the sum is divided by, as in `masked_lm_loss`.

    Raises:
        ValueError: the shapes do not match, or a label is not one of 0…K−1.

    Introduced in notebook 05.
    """
    return _cross_entropy("sequence_loss", logits, labels, answers)


def _cross_entropy(
    name: str, logits: torch.Tensor, labels: torch.Tensor, answers: int | None
) -> torch.Tensor:
    """Check what was given, add up the cross-entropies, and divide by the number of answers."""
    if logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"{name} got logits of shape {tuple(logits.shape)} and labels of shape "
            f"{tuple(labels.shape)}; expected labels of shape {tuple(logits.shape[:-1])}. "
            "Pass one label per row of logits."
        )
    if labels.is_floating_point():
        raise ValueError(
            f"{name} got labels of type {labels.dtype}; expected whole numbers. Pass ids, not "
            "probabilities."
        )
    classes = logits.shape[-1]
    labels = labels.long()
    asked = labels != IGNORE_INDEX
    outside = asked & ((labels < 0) | (labels >= classes))
    if outside.any():  # on a GPU the library would stop the whole session here
        raise ValueError(
            f"{name} got the label {int(labels[outside][0])}; expected 0 to {classes - 1}, or "
            f"{IGNORE_INDEX} where nothing is asked. Give the model as many classes as there are "
            "labels, or mend the label."
        )
    # in parts, because in half precision all rows at once as 32 bits no longer fit into the cache
    rows, answered = logits.reshape(-1, classes).split(128), labels.reshape(-1).split(128)
    parts = [
        functional.cross_entropy(row.float(), answer, ignore_index=IGNORE_INDEX, reduction="sum")
        for row, answer in zip(rows, answered, strict=True)
    ]
    total = torch.stack(parts).sum()
    # a mean over nothing would be 0 / 0 = NaN, and 0 * NaN is NaN again in the joint loss
    if answers is None:
        return total / asked.sum().clamp(min=1)
    return total / max(answers, 1)


def check_mlm_weight(mlm_weight: float) -> float:
    """Return λ as a float, or raise `ValueError` unless 0 ≤ λ ≤ 1."""
    if not MLM_WEIGHT.holds(mlm_weight):
        raise ValueError(
            f"{MLM_WEIGHT.name} was given as {mlm_weight!r}; expected {MLM_WEIGHT.expected}."
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
