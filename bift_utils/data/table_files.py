"""Files of rows as people really write them: CSV, TSV and JSON lines, one row after the other."""

import codecs
import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

FORMATS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".jsonl": None, ".ndjson": None}
SEPARATORS = (",", ";", "\t", "|")  # what is tried where the end of the name does not fit
LONGEST = 60  # characters of a value that a message quotes
WIDEST = 2**31 - 1  # characters of a field; the library's own limit is 131,072


class Number(str):
    """A number of a JSON file, to the letter: 900719925474099267 would not survive as a float."""

    __repr__ = str.__str__


def some(values: Iterable[str], most: int = 5) -> str:
    """Quote the first few distinct values, for a message; of long ones only the beginning."""
    distinct = list(dict.fromkeys(values))
    short = [value if len(value) <= LONGEST else f"{value[:LONGEST]}…" for value in distinct[:most]]
    return ", ".join(map(repr, short)) + (", …" if len(distinct) > most else "")


class TableFile:
    """A file of rows, read as a stream; `notes` says afterwards what was odd about it.

    Args:
        path: ends in .csv, .tsv or .jsonl (one JSON object a line).
        wanted: names of the columns that must be there.
        encoding: how the bytes spell letters; None for UTF-8, or UTF-16 if the file starts so.
        separator: the character between two fields; None to find it by the first line, where
            Excel may also have written "sep=;".

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such table, or lacks a column (those it has are listed).

    Introduced in notebook 08.
    """

    def __init__(
        self,
        path: str | Path,
        wanted: Sequence[str],
        encoding: str | None = None,
        separator: str | None = None,
    ):
        self.path, self.notes = Path(path), list[str]()
        self.encoding = check_file(self.path, encoding)
        check_separator(separator)
        if len(set(wanted)) < len(wanted):
            raise ValueError(
                f'The column "{wanted[0]}" was named for both texts and labels; name two columns.'
            )
        self.json = FORMATS[self.path.suffix.lower()] is None
        self.names, self.separator, self.skipped = list[str](), "", 0
        if self.json:
            return
        first = self._first_lines()
        told = re.fullmatch(r'"?sep=(.)"?', first[0].strip("\r\n"))
        if told and len(first) > 1:
            self.skipped, self.separator = 1, separator or told[1]
        else:
            self.separator = separator or self._find_separator(first[0], wanted)
        self.names = [name.strip() for name in _alone(first[self.skipped], self.separator)]
        check_columns(self.path, self.names, wanted)

    def rows(self, looks_like_rows: Callable[[list[dict]], bool] | None = None) -> Iterator[dict]:
        """Yield each row as a dict from the name of a column to its field.

        Args:
            looks_like_rows: is given the lines of a field that spans several of them, each read as
                a row of its own, and says whether that is what they are: then a quotation mark
                was no more than that. None where nobody can tell.

        Raises:
            ValueError: the bytes are of another encoding, or the rows do not fit the names.
        """
        try:
            # only a line feed ends a line of JSON; the reader of CSV asks for "" and finds its own
            end = "\n" if self.json else ""
            with self.path.open(encoding=self.encoding, newline=end) as file:
                yield from self._json_rows(file) if self.json else self._rows(file, looks_like_rows)
        except UnicodeDecodeError as error:
            raise undecodable(self.path, self.encoding) from error

    def _first_lines(self) -> list[str]:
        """Return the first two lines that are not blank."""
        found: list[str] = []
        try:
            with self.path.open(encoding=self.encoding, newline="") as file:
                for line in file:
                    if line.strip():
                        found.append(line)
                    if len(found) == 2:
                        break
        except UnicodeDecodeError as error:
            raise undecodable(self.path, self.encoding) from error
        if not found:
            raise ValueError(f"The file {self.path.name} is empty; expected a table of texts.")
        return found

    def _find_separator(self, line: str, wanted: Sequence[str]) -> str:
        """Return the separator by which the first line holds the wanted names, or most names."""
        usual = FORMATS[self.path.suffix.lower()] or ","
        candidates = (usual, *(s for s in SEPARATORS if s != usual))
        for candidate in candidates:
            if set(wanted) <= {name.strip() for name in _alone(line, candidate)}:
                return candidate
        return max(candidates, key=lambda s: len(_alone(line, s)))

    def _rows(self, file, looks_like_rows) -> Iterator[dict]:
        csv.field_size_limit(WIDEST)
        lines, plain, number, header = _Lines(file), list[int](), 0, True
        reader = csv.reader(lines, delimiter=self.separator, strict=True)
        for _ in range(self.skipped):
            number += bool(next(lines))
        while True:
            lines.taken = []
            try:
                fields = next(reader)
            except StopIteration:
                break
            except csv.Error:  # text behind a closing mark, or none before the end of the file
                reader = csv.reader(lines, delimiter=self.separator, strict=True)
                fields = self._first_alone(lines, number + 1, plain)
            else:
                if self._is_rows(lines.taken, looks_like_rows):
                    fields = self._first_alone(lines, number + 1, plain)
            number += len(lines.taken)
            if header and fields:
                header = False
            elif fields:
                yield self._named(fields, number - len(lines.taken) + 1)
        self.notes = [] if not plain else [
            "Quotation marks that enclose no field are read as plain characters: "
            f"{len(plain)} (line {', '.join(map(str, plain[:5]))}{', …' * (len(plain) > 5)})."
        ]  # fmt: skip

    def _first_alone(self, lines: "_Lines", number: int, plain: list[int]) -> list[str]:
        """Read the first of the lines that were taken alone; the others are read once more."""
        fields = _alone(lines.taken[0], self.separator)
        if len(fields) != len(self.names):
            raise self._torn(fields, number, "a quotation mark that encloses no field, and ")
        lines.give_back(lines.taken[1:])
        del lines.taken[1:]
        plain.append(number)
        return fields

    def _is_rows(self, lines: list[str], looks_like_rows) -> bool:
        """Say whether the lines of one field are rows of their own, swallowed by a stray mark."""
        if len(lines) == 1 or looks_like_rows is None:
            return False
        alone = [_alone(line, self.separator) for line in lines]
        if any(len(fields) != len(self.names) for fields in alone):
            return False
        return looks_like_rows([dict(zip(self.names, f, strict=True)) for f in alone])

    def _named(self, fields: list[str], number: int) -> dict[str, str]:
        if len(fields) > len(self.names):
            raise self._torn(fields, number)
        fields += [""] * (len(self.names) - len(fields))  # rows that end early
        return dict(zip(self.names, fields, strict=True))

    def _torn(self, fields: list[str], number: int, also: str = "") -> ValueError:
        return ValueError(
            f"The file {self.path.name} is not a whole table: line {number} has {also}"
            f"{len(fields)} fields, and the first line has names for {len(self.names)}. Put texts "
            "that hold the separator, a quotation mark or a line break in double quotes, and "
            "double quotation marks inside them."
        )

    def _json_rows(self, file) -> Iterator[dict]:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, parse_int=Number, parse_float=Number)
            except ValueError as error:
                raise ValueError(
                    f"Line {number} of {self.path.name} is not JSON ({error}); expected one object "
                    "a line."
                ) from error
            if not isinstance(row, dict):
                raise ValueError(
                    f"Line {number} of {self.path.name} holds a {type(row).__name__}; expected an "
                    'object such as {"text": "…", "label": "…"}.'
                )
            yield row


def read_columns(
    path: str | Path,
    wanted: Sequence[str],
    encoding: str | None = None,
    separator: str | None = None,
) -> tuple[dict[str, list[Any]], list[str]]:
    """Return the wanted columns of a file, as lists of the same length, and notes about it.

    A field over several lines is read as rows where each of its lines would be one, with a value
    in the last of the `wanted` columns that other rows have, too: then a quotation mark was left
    open by mistake.

    Arguments and errors as those of `TableFile`. Introduced in notebook 08.
    """
    table = TableFile(path, wanted, encoding, separator)
    label, doubtful = wanted[-1], list[list[dict]]()

    def remember(lines: list[dict]) -> bool:
        doubtful.append(lines)
        return False

    rows = list(table.rows(remember))
    if doubtful:
        known = {row[label] for row in rows if row[label].strip()}

        def most_have_known_labels(lines: list[dict]) -> bool:
            return sum(line[label] in known for line in lines) >= 0.8 * len(lines)

        alone = len(wanted) == 1  # there are no labels to know
        rows = list(table.rows(many_lines_are_rows if alone else most_have_known_labels))
    if table.json:
        names = list(dict.fromkeys(name for row in rows for name in row))
        check_columns(table.path, names, wanted)
    return {name: [row.get(name) for row in rows] for name in wanted}, table.notes


def many_lines_are_rows(lines: list[dict]) -> bool:
    """Say whether a field has so many lines, each of them a whole row, that they must be rows."""
    return len(lines) >= 5 and len(lines[0]) > 1


class _Lines:
    """Lines of a file, with those of the row that is being read; they can be given back."""

    def __init__(self, file: Iterable[str]):
        self.file, self.taken, self.back = iter(file), list[str](), list[str]()

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self.back.pop() if self.back else next(self.file)
        self.taken.append(line)
        return line

    def give_back(self, lines: list[str]) -> None:
        self.back.extend(reversed(lines))


def _alone(line: str, separator: str) -> list[str]:
    """Return the fields of one line by itself; quotation marks that fit badly are characters."""
    try:
        return next(csv.reader([line], delimiter=separator, strict=True))
    except csv.Error:
        return line.rstrip("\r\n").split(separator)


def check_columns(path: Path, names: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise `ValueError` unless each wanted column is there, once."""
    for name in wanted:
        if names.count(name) > 1:
            raise ValueError(
                f'The file {path.name} has {names.count(name)} columns "{name}"; expected one. '
                "Rename the others."
            )
        if name not in names:
            raise ValueError(
                f'The file {path.name} has no column "{name}"; it has {some(names, 20)}. Name one '
                "of those as text or label (--text, --label; capitals count); if these look like "
                "data, write a first line with names."
            )


def check_separator(separator: str | None) -> None:
    """Raise `ValueError` unless it is None or a single character that can part two fields."""
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        raise ValueError(
            f"The separator was given as {separator!r}; expected a single character such as , or "
            '; that is no quotation mark ("tab" for a tab).'
        )


def check_file(path: Path, encoding: str | None) -> str:
    """Return the encoding of a file that can be opened as a table, or say why it cannot.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is of another kind, or Python does not know the encoding.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(
            f"The file {path.name} ends in {path.suffix!r}; expected .csv, .tsv or .jsonl. "
            "Save the table as CSV and name it so."
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}; expected a table of texts.")
    if encoding is None:
        with path.open("rb") as file:
            wide = file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        return "utf-16" if wide else "utf-8-sig"  # -sig drops a byte-order mark
    try:
        return codecs.lookup(encoding).name
    except LookupError as error:
        raise ValueError(
            f"The encoding was given as {encoding!r}, which Python does not know; "
            'expected a name such as "utf-8" or "cp1252".'
        ) from error


def undecodable(path: Path, encoding: str) -> ValueError:
    """Return the error for bytes that mean nothing in an encoding, with the line they stand in."""
    raw, shown = path.read_bytes(), encoding.removesuffix("-sig").upper()
    try:
        raw.decode(encoding)
        start = len(raw)
    except UnicodeDecodeError as error:
        start = min(error.start, len(raw) - 1)
    line = raw[:start].count(b"\n") + 1
    return ValueError(
        f"The file {path.name} is not in {shown}: line {line} holds the byte 0x{raw[start]:02x}, "
        "which has no meaning there. Save it as UTF-8, or give its encoding "
        '("cp1252" for most tables from Windows).'
    )
