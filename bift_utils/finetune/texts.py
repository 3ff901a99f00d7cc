"""From a table to batches: splits, encoded parts, and what to know about them beforehand."""

import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bift_utils.data.batches import IGNORE_INDEX, EncodedTexts, encode_texts
from bift_utils.data.tables import TextTable
from bift_utils.data.texts import (
    LabelledTexts,
    group_equal_texts,
    split_texts,
    without_case_and_spacing,
)
from bift_utils.finetune.inspection import (
    UNKNOWN_LIMIT,
    class_balance,
    suggest_checkpoint,
    summarise_texts,
)
from bift_utils.runtime import make_generator

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class OwnTexts:
    """Your texts, ready to train on.

    `parts` are the labelled texts of train, validation and test; `encoded` their tokens, where
    the training part also holds the texts without a class (label `IGNORE_INDEX`); `lines` say
    what there is, `warnings` what may go wrong.
    """

    parts: dict[str, LabelledTexts]
    encoded: dict[str, EncodedTexts]
    class_names: list[str]
    lines: list[str]
    warnings: list[str] = field(default_factory=list)


def prepare_texts(
    table: TextTable, tokenizer, model: str, mlm_weight: float, max_length: int, seed: int
) -> OwnTexts:
    """Split a table 70/15/15, encode the parts, and say what there is to know about them.

    Texts without a class join the training part, where they feed the masked-LM objective; those
    that equal a validation or test text are left out.

    Args:
        table: see `data.read_table`.
        tokenizer: of the checkpoint.
        model: name of the checkpoint, for the advice.
        mlm_weight: λ; texts without a class are of use only above 0.
        max_length: most tokens a text may keep.
        seed: of the split.

    Raises:
        ValueError: the texts cannot be split (see `data.split_texts`).

    Introduced in notebook 08.
    """
    if table.class_names:
        parts = split_texts(table.labelled, seed=seed)
        extra, dropped = _unseen(table.unlabelled, parts)
    else:
        parts, extra, dropped = split_without_classes(table.unlabelled, seed), [], 0
    notes = list(table.notes)
    if dropped:
        notes.append(f"Texts without a class that equal a held-out text, left out: {dropped}.")
    if extra and mlm_weight == 0:
        notes.append(f"Texts without a class, of no use with λ = 0: {len(extra)}.")
        extra = []
    encoded = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what was cut is counted below
        for name, part in parts.items():
            more = extra if name == "train" else []
            labels = [*part.labels, *[IGNORE_INDEX] * len(more)]
            encoded[name] = encode_texts(tokenizer, [*part.texts, *more], labels, max_length)
    summary = summarise_texts(tokenizer, _together(encoded.values()), max_length)
    everything = [text for part in parts.values() for text in part.texts] + extra
    lines = _describe(table, parts, len(extra)) + summary.lines() + notes
    cautions = []
    if summary.unknown_share > UNKNOWN_LIMIT:
        cautions.append(
            f"{100 * summary.unknown_share:.0f} % of the tokens are unknown to {model}: the model "
            f"cannot tell them apart. {suggest_checkpoint(everything, model)}"
        )
    return OwnTexts(parts, encoded, table.class_names, lines, cautions)


def _together(parts: Iterable[EncodedTexts]) -> EncodedTexts:
    parts = list(parts)
    rows = [ids for part in parts for ids in part.input_ids]
    return EncodedTexts(rows, num_cut=sum(part.num_cut for part in parts))


def _describe(table: TextTable, parts: dict[str, LabelledTexts], extra: int) -> list[str]:
    sizes = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
    if not table.class_names:
        return [f"Texts: {len(table.unlabelled)} ({sizes}); no classes are read."]
    lines = [f"Texts with a class: {len(table.labelled)} ({sizes}); without: {extra}."]
    return lines + class_balance(table.labelled.labels, table.class_names)


def _unseen(texts: Sequence[str], parts: dict[str, LabelledTexts]) -> tuple[list[str], int]:
    """Leave out texts that equal a held-out one."""
    held_out = {
        without_case_and_spacing(text)
        for name in ("validation", "test")
        for text in parts[name].texts
    }
    kept = [text for text in texts if without_case_and_spacing(text) not in held_out]
    return kept, len(texts) - len(kept)


def split_without_classes(texts: Sequence[str], seed: int) -> dict[str, LabelledTexts]:
    """Split texts that have no class 70/15/15, equal texts kept on one side.

    Raises:
        ValueError: there are fewer than three distinct texts.

    Introduced in notebook 08.
    """
    groups = group_equal_texts(texts)
    if len(groups) < 3:
        raise ValueError(
            f"There are {len(groups)} different texts; expected at least 3, one each for training, "
            "validation and test."
        )
    order = torch.randperm(len(groups), generator=make_generator(seed)).tolist()
    held_out = max(1, round(0.15 * len(groups)))
    cuts = {"test": order[:held_out], "validation": order[held_out : 2 * held_out]}
    cuts["train"] = order[2 * held_out :]
    parts = {}
    for name in PARTS:
        chosen = [texts[i] for group in cuts[name] for i in groups[group]]
        parts[name] = LabelledTexts(chosen, [IGNORE_INDEX] * len(chosen))
    return parts


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file, by which a run knows its table again."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
