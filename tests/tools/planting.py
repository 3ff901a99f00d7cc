"""What `faults.py` needs to plant a fault in a copy of the project, and to see who notices."""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[2]
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


@contextmanager
def kept_whole(root: Path, faults: Iterable[Fault]) -> Iterator[None]:
    """Put the files of these faults back as they were, whatever the checkout holds by then."""
    files = {root / fault.file for fault in faults}
    before = {path: path.read_bytes() for path in files}
    try:
        yield
    finally:
        for path, text in before.items():
            path.write_bytes(text)


def read_faults(path: Path = LIST) -> list[Fault]:
    """Return the faults of the list, in its order."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["fault"]
    return [Fault(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def copy_project(folder: Path) -> Path:
    """Copy what the tests need; return the copy."""
    return Path(shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT)))


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
    start = time.monotonic()
    with kept_whole(root, [fault]):
        fault.plant(root)
        passed, failed = run_tests(root, paths)
    return not passed, failed, time.monotonic() - start


def verdict(caught: bool, by: str) -> str:
    """Return a fault's verdict in Markdown."""
    return f"caught by `{by.split('/')[-1]}`" if caught else "**NOT CAUGHT**"


def row(fault: Fault, verdict: str, seconds: float) -> str:
    """Return the fault's row of the table, in Markdown."""
    return f"| {fault.name} | {fault.file} | {verdict} | {seconds:.0f} s |"


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
