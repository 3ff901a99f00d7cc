"""Each band of a `report` cell holds five recorded seeds and is at most four deviations wide."""

import ast
import csv
import statistics
from pathlib import Path

import nbformat
import pytest

HERE = Path(__file__).parent
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FIXED = 0.01  # width for what does not depend on the seed: it differs a little by machine


def recorded():
    values = {}
    with (HERE / "bands.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values.setdefault((row["notebook"], row["name"]), []).append(float(row["value"]))
    return values


def bands():
    """Return (notebook, name, low, high) for every `report(...)` call in the notebooks."""
    found = []
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type != "code":
                continue
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "runtime.report":
                    name, value, low, high = node.args
                    if isinstance(value, ast.Constant):  # written out to show a miss, not measured
                        continue
                    numbers = (
                        ast.literal_eval(name),
                        ast.literal_eval(low),
                        ast.literal_eval(high),
                    )
                    found.append((path.stem, *numbers))
    return found


@pytest.mark.parametrize("notebook, name, low, high", bands())
def test_band(notebook, name, low, high):
    values = recorded().get((notebook, name), [])
    assert len(values) >= 5, f"record it: python tests/tools/record_bands.py {notebook}"
    assert low <= min(values) and max(values) <= high
    deviation = statistics.stdev(values)
    allowed = 4 * deviation if deviation else FIXED
    assert high - low <= allowed + 1e-9, f"at most {allowed:.4g} wide"


def test_every_notebook_reports_something():
    assert {band[0] for band in bands()} == {p.stem for p in NOTEBOOKS.glob("*.ipynb")}


def test_the_record_has_no_leftovers():
    assert set(recorded()) == {(notebook, name) for notebook, name, _, _ in bands()}


def written_out(stem, variable):
    """Return the literal that a notebook assigns to a variable."""
    for cell in nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == variable:
                    return ast.literal_eval(node.value)


def differences(stem, one, other):
    """Return what was recorded for one name minus another, seed by seed."""
    pairs = zip(recorded()[stem, one], recorded()[stem, other], strict=True)
    return [first - second for first, second in pairs]


def test_repeats_that_notebooks_write_out_are_the_recorded_ones():
    gained = differences("06_joint_training", "class, λ = 0", "class, λ = 0.9")
    assert written_out("06_joint_training", "repeats") == pytest.approx(gained, abs=1.1e-3)
    stem, tested = "07b_behind_the_comparison", "tested whole (nats above exact)"
    written = written_out(stem, "recorded")
    gaps = differences(stem, f"trained masked, {tested}", f"trained clean, {tested}")
    assert written["tested whole"] == pytest.approx(gaps, abs=1.1e-3)
    holes = recorded()[stem, "tested with holes: trained masked minus trained clean (nats)"]
    assert written["tested with holes"] == pytest.approx(holes, abs=6e-4)
