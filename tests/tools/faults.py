"""Planted faults: is anything wrong that nobody notices?

`python tests/tools/faults.py` plants the faults of faults.toml, one at a time, in a copy of the
project, runs the tests that should notice, and prints a table. Exit status 1 if a fault is not
caught, or no longer fits its file; one whose tests need an extra that is not installed is only
counted apart.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from planting import CAUGHT, NOT_RUN, Fault, check_baseline, copy_project, read_faults, try_fault


def run_concerned(faults: list[Fault], copies: list[Path]) -> list[str]:
    """Try each fault, as many at once as there are copies; print the table, return the verdicts."""
    check_baseline(copies[0], [path for fault in faults for path in fault.paths()])
    print("| fault | file | verdict | time |\n|---|---|---|---|", flush=True)
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def work(fault: Fault) -> str:
        copy, start = free.get(), time.monotonic()
        try:
            verdict = try_fault(copy, fault)
        finally:
            free.put(copy)
        seconds = time.monotonic() - start
        print(f"| {fault.name} | {fault.file} | {verdict} | {seconds:.0f} s |", flush=True)
        return verdict

    with ThreadPoolExecutor(len(copies)) as pool:
        return list(pool.map(work, faults))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", default="", help="faults whose name or file holds this text")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (default: 2)")
    options = parser.parse_args(arguments)
    faults = [f for f in read_faults() if options.only in f.name + f.file]
    if not faults:
        parser.error(f"no fault has “{options.only}” in its name or file")
    with tempfile.TemporaryDirectory() as scratch:
        copies = [copy_project(Path(scratch) / f"copy{i}") for i in range(options.jobs)]
        verdicts = run_concerned(faults, copies)
    caught = sum(verdict.startswith(CAUGHT) for verdict in verdicts)
    not_run = sum(verdict.startswith(NOT_RUN) for verdict in verdicts)
    print(f"\n{caught} of {len(faults)} planted faults caught", end="")
    print(f", {not_run} not run" if not_run else "")
    return 0 if caught + not_run == len(faults) else 1


if __name__ == "__main__":
    sys.exit(main())
