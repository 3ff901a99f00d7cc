"""Which rows of a batch are needed, and one batch in pieces.

Every process builds the same batch, masks included, and takes its rows. The losses of a piece are
divided by the answers that the *whole* batch asks for, so a piece's loss is its share, and the
result does not depend on how the batch was cut up.
"""

import torch

from bift_utils.data.batches import IGNORE_INDEX

ANSWERS = {"mlm_loss": "mlm_labels", "task_loss": "labels"}  # a loss and what it is a mean over


def count_answers(batch: dict[str, torch.Tensor]) -> dict[str, int]:
    """Count what each loss is averaged over: hidden tokens, and sentences (or tokens) with a class.

    Introduced in notebook 08.
    """
    return {
        loss: int((batch[labels] != IGNORE_INDEX).sum())
        for loss, labels in ANSWERS.items()
        if labels in batch
    }


def needed_rows(batch: dict[str, torch.Tensor], mlm_weight: float) -> dict[str, torch.Tensor]:
    """Leave out the rows that nothing with a weight is asked of; the encoder need not read them.

    With λ = 0 blanks have no weight, with λ = 1 classes have none, and a text in which nothing was
    hidden asks nothing as a masked row. One row stays when none asks anything.

    Args:
        batch: tensors with R rows, as `training.training_step` takes them.
        mlm_weight: λ.

    Raises:
        ValueError: the batch has no labels for an objective that λ gives a weight.

    Introduced in notebook 06.
    """
    needed = torch.zeros(len(batch["input_ids"]), dtype=torch.bool)
    objectives = {"mlm_labels": mlm_weight, "labels": 1.0 - mlm_weight}
    for name, weight in objectives.items():
        if weight > 0:
            if name not in batch:
                raise ValueError(
                    f"This update has λ = {mlm_weight}, and the batch has no {name!r}; expected "
                    "them, because their objective has a weight. Make batches with a "
                    "JointCollator, or set λ to 0 for the task alone, to 1 for masked-LM alone."
                )
            asked = (batch[name] != IGNORE_INDEX).reshape(len(needed), -1)
            needed |= asked.any(1).cpu()
    if needed.all():
        return batch
    needed[0] |= not needed.any()
    return take_rows(batch, needed)


def take_rows(batch: dict[str, torch.Tensor], rows: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return some rows of a batch; padding at the end that none of them needs is cut.

    Args:
        batch: tensors with R rows; those that are (R, T) are cut after the last real token.
        rows: indices, or a mask (R,).
    """
    taken = {name: value[rows] for name, value in batch.items()}
    longest = int(taken["attention_mask"].any(0).nonzero().max()) + 1
    return {name: v[:, :longest] if v.ndim == 2 else v for name, v in taken.items()}


def split_batch(batch: dict[str, torch.Tensor], parts: int) -> list[dict[str, torch.Tensor]]:
    """Deal the rows out like cards, row i to part i mod `parts`; padding that none needs is cut.

    A part without rows gets row 0 with nothing asked of it: every process must take part in every
    pass, and what asks nothing weighs nothing.

    Args:
        batch: tensors with R rows; `input_ids`, `attention_mask` and `mlm_labels` are (R, T).
        parts: how many, at least one. One part is the batch itself.

    Introduced in notebook 08.
    """
    if parts < 1:
        raise ValueError(f"The batch was to be split into {parts} parts; expected 1 or more.")
    if parts == 1:
        return [batch]
    rows = torch.arange(len(batch["input_ids"]))
    return [_part(batch, rows[i::parts]) for i in range(parts)]


def _part(batch: dict[str, torch.Tensor], rows: torch.Tensor) -> dict[str, torch.Tensor]:
    if len(rows):
        return take_rows(batch, rows)
    part = take_rows(batch, torch.tensor([0]))
    for name in set(ANSWERS.values()) & set(part):
        part[name] = torch.full_like(part[name], IGNORE_INDEX)
    return part
