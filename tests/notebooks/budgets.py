"""What each notebook takes under nbval: seconds, peak memory, and the share of compared cells.

A pytest plugin (the top folder's `conftest.py` registers it). It prints a table after the run, and
with `pytest --measured` writes the same numbers into the table of CONTRIBUTING.md. What is past its
budget is marked there and never fails a test: a busy machine is no fault of a notebook.
"""

import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat

SECONDS, LONGER = 75, {"07": 90, "09": 90}  # of one notebook, with nothing else running
GIGABYTES = 2.5
ALL_NOTEBOOKS, ALL_TESTS = 600, 1080  # seconds: all notebooks together, and pytest as a whole
PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
SANITIZE = Path(__file__).parent / "sanitize.cfg"
BEGIN, END = "<!-- measured: pytest --measured -->", "<!-- end -->"
ROW = re.compile(r"(\| \[[^]]*\]\(notebooks/(\w+)\.ipynb\) \|).*")
IGNORED = "nbval-ignore-output"


@dataclass
class Measured:
    """One notebook; `memory` is the most its kernel held, in bytes, None where unknown."""

    seconds: float = 0.0
    memory: int | None = None
    compared: float = 0.0

    def columns(self) -> tuple[str, str, str]:
        memory = "–" if self.memory is None else f"{self.memory / 1e9:.1f} GB"
        return f"{self.seconds:.0f} s", memory, f"{100 * self.compared:.0f} %"

    def warnings(self, name: str) -> list[str]:
        """Say which budgets are passed."""
        budget = LONGER.get(name.split("_")[0], SECONDS)
        found = [f"over {budget} s"] if self.seconds > budget else []
        return found + ([f"over {GIGABYTES} GB"] if (self.memory or 0) > GIGABYTES * 1e9 else [])


def peak_memory(pid: int) -> int | None:
    """Return the most memory that a process held at once, in bytes; None on a system without it."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        return 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text())[1])
    if sys.platform == "win32":
        import psutil

        return psutil.Process(pid).memory_info().peak_wset
    return None


def share_compared(path: Path) -> float:
    """Return the share of code cells whose output nbval compares with the saved one."""
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code" and cell.source.strip()]
    return sum(IGNORED not in cell.metadata.get("tags", []) for cell in code) / max(len(code), 1)


def table(measured: dict[str, Measured], total: float) -> list[str]:
    """Return the lines of the table: the notebooks, all of them together, and all of pytest."""

    def line(name, *columns, warnings=()):
        notes = "".join(f"  WARNING: {text}" for text in warnings)
        return f"{name:24}" + "".join(f"{column:>10}" for column in columns) + notes

    lines = [line("notebook", "time", "memory", "compared")]
    for name, one in sorted(measured.items()):
        lines.append(line(name, *one.columns(), warnings=one.warnings(name)))
    together = sum(one.seconds for one in measured.values())
    for name, seconds, budget in (
        ("all notebooks", together, ALL_NOTEBOOKS),
        ("pytest as a whole", total, ALL_TESTS),
    ):
        late = [f"over {budget} s"] if seconds > budget else []
        lines.append(line(name, f"{seconds:.0f} s", warnings=late))
    return lines


def fill_page(text: str, measured: dict[str, Measured]) -> str:
    """Return the page with the columns of the notebooks measured, and their sum.

    Rows of notebooks that were not measured stay; the sum is written when all were.
    """
    before, found, rest = text.partition(BEGIN)
    rows, closed, after = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"The page has no table between {BEGIN} and {END}; put them back.")

    def fill(match):
        one = measured.get(match[2])
        return f"{match[1]} {' | '.join(one.columns())} |" if one else match[0]

    names = [match[2] for match in ROW.finditer(rows)]
    rows = ROW.sub(fill, rows)
    if names and set(names) <= set(measured):
        minutes = sum(measured[name].seconds for name in names) / 60
        rows = re.sub(r"\| All together \|.*", f"| All together | {minutes:.1f} min | | |", rows)
    return before + BEGIN + rows + END + after


class Budgets:
    """The hooks: as a plugin they see every notebook, wherever it lies."""

    def __init__(self, page: Path | None = None):
        self.page, self.start = page, time.perf_counter()
        self.measured: dict[str, Measured] = {}

    def pytest_collection_modifyitems(self, items):
        for item in items:
            if type(item).__name__ == "IPyNbCell":
                item.output_timeout = 60  # nbval waits 5 s by default, too short on a busy machine

    def pytest_runtest_logreport(self, report):
        path = Path(report.nodeid.split("::")[0])
        if path.suffix == ".ipynb":  # the first cell's setup starts the kernel: its time counts
            self.measured.setdefault(path.stem, Measured()).seconds += report.duration

    def pytest_runtest_teardown(self, item):
        """Ask after each cell: the kernel is gone after the last."""
        kernel = getattr(item.parent, "kernel", None)  # of nbval's notebooks, none elsewhere
        if kernel is not None and kernel.is_alive():
            one = self.measured.setdefault(item.path.stem, Measured())
            one.memory = peak_memory(kernel.km.provisioner.pid)
            one.compared = share_compared(item.path)

    def pytest_terminal_summary(self, terminalreporter):
        if self.measured:
            terminalreporter.section("notebooks against their budgets")
            for line in table(self.measured, time.perf_counter() - self.start):
                terminalreporter.line(line)
        if self.page:
            text = fill_page(self.page.read_text(encoding="utf-8"), self.measured)
            self.page.write_text(text, encoding="utf-8")


def pytest_addoption(parser):
    parser.addoption(
        "--measured", action="store_true", help="write what the notebooks took into CONTRIBUTING.md"
    )


def pytest_configure(config):
    config.option.nbval_sanitize_with = str(SANITIZE)  # whatever folder pytest was started in
    page = PAGE if config.getoption("--measured") else None
    config.pluginmanager.register(Budgets(page), "budgets-of-notebooks")
