"""Record what the notebooks' `report` cells measure under five seeds, in tests/notebooks/bands.csv.

`python tests/tools/record_bands.py 06_joint_training` runs the notebook's cells once a seed in this
process, with every seed shifted, and writes down each reported value. A band in a notebook must
hold all five values and be at most four standard deviations wide (tests/notebooks/test_bands.py).
"""

import argparse
import csv
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["MPLBACKEND"] = "agg"
os.environ["TQDM_DISABLE"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1] / "notebooks"))

import nbformat
from test_bands import bands

from bift_utils import runtime
from bift_utils.data import texts as data

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "tests" / "notebooks" / "bands.csv"
COLUMNS = ("notebook", "name", "seed", "value")
ORIGINAL = {"set_seed": runtime.set_seed, "make_generator": runtime.make_generator}


def shift_seeds(seed: int) -> None:
    """Make every random choice of the notebook depend on `seed`; 0 changes nothing."""
    if seed == 0:
        changed = ORIGINAL
    else:
        changed = {
            "set_seed": lambda value: ORIGINAL["set_seed"](value + 1000 * seed),
            "make_generator": lambda *values: ORIGINAL["make_generator"](*values, 1000 * seed),
        }
    runtime.set_seed, runtime.make_generator = changed["set_seed"], changed["make_generator"]
    data.make_generator = changed["make_generator"]  # order of the batches


def measure(notebook: Path, seed: int) -> dict[str, float]:
    """Run all cells of a notebook and return what it reported."""
    measured = {}
    runtime.report = lambda name, value, low, high: measured.update({name: float(value)})
    shift_seeds(seed)
    space = {"__name__": "__main__", "display": lambda *_, **__: None}
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, notebook.name, "exec"), space)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", help="name without .ipynb")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    path = ROOT / "notebooks" / f"{options.notebook}.ipynb"
    os.chdir(path.parent)
    banded = {name for notebook, name, *_ in bands() if notebook == options.notebook}
    for seed in range(options.seeds):
        for name, value in measure(path, seed).items():
            if name not in banded:  # written out, not measured
                continue
            print(f"seed {seed}  {name}: {value:.5g}", file=sys.stderr)
            rows.append(
                {"notebook": options.notebook, "name": name, "seed": seed, "value": f"{value:.6g}"}
            )
    if RECORD.exists():  # read last, so that two recordings at once do not lose each other
        with RECORD.open(newline="", encoding="utf-8") as file:
            rows += [row for row in csv.DictReader(file) if row["notebook"] != options.notebook]
    rows.sort(key=lambda row: (row["notebook"], row["name"], int(row["seed"])))
    with RECORD.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
