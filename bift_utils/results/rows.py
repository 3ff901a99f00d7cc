"""A CSV of finished runs: appended to row by row, so that a killed study goes on where it was."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path


class ResultRows:
    """What has been run already, and one appended row for each new run.

    A last row without its line end was cut by a kill: it is dropped when the file is opened, and
    run again.

    Args:
        path: the CSV; made, with its folder, if it is not there.
        columns: its columns.
        key: the columns that make a run this run and not another.

    Raises:
        ValueError: the file has other columns; nothing is overwritten.
    """

    def __init__(self, path: Path, columns: Sequence[str], key: Sequence[str]):
        self.path, self.columns, self.key_columns = path, tuple(columns), tuple(key)
        rows = self._read() if path.exists() else []
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(path)  # a kill leaves the old file or the new one
        self.done = {self.key(row) for row in rows}

    def _read(self) -> list[dict]:
        with self.path.open(newline="", encoding="utf-8") as file:
            text = file.read()
        reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
        found = tuple(reader.fieldnames or ())
        if found and found != self.columns:
            raise ValueError(
                f"The file {self.path} has other columns than this command writes: "
                f"{sorted(set(found) ^ set(self.columns))}. Give another file."
            )
        return list(reader)

    def key(self, row: dict) -> tuple[str, ...]:
        """Return what makes a run this run, as the file spells it."""
        return tuple(str(row.get(name, "")) for name in self.key_columns)

    def __contains__(self, row: dict) -> bool:
        return self.key(row) in self.done

    def append(self, row: dict) -> None:
        """Write one finished run."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerow(row)
        self.done.add(self.key(row))
