"""Copy the README's picture out of notebook 07b: the figure of its comparison over five seeds."""

import base64
import json
from pathlib import Path

NOTEBOOK = Path("notebooks/07b_behind_the_comparison.ipynb")
PICTURE = Path(".github/five-seeds.png")


def find_picture(notebook: Path) -> bytes:
    """Return the PNG of the first cell that draws one dot a seed."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if "plot_seeds(" in "".join(cell["source"]):
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    return base64.b64decode("".join(output["data"]["image/png"]))
    raise SystemExit(f"{notebook} has no figure drawn by plot_seeds; run it from top to bottom.")


if __name__ == "__main__":
    PICTURE.write_bytes(find_picture(NOTEBOOK))
