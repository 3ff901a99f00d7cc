"""Reading CSV, TSV and JSON-lines files into columns, or saying what is wrong with them."""

import codecs
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pandas

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
