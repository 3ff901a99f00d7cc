"""Each link of the errata page leads to a heading that exists in the notebook it names."""

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
TEXT = (NOTEBOOKS / "errata.md").read_text(encoding="utf-8")
LINKS = re.findall(r"\]\((\w+\.ipynb)#([^\s|]+)\) \|", TEXT)


def rows():
    return [line for line in TEXT.splitlines() if re.match(r"\| \d+ \|", line)]


def test_all_errors_are_listed():
    assert [int(row.split("|")[1]) for row in rows()] == list(range(1, 16))


def test_each_entry_is_shown_or_says_that_its_notebook_is_in_preparation():
    for row in rows():
        pending = re.search(r"notebook (\d\db?), in preparation", row)
        assert pending or ".ipynb#" in row
        if pending:
            assert not list(NOTEBOOKS.glob(f"{pending.group(1)}_*.ipynb")), (
                f"notebook {pending.group(1)} exists: link the entry to it"
            )


@pytest.mark.parametrize("name, anchor", LINKS)
def test_link(name, anchor):
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = [h.strip().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, flags=re.M)]
    assert anchor in headings
