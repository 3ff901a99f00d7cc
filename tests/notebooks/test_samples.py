"""Notebooks with one fault each are rejected: by nbval, or by a rule of `test_notebooks.py`.

The samples lie in `samples/`, where plain `pytest` does not look; those of the browser test are run
by `browser.py`. A sound notebook passes beside them, so it is the fault that is found.
"""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import test_notebooks

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent / "samples"
CLEAN, COMPARED = "test_saved_from_one_clean_run", "test_most_cells_are_compared"

NBVAL = {  # name of the sample: what nbval says about it
    "changed_number": r"mismatch 'stdout'[\s\S]*43[\s\S]*42",
    "changed_result": r"mismatch 'text/plain'",
    "stale_output": r"Missing output fields from running code: \{'stdout'\}",
    "lost_output": r"Unexpected output fields from running code: \{'stdout'\}",
    "extra_line": r"mismatch 'stdout'[\s\S]*and more",
    "raised_exception": r"Cell execution caused an exception[\s\S]*ValueError: planted",
    "failed_check": r"Cell execution caused an exception[\s\S]*AssertionError",
    "outside_its_band": r"accuracy: measured 0\.61, expected between 0\.72 and 0\.78",
    "figure_not_drawn": r"Missing output fields from running code: \{'text/plain'\}",
    "figure_without_optimum": r"mismatch 'text/plain'[\s\S]*dashed at y = 0\.693",
    "warning": r"Unexpected output fields from running code: \{'stderr'\}",
    "never_run": r"Unrun reference cell has outputs",
}
RULES = {  # name of the sample: the rule that it breaks
    "stripped": CLEAN,
    "run_out_of_order": CLEAN,
    "saved_with_an_error": CLEAN,
    "saved_with_a_warning": CLEAN,
    "too_much_not_compared": COMPARED,
    "too_few_facts": COMPARED,
    "skipped_cell": COMPARED,
    "skipped_by_comment": COMPARED,
    "allowed_to_raise": COMPARED,
}


def names(folder: str) -> set[str]:
    return {path.stem for path in (SAMPLES / folder).glob("*.ipynb")}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Let nbval run all samples once, as the suite runs the notebooks; return output and report."""
    report = tmp_path_factory.mktemp("samples") / "report.xml"
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "--noconftest",
               "-p", "budgets", f"--junit-xml={report}", str(SAMPLES / "nbval")]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(SAMPLES.parent), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout, ElementTree.parse(report).getroot()


@pytest.fixture(scope="module")
def complaints(run):
    """What nbval says about each sample, its cells together."""
    said = {}
    for case in run[1].iter("testcase"):
        name = case.get("classname").removesuffix(".ipynb").rpartition(".")[2]
        said[name] = said.get(name, "") + "".join(bad.text for bad in case.findall("failure"))
    return said


def test_every_sample_has_its_verdict(complaints):
    assert names("nbval") == {"sound", *NBVAL} == set(complaints)
    assert names("rules") == {"sound", *RULES}


@pytest.mark.parametrize("name", NBVAL)
def test_nbval_rejects(name, complaints):
    said = re.sub(r"#x1B\[[\d;]*m", "", complaints[name])  # colours
    assert re.search(NBVAL[name], said), said


def test_nbval_passes_a_sound_notebook(complaints):
    assert complaints["sound"] == ""


@pytest.mark.parametrize("rule", [CLEAN, COMPARED])
def test_the_rules_pass_a_sound_notebook(rule):
    getattr(test_notebooks, rule)(SAMPLES / "rules" / "sound.ipynb")


@pytest.mark.parametrize("name, rule", RULES.items())
def test_a_rule_rejects(name, rule):
    with pytest.raises(AssertionError):
        getattr(test_notebooks, rule)(SAMPLES / "rules" / f"{name}.ipynb")


def test_the_table_of_budgets_has_a_row_for_each(run):
    rows = run[0].split("notebooks against their budgets")[1]
    number = re.search(r"^sound +(\d+) s +(–|0\.\d GB) +100 %$", rows, flags=re.M)
    assert number, rows
    assert set(re.findall(r"^\w+(?= +\d+ s .*%)", rows, flags=re.M)) == names("nbval")
    assert re.search(r"^all notebooks +\d+ s", rows, flags=re.M)
