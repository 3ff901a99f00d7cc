"""Make the README's two pictures.

`python .ci/readme_picture.py` copies the forest plot, joint training minus each opponent, out of
notebook 07. With `--explorer` it opens the masking playground of notebook 02 in a headless
Chromium, as `tests/tools/browser.py` does, and takes its picture (it needs the extras lab and
browser).
"""

import base64
import json
import sys
import tempfile
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
NOTEBOOK = Path("notebooks/07_does_it_help.ipynb")
PICTURE = Path(".github/forest.png")
PLAYGROUND, EXPLORER = "masking_playground(", Path(".github/masking-explorer.png")


def find_picture(notebook: Path) -> bytes:
    """Return the PNG of the first cell that draws differences, a row an opponent."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if "plot_differences(" in "".join(cell["source"]):
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    return base64.b64decode("".join(output["data"]["image/png"]))
    raise SystemExit(
        f"{notebook} has no figure drawn by plot_differences; run it from top to bottom."
    )


def take_picture(path: Path) -> None:
    """Run the first cell of notebook 02 and that of its playground; save what the latter shows."""
    sys.path.insert(0, str(ROOT / "tests" / "tools"))
    from browser_lab import Visit, lab_page, lab_server
    from playwright.sync_api import sync_playwright

    from bift_utils.commands.site.browser import chromium

    notebook = nbformat.read(ROOT / "notebooks" / "02_masking.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = [code[0], *(cell for cell in code if PLAYGROUND in cell.source)]
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(notebook, Path(folder) / "explorer.ipynb")
        with (
            sync_playwright() as playwright,
            chromium(playwright) as browser,
            lab_server(Path(folder)) as (address, token),
            lab_page(browser, address, token, "explorer.ipynb", Visit()) as page,
        ):
            page.evaluate("bift.runAll()")
            page.wait_for_function("bift.ran", timeout=300_000)
            page.evaluate("bift.settle(1)")
            page.locator(".jp-Cell-outputArea").nth(1).screenshot(path=path)


if __name__ == "__main__":
    if "--explorer" in sys.argv:
        take_picture(ROOT / EXPLORER)
    else:
        (ROOT / PICTURE).write_bytes(find_picture(ROOT / NOTEBOOK))
