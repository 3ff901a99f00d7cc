"""The notebooks keep to the conventions, and their saved outputs come from one clean run."""

import re
import statistics
from pathlib import Path

import nbformat
import pytest

from bift_utils.commands.course.colab import BADGE

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SHORT = ("00", "08")  # two figures are enough
IGNORED = "nbval-ignore-output"

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def prose(notebook):
    """Return our texts; what a Colab stamp adds is not ours."""
    texts = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    return [BADGE.sub("", cell.source) for cell in texts if cell.id != "colab-text"]


def tags(cell):
    return set(cell.metadata.get("tags", []))


def test_saved_from_one_clean_run(path):
    notebook = read(path)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs, "the outputs are stripped, so nothing would be compared"
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [o for o in outputs if o.get("name") == "stderr"]
    assert "widgets" not in notebook.metadata
    assert not [cell for cell in cells if "execution" in cell.metadata]


def test_cells_are_short_and_introduced(path):
    cells = read(path).cells
    code = [i for i, cell in enumerate(cells) if cell.cell_type == "code" and cell.source.strip()]
    sizes = sorted(sum(bool(line.strip()) for line in cells[i].source.splitlines()) for i in code)
    assert statistics.median(sizes) <= 8
    assert sizes[int(0.9 * len(sizes))] <= 20
    assert sizes[-1] <= 30
    introduced = [i for i in code if i and cells[i - 1].cell_type == "markdown"]
    assert len(introduced) >= 0.85 * len(code)
    kinds = "".join("c" if i in code else "m" for i in range(len(cells)))
    assert "ccc" not in kinds, "more than two code cells follow each other without text"


def test_figures(path):
    notebook = read(path)
    figures = [
        output
        for cell in code_cells(notebook)
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(figures) >= (2 if path.name.startswith(SHORT) else 4)


def test_every_figure_has_a_text_for_those_who_cannot_see_it(path):
    for cell in code_cells(read(path)):
        drawn = any("image/png" in output.get("data", {}) for output in cell.outputs)
        words = cell.metadata.get("alt", "").split()
        assert drawn == (len(words) >= 8), f"the alt text of {cell.id} is {' '.join(words)!r}"


def test_most_cells_are_compared(path):
    cells = code_cells(read(path))
    ignored = [c for c in cells if IGNORED in tags(c) or "NBVAL_IGNORE_OUTPUT" in c.source]
    assert len(ignored) <= 0.15 * len(cells)
    skipping = {"nbval-skip", "raises-exception", "nbval-raises-exception"}
    assert not [c for c in cells if tags(c) & skipping or "NBVAL_" in c.source]
    printed = [
        cell
        for cell in cells
        if cell not in ignored
        and any(
            output.output_type == "stream" or "text/plain" in output.get("data", {})
            for output in cell.outputs
        )
    ]
    assert len(printed) >= 0.6 * len(cells)


def test_every_figure_is_followed_by_its_description(path):
    cells = read(path).cells
    for i, cell in enumerate(cells):
        outputs = cell.get("outputs", [])
        if any("image/png" in output.get("data", {}) for output in outputs):
            assert i + 1 < len(cells) and cells[i + 1].source.startswith("*"), (
                f"cell {i} draws a figure; the next cell should begin with its description"
            )


def test_structure(path):
    texts = prose(read(path))
    id = path.name.split("_")[0]
    assert texts[0].startswith(f"# {id}. ")
    assert "**Question.**" in texts[0] and "**Answer in advance.**" in texts[0]
    assert "*Time:" in texts[0]
    everything = "\n".join(texts)
    for heading in ("## Setup", "## Summary", "## Sources"):
        assert heading in everything
    summary = everything.split("## Summary")[1].split("## Sources")[0]
    assert 3 <= len(re.findall(r"^- ", summary, flags=re.M)) <= 6
    if id != "00":
        assert len(re.findall(r"^### Exercise ", everything, flags=re.M)) >= 2


def test_no_hidden_magic(path):
    notebook = read(path)
    for cell in code_cells(notebook):
        assert not re.search(r"import \*|^\s*[!%]", cell.source, flags=re.M)
        assert not cell.metadata.get("jupyter", {}).get("source_hidden")


def test_nothing_names_a_machine_or_a_to_do(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|work|tmp|Users)/|TODO|FIXME|VERDICT_", text)


def test_links_lead_somewhere(path):
    check_links(path.parent, "\n".join(prose(read(path))))


def check_links(folder, text):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (folder / target).exists(), f"the link to {target} leads nowhere"


def test_setup_may_run_twice(path, monkeypatch, capsys):
    """People run the first cells again whenever something looks odd: nothing may change by it."""
    cells = read(path).cells
    start = next(i for i, cell in enumerate(cells) if cell.source.startswith("## Setup"))
    end = next(i for i, cell in enumerate(cells) if cell.source.startswith("## ") and i > start)
    setup = [cell.source for cell in cells[start:end] if cell.cell_type == "code"]
    assert setup
    monkeypatch.chdir(path.parent)
    space, printed, names = {"__name__": "__main__"}, [], []
    for _ in range(2):
        for source in setup:
            exec(compile(source, path.name, "exec"), space)
        printed.append(capsys.readouterr().out)
        names.append(sorted(space))
    assert printed[0] == printed[1] and names[0] == names[1]
