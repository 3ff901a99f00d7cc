"""The table of what notebooks take: its arithmetic, its warnings, and the page that shows it."""

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import budgets
import nbformat
import pytest
from budgets import BEGIN, END, PAGE, Measured, fill_page, peak_memory, share_compared, table

CODE, NOTE = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell


def test_what_is_past_its_budget_is_marked_and_nothing_else():
    measured = {
        "01_slow": Measured(76, 10**9, 1.0),
        "02_large": Measured(10, 2_600_000_000, 0.9),
        "07_longer": Measured(80, None, 1.0),
        "08_endless": Measured(500, 10**9, 1.0),
    }
    lines = {line.split()[0]: line for line in table(measured, total=1081)}
    assert lines["01_slow"].endswith("WARNING: over 75 s")
    assert lines["02_large"].split()[1:7] == ["10", "s", "2.6", "GB", "90", "%"]
    assert lines["02_large"].endswith("WARNING: over 2.5 GB")
    assert "WARNING" not in lines["07_longer"] and "–" in lines["07_longer"]
    assert lines["all"].endswith("666 s  WARNING: over 600 s")
    assert lines["pytest"].endswith("1081 s  WARNING: over 1080 s")


TEXT = f"""Before
{BEGIN}
| | question | time | memory | compared |
|---|---|---|---|---|
| [01 First](notebooks/01_first.ipynb) | – | – | – |
| [02 Second](notebooks/02_second.ipynb) | 9 s | 0.5 GB | 88 % |
| 03 Third | When? | in preparation | | |
| All together | 1.0 min | | |
{END}
| [01 First](notebooks/01_first.ipynb) | elsewhere | stays | stays | stays |
"""


def test_the_page_gets_the_measured_rows_and_the_sum_when_all_were_measured():
    measured = {"01_first": Measured(30, 10**9, 1.0)}
    text = fill_page(TEXT, measured)
    changed = [(a, b) for a, b in zip(TEXT.split("\n"), text.split("\n"), strict=True) if a != b]
    new = "| [01 First](notebooks/01_first.ipynb) | 30 s | 1.0 GB | 100 % |"
    assert [b for _, b in changed] == [new]
    text = fill_page(text, {**measured, "02_second": Measured(60, None, 0.5)})
    assert "| 60 s | – | 50 % |" in text
    assert "| All together | 1.5 min | | |" in text
    with pytest.raises(ValueError, match="no table between .* put them back"):
        fill_page(TEXT.replace(END, ""), {})


def test_our_page_has_a_row_for_each_notebook():
    names = sorted(path.stem for path in (PAGE.parent / "notebooks").glob("*.ipynb"))
    text = fill_page(PAGE.read_text(encoding="utf-8"), {n: Measured(7, 0, 1) for n in names})
    assert text.count(" | 7 s | 0.0 GB | 100 % |") == len(names)
    minutes = f"{len(names) * 7 / 60:.1f} min"
    assert re.search(rf"\| All together \| {minutes} \|", text)


def test_the_share_counts_code_that_is_compared(tmp_path):
    ignored = CODE("2", metadata={"tags": ["nbval-ignore-output"]})
    cells = [NOTE("text"), CODE("1"), ignored, CODE(" "), CODE("3"), CODE("4")]
    path = tmp_path / "some.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    assert share_compared(path) == 0.75


@pytest.mark.skipif(not sys.platform.startswith(("linux", "win")), reason="the system keeps none")
def test_peak_memory_counts_what_was_given_back():
    before = peak_memory(os.getpid())
    size = before  # as much again as was ever held, so it must show
    block = bytearray(size)
    block[::4096] = b"x" * len(block[::4096])
    del block
    assert peak_memory(os.getpid()) > before + size // 4


def test_notebooks_are_compared_alike_from_any_folder(monkeypatch, tmp_path):
    options = SimpleNamespace(nbval_sanitize_with=None)
    config = SimpleNamespace(
        option=options, getoption=lambda name: False,
        pluginmanager=SimpleNamespace(register=lambda plugin, name: None),
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    budgets.pytest_configure(config)
    assert "ADDRESS" in Path(options.nbval_sanitize_with).read_text(encoding="utf-8")
