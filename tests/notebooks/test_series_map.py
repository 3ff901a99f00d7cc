"""The maps of the series, in notebook 00 and in the README, say which notebooks there are."""

import re
from pathlib import Path

import nbformat
import pytest

from bift_utils.commands.course.notebooks import find_notebooks

ROOT = Path(__file__).parents[2]
EXISTING = {id: path.name for id, path in find_notebooks(ROOT / "notebooks").items()}
ROW = re.compile(r"^\| \W*(\d\db?)\b.*$", re.MULTILINE)


def read_map(name):
    if name == "README.md":
        return (ROOT / name).read_text(encoding="utf-8")
    cells = nbformat.read(ROOT / "notebooks" / EXISTING["00"], as_version=4).cells
    (found,) = (cell.source for cell in cells if "The map of the series" in cell.source)
    return found


@pytest.mark.parametrize("name", ["00", "README.md"])
def test_the_map_links_what_exists_and_nothing_else_is_in_preparation(name):
    rows = {row.group(1): row.group(0) for row in ROW.finditer(read_map(name))}
    assert set(EXISTING) <= set(rows) and list(rows) == sorted(rows)
    for id, row in rows.items():
        assert ("in preparation" in row) == (id not in EXISTING), row
        if id in EXISTING and id != name:
            assert f"{EXISTING[id]})" in row, row
