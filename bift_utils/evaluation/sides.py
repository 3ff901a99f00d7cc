"""What a model makes of the context on each side of a position.

Shapes: N rows, T positions, H width of the output.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from bift_utils.data.batches import IGNORE_INDEX, pad_batch
from bift_utils.evaluation.predict import at_blanks, predict

SIDES = ("both", "left", "right", "none")


def influence(encode: Callable[[Tensor], Tensor], input_ids: Tensor, others: Tensor) -> Tensor:
    """Change one token at a time, and measure how far each output vector moves.

    Args:
        encode: takes ids (N, T) and returns vectors (N, T, H), without randomness.
        input_ids: (T,), one text.
        others: (T,), what to put in the place of each token; it should differ from the token.

    Returns:
        (T, T) float64: row i, column j is `|h_i after changing token j − h_i| / |h_i|`. An exact
        zero means that position i cannot see token j (on a GPU, read below 1e-4 as zero).

    Raises:
        ValueError: the two texts differ in length.

    Introduced in notebook 01.
    """
    if input_ids.ndim != 1 or input_ids.shape != others.shape:
        raise ValueError(
            f"The texts have shapes {tuple(input_ids.shape)} and {tuple(others.shape)}; expected "
            "two rows of the same length, (T,)."
        )
    length = len(input_ids)
    rows = input_ids.repeat(length + 1, 1)  # (T + 1, T): one changed token each, then none
    places = torch.arange(length)
    rows[places, places] = others
    with torch.no_grad():
        hidden = encode(rows).double().cpu()  # (T + 1, T, H)
    moved = (hidden[:-1] - hidden[-1]).norm(dim=-1)  # (T, T): changed token, position
    return (moved / hidden[-1].norm(dim=-1)).T


def keep_sides(windows: Tensor, positions: Tensor, keep: str, tokenizer) -> dict[str, Tensor]:
    """Ask for one token of each window and put [MASK] over the text on one side of it.

    Cutting the text off instead would tell the model, wrongly, that it ends at the blank.

    Args:
        windows: (N, T), ordinary token ids, without [CLS] and [SEP], which are added.
        positions: (N,), which token of each window to ask for, 0 to T − 1.
        keep: "both", "left", "right" or "none".
        tokenizer: the tokenizer of the model.

    Returns:
        A batch with `input_ids`, `attention_mask` and `mlm_labels`; one label a row.

    Raises:
        ValueError: `keep` is none of the four, or a position is outside its window.

    Introduced in notebook 01.
    """
    length = windows.shape[1]
    if keep not in SIDES:
        raise ValueError(f"keep was given as {keep!r}; expected one of {SIDES}.")
    if len(positions) and not 0 <= int(positions.min()) <= int(positions.max()) < length:
        raise ValueError(
            f"The positions go from {int(positions.min())} to {int(positions.max())}; expected "
            f"0 to {length - 1}, places in a window of {length} tokens."
        )
    place, mask = torch.arange(length), tokenizer.mask_token_id
    rows, answers = [], []
    for ids, at in zip(windows, positions.tolist(), strict=True):
        kept = (place < at) & (keep in ("both", "left"))
        kept |= (place > at) & (keep in ("both", "right"))
        covered = torch.where(kept, ids, mask).tolist()
        rows.append([tokenizer.cls_token_id, *covered, tokenizer.sep_token_id])
        label = torch.where(place == at, ids, IGNORE_INDEX).tolist()
        answers.append([IGNORE_INDEX, *label, IGNORE_INDEX])
    labels = pad_batch(answers, IGNORE_INDEX)["input_ids"]
    return {**pad_batch(rows, tokenizer.pad_token_id), "mlm_labels": labels}


def answer_each(model, batch: dict[str, Tensor], size: int = 64) -> tuple[Tensor, Tensor]:
    """Return the loss (nats) and the likeliest token at every blank, both (blanks,), on the CPU.

    `evaluation.evaluate_masked_lm` gives the means; an interval needs the blanks one by one.

    Args:
        model: a `BertForJointTraining`.
        batch: `input_ids`, `attention_mask` and `mlm_labels`, all (N, T).
        size: rows a forward pass.

    Introduced in notebook 01.
    """
    losses, best = [], []
    parts = (
        {key: value[start : start + size] for key, value in batch.items()}
        for start in range(0, len(batch["input_ids"]), size)
    )
    for part, outputs in predict(model, parts, at_blanks):
        logits = outputs["mlm_logits"].double()  # (blanks, V)
        answers = part["mlm_labels"][part["mlm_labels"] != IGNORE_INDEX]
        losses.append(torch.nn.functional.cross_entropy(logits, answers, reduction="none"))
        best.append(logits.argmax(-1))
    return torch.cat(losses).cpu(), torch.cat(best).cpu()
