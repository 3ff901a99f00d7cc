"""Planted faults: is anything wrong that nobody notices?

`python tests/tools/faults.py` plants the faults of faults.toml, one at a time, in a copy of the
project, runs the tests that should notice, and prints a table. `--notebooks TABLE` runs in their
place the notebooks that reach the fault: hours, meant to be run once, and resumable. Exit status 1
if a fault is not caught.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import planting
from fault_notebooks import run_notebooks
from planting import (
    HEAD,
    Fault,
    check_baseline,
    copy_project,
    in_free_copies,
    read_faults,
    row,
    try_fault,
    verdict,
)


def targets(fault: Fault) -> list[str]:
    """Return the tests concerned, as paths."""
    return [
        name if name.endswith(".ipynb") else find_test(f"test_{name}.py") for name in fault.tests
    ]


def find_test(file: str) -> str:
    """Return the path of a test file, whichever folder of `tests/` it lies in."""
    found = list(planting.ROOT.glob(f"tests/*/{file}"))
    if len(found) != 1:
        raise ValueError(f"{len(found)} files in tests/ are called {file}; expected one.")
    return found[0].relative_to(planting.ROOT).as_posix()


def run_concerned(faults: list[Fault], copies: list[Path]) -> list[str]:
    """Run the tests concerned for each fault; return the rows."""
    check_baseline(copies[0], [path for fault in faults for path in targets(fault)])
    print(HEAD, end="", flush=True)

    def work(copy: Path, fault: Fault) -> str:
        caught, by, seconds = try_fault(copy, fault, targets(fault))
        print(found := row(fault, verdict(caught, by), seconds), flush=True)
        return found

    return in_free_copies(work, faults, copies)


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
