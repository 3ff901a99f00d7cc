"""The runner of the matrix: each condition is what it says, and a notebook that differs is seen."""

import sys

import matrix
import nbformat
import planting
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Make a project of one notebook; the function takes its code and the saved output."""
    root = tmp_path / "project"
    monkeypatch.setattr(planting, "ROOT", root)
    (root / "notebooks").mkdir(parents=True)
    (root / "pytest.ini").write_text("[pytest]\naddopts = --nbval --nbval-current-env\n", "utf-8")

    def make(code, printed):
        cell = new_code_cell(code, execution_count=1)
        cell.outputs = [new_output("stream", text=f"{printed}\n")]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
        book = new_notebook(cells=[cell], metadata=kernel)
        nbformat.write(book, root / "notebooks/00_one.ipynb")
        return root

    return make


WRITE = """
from pathlib import Path
try:
    Path("new").write_text("x")
    print("written")
except OSError:
    print("refused")
"""
HERE = "from pathlib import Path\nprint(Path().resolve().parent.name)"
THREADS = "__import__('torch').get_num_threads()"
ZONE = "import os, time\nprint(os.environ['LC_ALL'], time.tzname[0])"


UNIX = pytest.mark.skipif(sys.platform == "win32", reason="other rights and time zones there")


@pytest.mark.parametrize(
    "condition, code, printed",
    [
        pytest.param("read-only", WRITE, "refused", marks=UNIX),
        pytest.param("plain-c", ZONE, "C +1245", marks=UNIX),
        ("place+one-thread", f"{HERE[:-1]}, {THREADS})", f"{matrix.PLACE} 1"),
    ],
)
def test_conditions_are_what_they_say(project, capsys, condition, code, printed):
    project(code, printed)
    assert matrix.main([condition]) == 0
    assert f"| {condition} | passed | 1 passed" in capsys.readouterr().out


def test_a_notebook_that_differs_fails_and_is_named(project, capsys):
    project("print(1)", "2")
    assert matrix.main(["plain"]) == 1
    out = capsys.readouterr().out
    assert "**FAILED**" in out and "notebooks/00_one.ipynb::Cell 0" in out


def test_what_cannot_be_run_is_said_and_does_not_pass(project, capsys, monkeypatch):
    project("print(1)", "1")
    monkeypatch.setitem(matrix.CONDITIONS, "plain", {"LC_ALL": "xx_XX.UTF-8"})
    assert matrix.main(["plain"]) == 1
    assert "no xx_XX.UTF-8" in capsys.readouterr().out


def test_the_lowest_versions_are_the_lower_ends():
    pins = dict(line.split("==") for line in matrix.lowest().splitlines())
    assert pins["transformers"] == "5.12" and pins["pytest"] == "8.4" and "torch" not in pins
