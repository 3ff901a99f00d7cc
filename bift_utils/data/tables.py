"""Your own table: CSV, TSV or JSON lines in, texts with classes out."""

import ast
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.data.table_files import Number, read_columns, some
from bift_utils.data.texts import LabelledTexts, clean_text, group_equal_texts

LEAST_EXAMPLES = 3  # distinct texts a class: one each for training, validation and test
_NUMBER = re.compile(r"[-+]?\d+([.,]\d*)?")
_MISSING = {"nan", "none", "null", "n/a", "na"}  # what programs write for nothing


@dataclass(frozen=True)
class TextTable:
    """What a file held: labelled texts, texts without a label, and the names of the classes.

    `labelled` has class ids 0…K−1, the places of their names in `class_names`; `unlabelled` are
    texts whose label is missing; `notes` are full sentences about what was left out or looks odd.
    """

    labelled: LabelledTexts
    unlabelled: list[str]
    class_names: list[str]
    notes: list[str] = field(default_factory=list)


def read_table(
    path: str | Path,
    text: str = "text",
    label: str | None = "label",
    encoding: str | None = None,
    separator: str | None = None,
    drop_rare: int | None = None,
) -> TextTable:
    """Read texts and their labels from a file; labels may be names or whole numbers.

    Rows without a text are left out, rows without a label become `unlabelled`. Names of classes
    are kept to the letter and sorted, whole numbers by value. White space is tidied as everywhere
    in this series.

    Args:
        path: a file that ends in .csv, .tsv or .jsonl (one JSON object a line).
        text: name of the column with the texts.
        label: name of the column with the labels; None when there is none.
        encoding, separator: see `TableFile`.
        drop_rare: leave out the classes with fewer distinct texts than this; None for none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read as a table, lacks a column, has no texts, or its labels
            cannot be learned from: one class only, several classes in one row, a class with fewer
            than three distinct texts, or numbers that are not whole.

    Introduced in notebook 08.
    """
    path = Path(path)
    rows, notes = _read_rows(path, text, label, encoding, separator)
    unlabelled = [t for t, y in rows if not y]
    named = [(t, y) for t, y in rows if y]
    if label is None:
        return TextTable(LabelledTexts([], []), unlabelled, [], notes)
    if drop_rare is not None:
        named = _without_rare(named, drop_rare, notes)
    names, ids = name_classes([y for _, y in named], f'column "{label}" of {path.name}')
    labelled = LabelledTexts([t for t, _ in named], ids)
    check_class_sizes(labelled, names)
    return TextTable(labelled, unlabelled, names, notes + _oddities(labelled, names))


def read_held_out(
    path: str | Path,
    text: str,
    label: str | None,
    encoding: str | None,
    separator: str | None,
    class_names: Sequence[str],
    others_allowed: bool = False,
) -> tuple[LabelledTexts, int]:
    """Read texts to validate or test on, whose classes are those of another table.

    Arguments as those of `read_table`, and:
        class_names: the classes that are known.
        others_allowed: leave texts of other classes out, as those without a class.

    Returns:
        The texts with their class ids (`IGNORE_INDEX` without a label column), and the number of
        those that were left out.

    Raises:
        ValueError: as `read_table`, or there is another class, or no text with a class.

    Introduced in notebook 08.
    """
    path = Path(path)
    rows, _ = _read_rows(path, text, label, encoding, separator)
    if label is None:
        return LabelledTexts([t for t, _ in rows], [IGNORE_INDEX] * len(rows)), 0
    places = {name: i for i, name in enumerate(class_names)}
    unknown = [y for _, y in rows if y and y not in places]
    kept = [(t, places[y]) for t, y in rows if y in places]
    if (unknown and not others_allowed) or not kept:
        raise ValueError(
            f'The column "{label}" of {path.name} holds {some(unknown)}; expected the classes of '
            f"the table, {some(class_names)}. Nobody can learn a class unseen: leave those texts "
            "out."
        )
    return LabelledTexts([t for t, _ in kept], [y for _, y in kept]), len(rows) - len(kept)


def _read_rows(
    path: Path, text: str, label: str | None, encoding: str | None, separator: str | None
) -> tuple[list[tuple[str, str]], list[str]]:
    """Return each text with its label, "" where it has none, and notes about the file."""
    wanted = [text] if label is None else [text, label]
    columns, notes = read_columns(path, wanted, encoding, separator)
    found = [as_text(v, i, path, text) for i, v in enumerate(columns[text], start=1)]
    texts = [clean_text(value) for value in found]
    if not texts:
        raise ValueError(f"The file {path.name} has no rows; expected at least one text.")
    if not any(texts):
        raise ValueError(
            f'The column "{text}" of {path.name} is empty in all {len(texts)} rows; '
            "expected some words. Name the column that holds the texts."
        )
    labels = [""] * len(texts)
    if label is not None:
        labels = [_as_label(v, i, path, label) for i, v in enumerate(columns[label], start=1)]
        if not any(labels):
            raise ValueError(
                f'The column "{label}" of {path.name} is empty in all {len(labels)} rows; expected '
                "a class for some of them. Name the column that holds the classes."
            )
    rows = [(t, y) for t, y in zip(texts, labels, strict=True) if t]
    if len(rows) < len(texts):
        notes.append(f"Rows without a text, left out: {len(texts) - len(rows)}.")
    return rows, notes


def _distinct_texts(named: Sequence[tuple[str, str]]) -> Counter[str]:
    """Count the distinct texts of each class; equal ones have the class of the first."""
    return Counter(named[group[0]][1] for group in group_equal_texts([t for t, _ in named]))


def _without_rare(
    named: Sequence[tuple[str, str]], least: int, notes: list[str]
) -> list[tuple[str, str]]:
    """Leave out the texts of classes with fewer distinct texts than `least`, and say so."""
    counts = _distinct_texts(named)
    rare = [name for name in dict.fromkeys(y for _, y in named) if counts[name] < least]
    kept = [(text, name) for text, name in named if name not in set(rare)]
    if rare:
        notes.append(
            f"Classes with fewer than {least} different texts, left out: {len(rare)} "
            f"({some(rare)}), with {len(named) - len(kept)} texts."
        )
    return kept


def name_classes(labels: Sequence[str], where: str = "labels") -> tuple[list[str], list[int]]:
    """Give each class an id: return the sorted names and the id of every label.

    Names are kept to the letter: "1", "1.0" and "01" are three classes. Labels that are all whole
    numbers are sorted by value.

    Args:
        labels: N names, none of them empty.
        where: for the message.

    Raises:
        ValueError: all are numbers and some are not whole, or there is only one class.

    Introduced in notebook 08.
    """
    names = sorted(set(labels))
    values = {name: value for name in names if (value := _number(name)) is not None}
    if len(values) == len(names):
        broken = [n for n in dict.fromkeys(labels) if values[n] != values[n].to_integral_value()]
        if broken:
            raise ValueError(
                f"The {where} holds numbers that are not whole ({some(broken)}); expected names "
                "of classes or whole numbers. A classifier cannot predict an amount: sort the "
                "numbers into a few classes first."
            )
        names.sort(key=lambda name: values[name])
    if len(names) < 2:
        raise ValueError(
            f"The {where} holds {some(names) or 'no class'} and nothing else; expected at least "
            "two classes to tell apart."
        )
    places = {name: i for i, name in enumerate(names)}
    return names, [places[label] for label in labels]


def _number(name: str) -> Decimal | None:
    """Return the exact value of a number with a decimal point or comma, else None."""
    return Decimal(name.replace(",", ".")) if _NUMBER.fullmatch(name) else None


def check_class_sizes(data: LabelledTexts, names: Sequence[str]) -> None:
    """Raise `ValueError` if a class has too few distinct texts to be split into three parts.

    Texts that differ only in case or spacing count once, with the class of the first.
    """
    counts = _distinct_texts([(t, names[y]) for t, y in zip(data.texts, data.labels, strict=True)])
    small = [
        f"{some([name])} has {counts[name]}"
        + ("" if counts[name] else " of its own (another class has them, too)")
        for name in names
        if counts[name] < LEAST_EXAMPLES
    ]
    if small:
        more = f" (and {len(small) - 5} more classes)" if len(small) > 5 else ""
        raise ValueError(
            f"Some classes have too few different texts: {', '.join(small[:5])}{more}; expected "
            f"at least {LEAST_EXAMPLES} each, for training, validation and test. Add examples, "
            f"merge classes, leave such classes out (--drop-rare {LEAST_EXAMPLES}), or name "
            "another label column."
        )


def _oddities(data: LabelledTexts, names: Sequence[str]) -> list[str]:
    """Return sentences about labels and texts that are probably mistakes, but can be used."""
    notes = []
    twice = [n for n in names if sum(n.lower() == other.lower() for other in names) > 1]
    if twice:
        notes.append(f"Some classes differ only in case: {some(twice)}.")
    values = Counter(map(_number, names))
    same = [n for n in names if _number(n) is not None and values[_number(n)] > 1]
    if same:
        notes.append(f"Some classes are one number, spelled differently: {some(same)}.")
    missing = [n for n in names if n.lower() in _MISSING]
    if missing:
        notes.append(f"Some classes are named as if the label were missing: {some(missing)}.")
    groups = group_equal_texts(data.texts)
    copies = len(data) - len(groups)
    if copies:
        notes.append(f"Copies of other texts, kept on the same side of the split: {copies}.")
    torn = sum(len({data.labels[i] for i in group}) > 1 for group in groups)
    if torn:
        notes.append(f"Texts that appear with more than one class: {torn}.")
    return notes


def as_text(value, row: int, path: Path, column: str) -> str:
    """Return a field of the column of texts, "" where there is nothing.

    Raises:
        ValueError: it is a number or the like, or holds half of a character.
    """
    if value is None:
        return ""
    if type(value) is not str:
        kind = "number" if isinstance(value, Number) else type(value).__name__
        raise ValueError(
            f'The column "{column}" of {path.name} holds {_shown(value)} in row {row}, a {kind}; '
            "expected texts."
        )
    return _whole(value, row, path)


def _as_label(value, row: int, path: Path, column: str) -> str:
    """Return a label as it was written; JSON may also hold numbers, true and false, or nothing.

    Raises:
        ValueError: it is a list or an object, written out or as a text, or no number at all.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        value = _whole(value.strip(), row, path)
        several = _literal(value)
    else:
        several = value
    if isinstance(several, list | tuple | dict | set):
        raise ValueError(
            f'The column "{column}" of {path.name} holds {_shown(several)} in row {row}; expected '
            "one class. Texts with several classes cannot be learned here: make one column of "
            "yes and no for each class, and a model for each column."
        )
    if not isinstance(value, str):
        raise ValueError(
            f'The column "{column}" of {path.name} holds {_shown(value)} in row {row}; expected '
            "the name of a class, or null where there is none."
        )
    return str(value)


def _literal(name: str):
    """Return the list or dict that a label spells, such as "['toxic', 'bad']", or the label."""
    if name[:1] not in ("[", "{", "("):
        return name
    try:
        return ast.literal_eval(name)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return name  # a name such as "[deleted]"


def _shown(value) -> str:
    text = str(value) if isinstance(value, Number) else repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _whole(value: str, row: int, path: Path) -> str:
    """Return a text, or raise if it holds half of a character, which no file can be written with.

    Such halves (surrogates) come from JSON that was cut or escaped badly.
    """
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"Row {row} of {path.name} holds half of a character "
            f"({value[error.start : error.end]!r}); expected whole ones. Write the file again "
            "with whole emoji, or take that sign out."
        ) from error
    return value
