"""Your own table: CSV, TSV or JSON lines in, texts with classes out."""

import codecs
import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas

from bift_utils.data.texts import LabelledTexts, clean_text, group_equal_texts

FORMATS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".jsonl": None, ".ndjson": None}


def some(values: Sequence[str], most: int = 5) -> str:
    """Quote the first few distinct values, for a message."""
    distinct = list(dict.fromkeys(values))
    return ", ".join(map(repr, distinct[:most])) + (", …" if len(distinct) > most else "")


def read_columns(path: Path, wanted: list[str], encoding: str | None) -> dict[str, list]:
    """Return the wanted columns of a CSV, TSV or JSON-lines file, as lists of the same length.

    Args:
        path: ends in .csv, .tsv or .jsonl (one JSON object a line).
        wanted: names of columns.
        encoding: how the bytes spell letters; None for UTF-8, or UTF-16 if the file starts so.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read as a table, or has no such column (those it has are listed).

    Introduced in notebook 08.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(
            f"The file {path.name} ends in {path.suffix!r}; expected .csv, .tsv or .jsonl. "
            "Save the table as CSV and name it so."
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; expected a table of texts.")
    content = _decode(path, encoding)
    if not content.strip():
        raise ValueError(f"The file {path.name} is empty; expected a table of texts.")
    separator = FORMATS[path.suffix.lower()]
    first = content.partition("\n")[0]
    if separator == "," and "," not in first and ";" in first:
        separator = ";"  # what spreadsheets write where the comma is the decimal point
    table = _parse_json(content, path) if separator is None else _parse(content, path, separator)
    missing = [name for name in wanted if name not in table]
    if missing:
        raise ValueError(
            f'The file {path.name} has no column "{missing[0]}"; it has {some(list(table), 20)}. '
            "Name one of those; if these look like data, write a first line with names."
        )
    if len(set(wanted)) < len(wanted):
        raise ValueError(
            f'The column "{wanted[0]}" was named for both texts and labels; name two columns.'
        )
    return {name: table[name] for name in wanted}


def _decode(path: Path, encoding: str | None) -> str:
    raw = path.read_bytes()
    if encoding is None:
        starts = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        encoding = "utf-16" if starts else "utf-8-sig"  # -sig drops a byte-order mark
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(
            f"The file {path.name} is not in {encoding.removesuffix('-sig').upper()}: line {line} "
            f"holds the byte 0x{raw[error.start]:02x}, which has no meaning there. Save it as "
            'UTF-8, or give its encoding ("cp1252" for most tables from Windows).'
        ) from error
    except LookupError as error:
        raise ValueError(
            f"The encoding was given as {encoding!r}, which Python does not know; "
            'expected a name such as "utf-8" or "cp1252".'
        ) from error


def _parse(content: str, path: Path, separator: str) -> dict[str, list]:
    """Parse a table with quoted fields; a TSV whose quotes are plain characters is seen as such."""
    try:
        table = _parse_quoted(content, path, separator, csv.QUOTE_MINIMAL)
        swallowed = separator == "\t" and any("\t" in v for c in table.values() for v in c)
    except ValueError:
        if separator != "\t":
            raise
        swallowed = True
    return _parse_quoted(content, path, separator, csv.QUOTE_NONE) if swallowed else table


def _parse_quoted(content: str, path: Path, separator: str, quoting: int) -> dict[str, list]:
    try:
        table = pandas.read_csv(
            io.StringIO(content), sep=separator, dtype=str, keep_default_na=False, quoting=quoting
        )
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError) as error:
        reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise ValueError(
            f"The file {path.name} is not a whole table ({reason}). Put texts that hold the "
            "separator, a quotation mark or a line break in double quotes, and double quotation "
            "marks inside them."
        ) from error
    if not isinstance(table.index, pandas.RangeIndex):  # pandas takes surplus fields for an index
        raise ValueError(
            f"The rows of {path.name} have more fields than the first line has names "
            f"({len(table.columns)}). Put texts that hold the separator in double quotes."
        )
    table = table.fillna("")  # rows that end early
    return {str(name).strip(): table[name].tolist() for name in table.columns}


def _parse_json(content: str, path: Path) -> dict[str, list]:
    rows = []
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(
                f"Line {number} of {path.name} is not JSON ({error}); expected one object a line."
            ) from error
        if not isinstance(row, dict):
            raise ValueError(
                f"Line {number} of {path.name} holds a {type(row).__name__}; expected an object "
                'such as {"text": "…", "label": "…"}.'
            )
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


LEAST_EXAMPLES = 3  # distinct texts a class: one each for training, validation and test
_NUMBER = re.compile(r"[-+]?\d+([.,]\d*)?")


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
    path: str | Path, text: str = "text", label: str | None = "label", encoding: str | None = None
) -> TextTable:
    """Read texts and their labels from a file; labels may be names or whole numbers.

    Rows without a text are left out, rows without a label become `unlabelled`. Names of classes
    are sorted, whole numbers by value ("1.0" counts as "1"). White space is tidied as everywhere
    in this series.

    Args:
        path: a file that ends in .csv, .tsv or .jsonl (one JSON object a line).
        text: name of the column with the texts.
        label: name of the column with the labels; None when there is none.
        encoding: how the bytes spell letters; None for UTF-8, or UTF-16 if the file starts so.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read as a table, lacks a column, has no texts, or its labels
            cannot be learned from: one class only, a class with fewer than three distinct texts,
            or numbers that are not whole.

    Introduced in notebook 08.
    """
    path = Path(path)
    columns = read_columns(path, [text] if label is None else [text, label], encoding)
    texts = [clean_text(_as_text(value, path, text)) for value in columns[text]]
    if not texts:
        raise ValueError(f"The file {path.name} has no rows; expected at least one text.")
    if not any(texts):
        raise ValueError(
            f'The column "{text}" of {path.name} is empty in all {len(texts)} rows; '
            "expected some words. Name the column that holds the texts."
        )
    labels = [""] * len(texts) if label is None else [_as_label(v) for v in columns[label]]
    if label is not None and not any(labels):
        raise ValueError(
            f'The column "{label}" of {path.name} is empty in all {len(labels)} rows; expected '
            "a class for some of them. Name the column that holds the classes."
        )
    kept = [(t, y) for t, y in zip(texts, labels, strict=True) if t]
    left_out = len(texts) - len(kept)
    notes = [f"Rows without a text, left out: {left_out}."] if left_out else []
    unlabelled = [t for t, y in kept if not y]
    named = [(t, y) for t, y in kept if y]
    if label is None:
        return TextTable(LabelledTexts([], []), unlabelled, [], notes)
    names, ids = name_classes([y for _, y in named], f'column "{label}" of {path.name}')
    labelled = LabelledTexts([t for t, _ in named], ids)
    check_class_sizes(labelled, names)
    return TextTable(labelled, unlabelled, names, notes + _oddities(labelled, names))


def name_classes(labels: Sequence[str], where: str = "labels") -> tuple[list[str], list[int]]:
    """Give each class an id: return the sorted names and the id of every label.

    Labels that are all whole numbers are sorted by value; "1" and "1.0" are one class.

    Args:
        labels: N names, none of them empty.
        where: for the message.

    Raises:
        ValueError: all are numbers and some are not whole, or there is only one class.

    Introduced in notebook 08.
    """
    if all(_NUMBER.fullmatch(label) for label in labels):
        values = [float(label.replace(",", ".")) for label in labels]
        broken = [y for y, value in zip(labels, values, strict=True) if value != int(value)]
        if broken:
            raise ValueError(
                f"The {where} holds numbers that are not whole ({some(broken)}); expected names "
                "of classes or whole numbers. A classifier cannot predict an amount: sort the "
                "numbers into a few classes first."
            )
        labels = [str(int(value)) for value in values]
        names = sorted(set(labels), key=int)
    else:
        names = sorted(set(labels))
    if len(names) < 2:
        raise ValueError(
            f"The {where} holds {some(names) or 'no class'} and nothing else; expected at least "
            "two classes to tell apart."
        )
    places = {name: i for i, name in enumerate(names)}
    return names, [places[label] for label in labels]


def check_class_sizes(data: LabelledTexts, names: Sequence[str]) -> None:
    """Raise `ValueError` if a class has too few distinct texts to be split into three parts.

    Texts that differ only in case or spacing count once, with the class of the first.
    """
    counts = [0] * len(names)
    for group in group_equal_texts(data.texts):
        counts[data.labels[group[0]]] += 1
    small = [
        f"{name!r} has {count}"
        for name, count in zip(names, counts, strict=True)
        if count < LEAST_EXAMPLES
    ]
    if small:
        more = f" (and {len(small) - 5} more classes)" if len(small) > 5 else ""
        raise ValueError(
            f"Some classes have too few different texts: {', '.join(small[:5])}{more}; expected "
            f"at least {LEAST_EXAMPLES} each, for training, validation and test. Add examples, "
            "merge classes, or name another label column."
        )


def _oddities(data: LabelledTexts, names: Sequence[str]) -> list[str]:
    """Return sentences about labels and texts that are probably mistakes, but can be used."""
    notes = []
    twice = [n for n in names if sum(n.lower() == other.lower() for other in names) > 1]
    if twice:
        notes.append(f"Some classes differ only in case: {some(twice)}.")
    groups = group_equal_texts(data.texts)
    copies = len(data) - len(groups)
    if copies:
        notes.append(f"Copies of other texts, kept on the same side of the split: {copies}.")
    torn = sum(len({data.labels[i] for i in group}) > 1 for group in groups)
    if torn:
        notes.append(f"Texts that appear with more than one class: {torn}.")
    return notes


def _as_text(value, path: Path, column: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(
            f'The column "{column}" of {path.name} holds {value!r:.40}, a '
            f"{type(value).__name__}; expected texts."
        )
    return value


def _as_label(value) -> str:
    """Return a label as text; JSON may also hold numbers, true and false, or nothing."""
    return "" if value is None else str(value).strip()
