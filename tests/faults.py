"""Planted faults: is anything wrong that nobody notices?

`python tests/faults.py` plants the faults of faults.toml, one at a time, in a copy of the project,
runs the tests that should notice, and prints a table. `--notebooks TABLE` runs in their place the
notebooks that reach the fault: hours, meant to be run once, and resumable. Exit status 1 if a
fault is not caught.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from fault_lines import Lines, lines_run, statement

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).parent / "faults.toml"
LEFT_OUT = (".git", ".venv", "__pycache__", ".ipynb_checkpoints", "*.egg-info", "build", "dist")
HEAD = "| fault | file | verdict | time |\n|---|---|---|---|\n"
TOO_LONG = 900  # seconds for each file; what hangs is caught too


@dataclass(frozen=True)
class Fault:
    """What goes wrong, in which file, the right text and the wrong one, and who should notice."""

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]

    def plant(self, root: Path) -> None:
        """Write the wrong text into a copy of the project.

        Raises:
            ValueError: the right text does not stand exactly once in the file.
        """
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.right) != 1:
            raise ValueError(
                f"The fault “{self.name}” replaces text that stands {text.count(self.right)} times "
                f"in {self.file}; expected once. Mend its entry in faults.toml."
            )
        path.write_text(text.replace(self.right, self.wrong), encoding="utf-8")

    def mend(self, root: Path) -> None:
        """Put the right file back."""
        shutil.copy(ROOT / self.file, root / self.file)


def read_faults(path: Path = LIST) -> list[Fault]:
    """Return the faults of the list, in its order."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["fault"]
    return [Fault(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def copy_project(folder: Path) -> Path:
    """Copy what the tests need; return the copy."""
    return Path(shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT)))


def targets(fault: Fault) -> list[str]:
    """Return the tests concerned, as paths."""
    return [name if name.endswith(".ipynb") else f"tests/test_{name}.py" for name in fault.tests]


def notebooks_that_run(fault: Fault, ran: dict[str, Lines]) -> list[str]:
    """Return the notebooks that run the statement which the fault changes.

    The one that introduces the function, by its docstring, comes first: it looks closest.
    """
    text = (ROOT / fault.file).read_text(encoding="utf-8")
    start = text.index(fault.right)
    lines = statement(text, start, start + len(fault.right))
    found = [path for path, files in ran.items() if files.get(fault.file, set()) & set(lines)]
    introduced = re.findall(r"Introduced in\s+notebook\s+(\d\d)", text[:start])[-1:]
    return sorted(found, key=lambda path: Path(path).name[:2] not in introduced)


def run_tests(root: Path, paths: list[str]) -> tuple[bool, str]:
    """Run pytest on a copy; return whether all passed, and the first thing that failed."""
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # a mended file must not meet a stale cache
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", *paths]
    limit = TOO_LONG * len(paths)
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return False, f"nothing within {limit} s"
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", done.stdout, flags=re.M)
    if done.returncode not in (0, 1, 2) or (done.returncode == 2 and not failed):  # interrupted
        raise RuntimeError(f"pytest could not run {paths}:\n{done.stdout[-2000:]}{done.stderr}")
    return done.returncode == 0, failed[1] if failed else ""


def check_baseline(root: Path, paths: Iterable[str]) -> None:
    """Stop unless everything passes without a fault: else nothing would be shown by a failure."""
    passed, failed = run_tests(root, sorted(set(paths)))
    if not passed:
        sys.exit(f"Without any fault {failed} fails; mend that first.")


def try_fault(root: Path, fault: Fault, paths: list[str]) -> tuple[bool, str, float]:
    """Plant one fault, run the tests, mend it; return (caught, by what, seconds)."""
    if not paths:
        return False, "", 0.0
    start = time.monotonic()
    fault.plant(root)
    try:
        passed, failed = run_tests(root, paths)
    finally:
        fault.mend(root)
    return not passed, failed, time.monotonic() - start


def line(fault: Fault, paths: list[str], caught: bool, by: str, seconds: float) -> str:
    """Return the fault's row of the table, in Markdown."""
    verdict = f"caught by `{by.split('/')[-1]}`" if caught else "**NOT CAUGHT**"
    if not paths:
        verdict = "no notebook runs it"
    return f"| {fault.name} | {fault.file} | {verdict} | {seconds:.0f} s |"


def fingerprint(root: Path) -> str:
    """Return a few digits that change with any file of the package or any notebook."""
    digest = hashlib.sha256()
    for path in sorted([*root.glob("bift_utils/**/*.py"), *root.glob("notebooks/*.ipynb")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def in_free_copies(work: Callable, items: list, copies: list[Path]) -> list:
    """Return work(copy, item) of each item, as many at once as there are copies."""
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def in_one(item):
        copy = free.get()
        try:
            return work(copy, item)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(len(copies)) as pool:
        return list(pool.map(in_one, items))


def survey(copies: list[Path], state: Path) -> dict[str, Lines]:
    """Return which lines each notebook runs, quick notebooks first; kept in a file for next time.

    All notebooks must pass before anything is planted.
    """

    def look(copy: Path, path: str) -> tuple[float, str, Lines]:
        check_baseline(copy, [path])
        start = time.monotonic()
        ran = {file: sorted(lines) for file, lines in lines_run(copy, copy / path).items()}
        return time.monotonic() - start, path, ran

    kept = state.with_suffix(f".{fingerprint(copies[0])}.json")  # other lines after an edit
    if not kept.exists():
        paths = [f"notebooks/{path.name}" for path in sorted(copies[0].glob("notebooks/*.ipynb"))]
        seen = sorted(in_free_copies(look, paths, copies), key=lambda one: one[0])
        kept.write_text(json.dumps({path: ran for _, path, ran in seen}), encoding="utf-8")
    return {
        path: {file: set(lines) for file, lines in files.items()}
        for path, files in json.loads(kept.read_text(encoding="utf-8")).items()
    }


def try_all(faults: list[Fault], paths: dict[str, list[str]], copies: list[Path], say) -> None:
    """Try each fault in a copy that is free, and say its row of the table."""

    def work(copy: Path, fault: Fault) -> None:
        outcome = try_fault(copy, fault, paths[fault.name])
        say(line(fault, paths[fault.name], *outcome))

    in_free_copies(work, faults, copies)


def run_notebooks(faults: list[Fault], copies: list[Path], table: Path) -> list[str]:
    """Append the rows that the table lacks, and return all of them."""
    faults = [fault for fault in faults if fault.file.startswith("bift_utils/")]
    ran = survey(copies, table)
    paths = {fault.name: notebooks_that_run(fault, ran) for fault in faults}
    if not table.exists():
        table.write_text(HEAD, encoding="utf-8")
    done = table.read_text(encoding="utf-8")
    left = [fault for fault in faults if f"| {fault.name} |" not in done]

    def say(row: str) -> None:
        with table.open("a", encoding="utf-8") as file:
            file.write(f"{row}\n")
        print(row, flush=True)

    try_all(left, paths, copies, say)
    return table.read_text(encoding="utf-8").removeprefix(HEAD).splitlines()


def run_concerned(faults: list[Fault], copies: list[Path]) -> list[str]:
    """Run the tests concerned for each fault; return the rows."""
    paths = {fault.name: targets(fault) for fault in faults}
    check_baseline(copies[0], [path for these in paths.values() for path in these])
    print(HEAD, end="", flush=True)
    rows: list[str] = []
    try_all(faults, paths, copies, lambda row: (rows.append(row), print(row, flush=True)))
    return rows


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--notebooks", metavar="TABLE", type=Path,
        help="run only notebooks; rows are added to this file, and those it has are not run again",
    )  # fmt: skip
    parser.add_argument("--only", default="", help="faults whose name or file holds this text")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (default: 2)")
    options = parser.parse_args(arguments)
    faults = [f for f in read_faults() if options.only in f.name + f.file]
    with tempfile.TemporaryDirectory() as scratch:
        copies = [copy_project(Path(scratch) / f"copy{i}") for i in range(options.jobs)]
        if options.notebooks:
            rows = run_notebooks(faults, copies, options.notebooks)
        else:
            rows = run_concerned(faults, copies)
    caught = sum("| caught by" in row for row in rows)
    print(f"\n{caught} of {len(rows)} planted faults caught")
    return 0 if caught == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
