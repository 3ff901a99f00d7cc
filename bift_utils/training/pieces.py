"""One batch in pieces: gradients of the whole batch from several passes and several processes.

Every process builds the same batch, masks included, takes its rows, and weighs its losses by the
answers that the *whole* batch asks for. So the result does not depend on how it was cut up.
"""

from contextlib import nullcontext

import torch

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.training.losses import joint_loss

ANSWERS = {"mlm_loss": "mlm_labels", "task_loss": "labels"}  # a loss and what it is a mean over


def count_answers(batch: dict[str, torch.Tensor]) -> dict[str, int]:
    """Count what each loss is averaged over: hidden tokens, and sentences with a class.

    Introduced in notebook 08.
    """
    return {
        loss: int((batch[labels] != IGNORE_INDEX).sum())
        for loss, labels in ANSWERS.items()
        if labels in batch
    }


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
    empty = not len(rows)
    part = {
        key: value[torch.zeros(1, dtype=int) if empty else rows] for key, value in batch.items()
    }
    longest = int(part["attention_mask"].sum(1).max())
    part = {key: v[:, :longest] if v.ndim == 2 else v for key, v in part.items()}
    if empty:
        for key in set(ANSWERS.values()) & set(part):
            part[key] = torch.full_like(part[key], IGNORE_INDEX)
    return part


def share_of_loss(
    losses: dict[str, torch.Tensor],
    part: dict[str, int],
    whole: dict[str, int],
    mlm_weight: float,
) -> dict[str, torch.Tensor]:
    """Turn the means over one part into its share of the means over the whole batch.

    The shares of all parts sum to the losses of the whole batch; so do their gradients.

    Args:
        losses: `mlm_loss` and `task_loss` of the part, where they were computed.
        part, whole: `count_answers` of the part and of the whole batch.
        mlm_weight: λ.

    Introduced in notebook 08.
    """
    shares = {
        name: losses[name] * (part[name] / max(whole[name], 1))
        for name in ANSWERS
        if name in losses
    }
    total = joint_loss(shares.get("mlm_loss"), shares.get("task_loss"), mlm_weight)
    return {"loss": total, **shares}


def joint_backward(
    step, model, batch, mlm_weight: float, accelerator, accumulate: int = 1, weighted: bool = True
) -> dict[str, torch.Tensor]:
    """Add the gradient of one global batch, in `accumulate` passes on each process.

    Args:
        step: `training.training_step`, or anything called and answering like it.
        model: as `accelerator.prepare` returned it.
        batch: the global batch, the same on every process, with masks drawn.
        mlm_weight: λ.
        accelerator: an `accelerate.Accelerator`.
        accumulate: passes a process; memory falls, the result stays.
        weighted: False goes down on the plain sum of the losses, for parts that share nothing.

    Returns:
        The losses of the whole batch as detached tensors, the same on every process.

    Introduced in notebook 08.
    """
    world, whole = accelerator.num_processes, count_answers(batch)
    mine = split_batch(batch, world * accumulate)[accelerator.process_index :: world]
    sums: dict[str, torch.Tensor] = {}
    for i, part in enumerate(mine):
        wait = nullcontext() if i == len(mine) - 1 else accelerator.no_sync(model)
        with wait:  # processes exchange gradients in the last pass only
            moved = {key: value.to(accelerator.device) for key, value in part.items()}
            losses = share_of_loss(
                step(model, moved, mlm_weight), count_answers(part), whole, mlm_weight
            )
            down = losses["loss"] if weighted else sum(losses[n] for n in ANSWERS if n in losses)
            accelerator.backward(down * world)  # gradients are averaged over processes
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value.detach()
    return accelerator.reduce(sums, "sum") if world > 1 else sums
