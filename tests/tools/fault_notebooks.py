"""Which planted faults do the notebooks alone notice? A part of `faults.py`.

Each fault is first tried in the notebook that introduces the faulty function. What that one does
not notice is planted in the others together with all its like: a notebook that passes notices
none of them, and one that fails is run again with half of them. (Should one fault hide another,
the table says NOT CAUGHT too often, never too seldom.)
"""

import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import planting
from fault_lines import Lines, lines_run, statement
from planting import (
    HEAD,
    Fault,
    check_baseline,
    in_free_copies,
    kept_whole,
    row,
    run_tests,
    verdict,
)

# nbval does not compare a figure or a widget, and unanswered exercises run no check: all together
SELDOM = "bift_utils/labs/"


def notebooks_that_run(fault: Fault, ran: dict[str, Lines]) -> list[str]:
    """Return the notebooks that run the statement which the fault changes.

    The one that introduces the function, by its docstring, comes first: it looks closest.
    """
    text = (planting.ROOT / fault.file).read_text(encoding="utf-8")
    start = text.index(fault.right)
    lines = statement(text, start, start + len(fault.right))
    found = [path for path, files in ran.items() if files.get(fault.file, set()) & set(lines)]
    introduced = re.findall(r"Introduced in\s+notebook\s+(\d\db?)", text[:start])[-1:]
    return sorted(found, key=lambda path: Path(path).name.split("_")[0] not in introduced)


def fingerprint(root: Path) -> str:
    """Return a few digits that change with any file of the package or any notebook."""
    digest = hashlib.sha256()
    for path in sorted([*root.glob("bift_utils/**/*.py"), *root.glob("notebooks/*.ipynb")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def lines_of_all(copies: list[Path], kept: Path) -> dict[str, Lines]:
    """Return which lines each notebook runs, quick notebooks first; kept in a file for next time.

    All notebooks must pass before anything is planted.
    """

    def look(copy: Path, path: str) -> tuple[float, str, Lines]:
        check_baseline(copy, [path])
        start = time.monotonic()
        ran = {file: sorted(lines) for file, lines in lines_run(copy, copy / path).items()}
        return time.monotonic() - start, path, ran

    if not kept.exists():
        paths = [f"notebooks/{path.name}" for path in sorted(copies[0].glob("notebooks/*.ipynb"))]
        seen = sorted(in_free_copies(look, paths, copies), key=lambda one: one[0])
        kept.write_text(json.dumps({path: ran for _, path, ran in seen}), encoding="utf-8")
    return {
        path: {file: set(lines) for file, lines in files.items()}
        for path, files in json.loads(kept.read_text(encoding="utf-8")).items()
    }


Tell = Callable[[list[Fault], str, float], None]  # faults, the cell that failed or "", seconds


def look_together(copy: Path, faults: list[Fault], path: str, tell: Tell) -> None:
    """Find out which of the faults a notebook notices; tell it of each as soon as it is known."""
    if not faults:
        return
    together, later = [], []
    start = time.monotonic()
    with kept_whole(copy, faults):
        for fault in faults:
            try:
                fault.plant(copy)
                together.append(fault)
            except ValueError:
                if not together:
                    raise
                later.append(fault)  # another one has changed the same text
        passed, by = run_tests(copy, [path])
    if passed or len(together) == 1:
        tell(together, by, time.monotonic() - start)
    else:
        half = len(together) // 2
        look_together(copy, together[:half], path, tell)
        look_together(copy, together[half:], path, tell)
    look_together(copy, later, path, tell)


class Progress:
    """The table, row by row, and which notebooks have let a fault pass; both kept in files."""

    def __init__(self, table: Path, passed: Path):
        self.table, self.passed, self.lock = table, passed, Lock()
        if not table.exists():
            table.write_text(HEAD, encoding="utf-8")
        if not passed.exists():
            passed.write_text("{}", encoding="utf-8")
        self.let_pass: dict[str, list[str]] = json.loads(passed.read_text(encoding="utf-8"))

    def rows(self) -> list[str]:
        return self.table.read_text(encoding="utf-8").removeprefix(HEAD).splitlines()

    def unsettled(self, faults: list[Fault]) -> list[Fault]:
        """Return the faults that have no row yet."""
        done = "\n".join(self.rows())
        return [fault for fault in faults if f"| {fault.name} |" not in done]

    def settle(self, fault: Fault, words: str, seconds: float) -> None:
        """Add a row, unless another notebook was quicker."""
        if self.unsettled([fault]):
            print(row(fault, words, seconds), flush=True)
            with self.table.open("a", encoding="utf-8") as file:
                file.write(row(fault, words, seconds) + "\n")

    def keep(self, path: str) -> Tell:
        """Return a function that keeps what this notebook has shown."""

        def tell(faults: list[Fault], by: str, seconds: float) -> None:
            with self.lock:
                for fault in faults:
                    if by:
                        self.settle(fault, verdict(True, by), seconds)
                    else:
                        self.let_pass.setdefault(fault.name, []).append(path)
                self.passed.write_text(json.dumps(self.let_pass), encoding="utf-8")

        return tell


def run_notebooks(faults: list[Fault], copies: list[Path], table: Path) -> list[str]:
    """Append the rows that the table lacks, and return all of them."""
    faults = [fault for fault in faults if fault.file.startswith("bift_utils/")]
    digits = fingerprint(copies[0])  # other lines after an edit
    ran = lines_of_all(copies, table.with_suffix(f".{digits}.json"))
    progress = Progress(table, table.with_suffix(f".{digits}.passed.json"))
    paths = {fault.name: notebooks_that_run(fault, ran) for fault in faults}

    def try_one(copy: Path, fault: Fault) -> None:
        first = paths[fault.name][0]
        look_together(copy, [fault], first, progress.keep(first))

    def try_together(copy: Path, path: str) -> None:
        group = [
            fault
            for fault in progress.unsettled(faults)
            if path in paths[fault.name] and path not in progress.let_pass.get(fault.name, [])
        ]
        look_together(copy, group, path, progress.keep(path))

    for fault in progress.unsettled(faults):
        if not paths[fault.name]:
            progress.settle(fault, "no notebook runs it", 0.0)
    fresh = [
        fault
        for fault in progress.unsettled(faults)
        if fault.name not in progress.let_pass and not fault.file.startswith(SELDOM)
    ]
    in_free_copies(try_one, fresh, copies)
    in_free_copies(try_together, list(ran), copies)
    for fault in progress.unsettled(faults):
        progress.settle(fault, verdict(False, ""), 0.0)
    return progress.rows()
