"""The exercises of the notebooks, with their checks: what the tests and the fuzz of checks read."""

import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import torch

ROOT = Path(__file__).parents[2]
CHECKS: dict[str, Callable] = {
    name: value
    for path in sorted((ROOT / "bift_utils" / "labs").glob("*/checks.py"))
    for name, value in vars(
        importlib.import_module(f"bift_utils.labs.{path.parent.name}.checks")
    ).items()
    if name.startswith("check_")
}


def exercises() -> Iterator[tuple[str, str, str, str]]:
    """Yield (check, name of the function, stub, folded solution) for each exercise."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        for i, cell in enumerate(cells):
            found = re.search(r"checks\.(check_\w+)\((\w+)\)", cell.source)
            if cell.cell_type == "code" and found:
                check, function = found.groups()
                stub = next(c for c in reversed(cells[:i]) if c.cell_type == "code")
                assert f"def {function}(" in stub.source
                text = next(c for c in cells[i:] if "<summary>Solution" in c.source).source
                solution = re.search(r"Solution</summary>\s*```python\n(.*?)```", text, re.S)
                assert solution is not None
                yield check, function, stub.source, solution[1]


def define(folder: Path, source: str, function: str) -> Callable:
    """Run source from a file, so that a check can read it as it reads a notebook cell."""
    path = folder / "cell.py"
    path.write_text(source, encoding="utf-8")
    space: dict = {"torch": torch}
    exec(compile(source, str(path), "exec"), space)
    return space[function]
