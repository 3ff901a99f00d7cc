"""Planted faults: is anything wrong that nobody notices?

`python tests/faults.py` plants the faults of faults.toml, one at a time, in a copy of the project,
runs the tests that should notice, and prints a table. `--notebooks` runs the notebooks alone in
their place: slow, and meant to be run once. Exit status 1 if a fault is not caught.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).parent / "faults.toml"
LEFT_OUT = (".git", ".venv", "__pycache__", ".ipynb_checkpoints", "*.egg-info", "build", "dist")
TOO_LONG = 900  # seconds; what hangs is caught too


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


def targets(fault: Fault, notebooks: bool) -> list[str]:
    """Return what pytest shall run: the tests concerned, or all notebooks."""
    if notebooks:
        return sorted(f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb"))
    return [name if name.endswith(".ipynb") else f"tests/test_{name}.py" for name in fault.tests]


def run_tests(root: Path, paths: list[str]) -> tuple[bool, str]:
    """Run pytest on a copy; return whether all passed, and the first thing that failed."""
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # a mended file must not meet a stale cache
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", *paths]
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=TOO_LONG
        )
    except subprocess.TimeoutExpired:
        return False, f"nothing within {TOO_LONG} s"
    if done.returncode not in (0, 1, 2):
        raise RuntimeError(f"pytest could not run {paths}:\n{done.stdout[-2000:]}{done.stderr}")
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, flags=re.M)
    return done.returncode == 0, failed[1] if failed else ""


def check_baseline(root: Path, faults: list[Fault], notebooks: bool) -> None:
    """Stop unless everything passes without a fault: else nothing would be shown by a failure."""
    wanted = sorted({path for fault in faults for path in targets(fault, notebooks)})
    passed, failed = run_tests(root, wanted)
    if not passed:
        sys.exit(f"Without any fault {failed} fails; mend that first.")


def try_fault(root: Path, fault: Fault, notebooks: bool) -> tuple[bool, str, float]:
    """Plant one fault, run the tests, mend it; return (caught, by what, seconds)."""
    start = time.monotonic()
    fault.plant(root)
    try:
        passed, failed = run_tests(root, targets(fault, notebooks))
    finally:
        fault.mend(root)
    return not passed, failed, time.monotonic() - start


def line(fault: Fault, caught: bool, by: str, seconds: float) -> str:
    """Return the fault's row of the table, in Markdown."""
    verdict = f"caught by `{by.split('/')[-1]}`" if caught else "**NOT CAUGHT**"
    return f"| {fault.name} | {fault.file} | {verdict} | {seconds:.0f} s |"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--notebooks", action="store_true", help="run the notebooks alone")
    parser.add_argument("--only", default="", help="faults whose name or file holds this text")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (default: 2)")
    options = parser.parse_args(arguments)
    faults = [f for f in read_faults() if options.only in f.name + f.file]
    if options.notebooks:
        faults = [fault for fault in faults if fault.file.startswith("bift_utils/")]
    with tempfile.TemporaryDirectory() as scratch:
        copies: SimpleQueue[Path] = SimpleQueue()
        for i in range(options.jobs):
            copies.put(copy_project(Path(scratch) / f"copy{i}"))
        first = copies.get()
        check_baseline(first, faults, options.notebooks)
        copies.put(first)
        print("| fault | file | verdict | time |\n|---|---|---|---|", flush=True)

        def work(fault: Fault) -> bool:
            root = copies.get()
            try:
                caught, by, seconds = try_fault(root, fault, options.notebooks)
            finally:
                copies.put(root)
            print(line(fault, caught, by, seconds), flush=True)
            return caught

        with ThreadPoolExecutor(options.jobs) as pool:
            caught = sum(pool.map(work, faults))
    print(f"\n{caught} of {len(faults)} planted faults caught")
    return 0 if caught == len(faults) else 1


if __name__ == "__main__":
    sys.exit(main())
