"""The tables of the long runs, which ship with the package."""

import importlib.resources
from pathlib import Path


def result_file(name: str) -> Path:
    """Return the path of a committed result (a CSV or an npz) that ships with the package.

    Raises:
        FileNotFoundError: there is no such result; the message names those that exist.

    Introduced in notebook 06.
    """
    folder = Path(str(importlib.resources.files("bift_utils"))) / "results"
    if not (folder / name).is_file():
        present = sorted(path.name for path in folder.iterdir() if path.suffix in (".csv", ".npz"))
        raise FileNotFoundError(f"There is no result {name!r}; expected one of {present}.")
    return folder / name
