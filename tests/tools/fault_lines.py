"""Which lines of the package does each notebook run? Elsewhere it cannot notice a fault.

Needs the packages coverage and nbclient, which come with nbgrader (extra `grading`).
"""

import ast
import os
import tempfile
from pathlib import Path

import nbformat

Lines = dict[str, set[int]]  # file, as the list of faults names it, to line numbers

SETTINGS = """[run]
source_pkgs = bift_utils
data_file = {folder}/lines
parallel = true
patch = subprocess
"""
START = "import coverage\n_lines = coverage.Coverage(config_file={settings!r})\n_lines.start()"
STOP = "_lines.stop()\n_lines.save()"


def lines_run(root: Path, notebook: Path) -> Lines:
    """Execute a notebook of the project in `root`; return the lines of its package that ran."""
    from coverage import CoverageData
    from nbclient import NotebookClient

    book = nbformat.read(notebook, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "settings"
        settings.write_text(SETTINGS.format(folder=folder), encoding="utf-8")
        first, last = START.format(settings=str(settings)), STOP
        book.cells.insert(0, nbformat.v4.new_code_cell(first))
        book.cells.append(nbformat.v4.new_code_cell(last))
        place = {"metadata": {"path": str(notebook.parent)}}
        copy_first = {**os.environ, "PYTHONPATH": str(root)}  # not the installed project
        client = NotebookClient(book, timeout=900, kernel_name="python3", resources=place)
        client.execute(env=copy_first)
        found: Lines = {}
        for part in Path(folder).glob("lines.*"):
            data = CoverageData(str(part))
            data.read()
            for file in data.measured_files():
                name = Path(file).resolve().relative_to(root.resolve()).as_posix()
                found.setdefault(name, set()).update(data.lines(file))
    return found


def statement(text: str, start: int, end: int) -> range:
    """Return the lines of the smallest statement that holds the characters start to end."""
    first, last = (text.count("\n", 0, place) + 1 for place in (start, end - 1))
    holding = [
        range(node.lineno, node.end_lineno + 1)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.stmt) and node.lineno <= first and last <= node.end_lineno
    ]
    return min(holding, key=len, default=range(1, text.count("\n") + 2))
