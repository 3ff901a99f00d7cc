"""The notebooks in a real browser: all cells run, every widget moves, nothing is reported.

`pytest tests/tools/browser.py`, with the extras lab, test and browser installed and a Chromium:
the one that BIFT_CHROMIUM names, Playwright's own (`playwright install chromium`), or the system's.
Plain `pytest` does not collect this file, whose name does not begin with `test_`: it needs a
browser and takes minutes. `.ci/run` runs it.
"""

import re
import shutil
import time
from pathlib import Path

import nbformat
import pytest
from browser_lab import lab_server, visit

from bift_utils.commands.site.browser import chromium

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "notebooks" / "samples" / "browser"
EXPLORER = re.compile(
    r"^from bift_utils\.labs\.\w+(\.explorer import| import .*\bexplorer\b)", re.M
)
ALWAYS = ("00", "02", "03", "06")  # run here in any case; others when they hold controls


def has_controls(path: Path) -> bool:
    """Say whether a notebook shows an explorer; a progress bar is none."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return any(EXPLORER.search(cell.source) for cell in cells)


ALL = sorted((ROOT / "notebooks").glob("*.ipynb"))
NOTEBOOKS = [path for path in ALL if path.stem.startswith(ALWAYS) or has_controls(path)]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright, chromium(playwright) as browser:
        yield browser


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A server on a copy of the notebooks: running them does not change the checkout."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    shutil.copytree(SAMPLES, folder / "samples")
    with lab_server(folder) as (address, token):
        yield address, token


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_in_the_browser(path, browser, lab, capsys):
    start = time.monotonic()
    found = visit(browser, *lab, f"notebooks/{path.name}")
    if found.problems:  # a slow machine may lose a move once; a fault is there again
        with capsys.disabled():
            print(f"\n{path.stem}, once more after: {'; '.join(found.problems)}")
        found = visit(browser, *lab, f"notebooks/{path.name}")
    with capsys.disabled():
        print(
            f"\n{path.stem}: {found.cells} cells run, {len(found.controls)} controls moved "
            f"({found.moves} moves), {found.figures} static figures, "
            f"{time.monotonic() - start:.0f} s"
        )
    assert "\n".join(found.problems) == ""
    assert found.cells
    assert bool(found.controls) == has_controls(path)


def test_every_kind_of_control_is_moved(browser, lab):
    found = visit(browser, *lab, "samples/all_kinds.ipynb")
    assert "\n".join(found.problems) == ""
    assert len(found.controls) == 12


PLANTED = [
    ("still_widget", r"slider “still”: key End, and neither figure nor text changed"),
    ("raising_callback", r"slider “raises”: key End, and the kernel raised ValueError: planted"),
    ("unknown_control", r"unknown “colour”: no way to move it"),
    ("raising_cell", r"cell 0 raised ValueError: planted\b[\s\S]*cell 1 was not run"),
    ("console_error", r"console error: planted"),
    ("page_error", r"page error: .*planted"),
    ("no_figure", r"cell 0 has controls, but no saved figure"),
]


@pytest.mark.parametrize("name, problem", PLANTED)
def test_a_planted_fault_is_found(name, problem, browser, lab, monkeypatch):
    if name == "still_widget":  # the one fault that shows in nothing but waiting
        monkeypatch.setattr("browser_lab.MOVE", 5)
    found = visit(browser, *lab, f"samples/{name}.ipynb")
    assert re.search(problem, "\n".join(found.problems))
