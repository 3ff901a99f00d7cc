"""From a table to batches: splits, encoded parts, and what to know about them beforehand."""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bift_utils.data.batches import IGNORE_INDEX, EncodedTexts, encode_texts
from bift_utils.data.tables import TextTable, read_held_out, read_table
from bift_utils.data.texts import (
    LabelledTexts,
    check_parts,
    group_equal_texts,
    split_texts,
    without_case_and_spacing,
)
from bift_utils.finetune.inspection import TextSummary, class_balance, summarise_texts
from bift_utils.finetune.options import FinetuneOptions
from bift_utils.runtime import make_generator

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class OwnTexts:
    """Your texts, ready to train on.

    `parts` are the labelled texts of train, validation and test; `encoded` their tokens, where
    the training part also holds the texts without a class (label `IGNORE_INDEX`); `lines` say
    what there is, `warnings` what may go wrong, `summary` what the tokenizer makes of them.
    """

    parts: dict[str, LabelledTexts]
    encoded: dict[str, EncodedTexts]
    class_names: list[str]
    lines: list[str]
    summary: TextSummary
    warnings: list[str] = field(default_factory=list)


def read_texts(table: str | Path, options: FinetuneOptions) -> tuple[TextTable, dict]:
    """Read the table of a run and its files of held-out texts.

    Returns:
        The table, and "validation" and "test", where there are files for them: labelled texts
        with the class ids of the table, or with λ = 1 texts alone.

    Raises:
        ValueError: a file cannot be used (see `data.read_table`), or a held-out text has a class
            that the table lacks.

    Introduced in notebook 08.
    """
    label = options.label if options.mlm_weight < 1 else None
    columns = (options.text, label, options.encoding, options.separator)
    found = read_table(table, *columns, options.drop_rare)
    files = {"validation": options.validation, "test": options.test}
    parts = {
        name: read_held_out(path, *columns, found.class_names, options.drop_rare is not None)
        for name, path in files.items()
        if path is not None
    }
    for name, (_, left_out) in parts.items():
        if left_out:
            found.notes.append(f"Texts of the {name} file without one of the classes: {left_out}.")
    return found, {name: part for name, (part, _) in parts.items()}


def prepare_texts(
    table: TextTable,
    tokenizer,
    model: str,
    mlm_weight: float,
    max_length: int,
    seed: int,
    positions: int | None = None,
    held_out: dict[str, LabelledTexts] | None = None,
) -> OwnTexts:
    """Split a table 70/15/15, encode the parts, and say what there is to know about them.

    A part that comes as a file of its own is taken as it is, and its share of the table is trained
    on, but for texts that equal a held-out one. Texts without a class join the training part,
    where they feed the masked-LM objective, with the same exception.

    Args:
        table: see `data.read_table`.
        tokenizer: of the checkpoint.
        model: name of the checkpoint, for the advice.
        mlm_weight: λ; texts without a class are of use only above 0.
        max_length: most tokens a text may keep.
        seed: of the split.
        positions: of the model, for the advice; None for `max_length`.
        held_out: "validation" and "test", where they come from files.

    Raises:
        ValueError: the texts cannot be split (see `data.split_texts`).

    Introduced in notebook 08.
    """
    notes = list(table.notes)
    parts = _split(table, seed, held_out or {}, notes)
    held = {
        without_case_and_spacing(t) for name in ("validation", "test") for t in parts[name].texts
    }
    extra = [t for t in table.unlabelled if without_case_and_spacing(t) not in held]
    if not table.class_names:
        extra = []  # they are the parts
    elif len(extra) < len(table.unlabelled):
        notes.append(
            "Texts without a class that equal a held-out text, left out: "
            f"{len(table.unlabelled) - len(extra)}."
        )
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
    summary = summarise_texts(
        tokenizer, list(encoded.values()), max_length, positions or max_length
    )
    lines = _describe(table, parts, len(extra)) + summary.lines() + notes
    everything = [text for part in parts.values() for text in part.texts] + extra
    cautions = summary.warnings(model, everything)
    known = len(parts["train"])
    if len(extra) > known:
        cautions.append(
            f"{len(extra)} texts without a class fill the batches beside {known} with one, which "
            "are read once an epoch: leave some of them out, or set more epochs."
        )
    return OwnTexts(parts, encoded, table.class_names, lines, summary, cautions)


def _split(
    table: TextTable, seed: int, held_out: dict[str, LabelledTexts], notes: list[str]
) -> dict[str, LabelledTexts]:
    """Return train, validation and test; a part from a file gives its share back to training."""
    if table.class_names:
        parts = split_texts(table.labelled, seed=seed)
    else:
        parts = split_without_classes(table.unlabelled, seed)
    if not held_out:
        return parts
    for name in held_out:
        given = parts[name]
        train = parts["train"]
        parts["train"] = LabelledTexts(train.texts + given.texts, train.labels + given.labels)
    parts = {name: held_out.get(name, part) for name, part in parts.items()}
    known = {without_case_and_spacing(t) for part in held_out.values() for t in part.texts}
    for name in set(PARTS) - set(held_out):
        texts = parts[name].texts
        own = [i for i, text in enumerate(texts) if without_case_and_spacing(text) not in known]
        if len(own) < len(texts):
            notes.append(
                f"Texts of the {name} part that stand in a file of held-out texts, left out: "
                f"{len(texts) - len(own)}."
            )
            parts[name] = parts[name].take(own)
    if table.class_names:
        check_parts(parts)
    return parts


def _describe(table: TextTable, parts: dict[str, LabelledTexts], extra: int) -> list[str]:
    sizes = ", ".join(f"{len(part)} {name}" for name, part in parts.items())
    total = sum(map(len, parts.values()))
    if not table.class_names:
        return [f"Texts: {total} ({sizes}); no classes are read."]
    lines = [f"Texts with a class: {total} ({sizes}); without: {extra}."]
    labels = [label for part in parts.values() for label in part.labels]
    return lines + class_balance(labels, table.class_names)


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
