"""Run a notebook from top to bottom and save it as the suite expects it.

`python .ci/save_notebook.py notebooks/02_masking.ipynb` runs all cells in a fresh kernel on the CPU
and writes the outputs back: counts 1…n, no widget state, no timings; in cells whose output is not
compared, no progress bars either. If a cell raises, the file stays as it was.
"""

import argparse
import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

WIDGET = "application/vnd.jupyter.widget-view+json"  # means nothing without its kernel


def is_noise(output) -> bool:
    return output.get("name") == "stderr" or WIDGET in output.get("data", {})


def run(path: Path) -> None:
    """Execute one notebook in its own folder and write it back."""
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        resources=folder,
        coalesce_streams=True,
    )
    client.execute()
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            cell.outputs = [output for output in cell.outputs if not is_noise(output)]
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # what is committed was run on the CPU
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    for path in parser.parse_args().notebooks:
        run(path)
        print(f"{path} saved")


if __name__ == "__main__":
    main()
