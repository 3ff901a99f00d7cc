"""The list of planted faults fits the code, and the runner tells caught from not caught."""

import shutil
from pathlib import Path

import faults as runner
import nbformat
import pytest
from fault_lines import lines_run, statement
from faults import Fault, read_faults

FAULTS = read_faults()
FILE = "bift_utils/one.py"
SMALL = {  # a project of one module and one test
    "bift_utils/one.py": "def double(x):\n    return x + x\n",
    "tests/test_one.py": "from bift_utils.one import double\n\n\ndef test_double():\n"
    "    assert double(2) == 4\n",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_can_be_planted(fault):
    text = (runner.ROOT / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.right) == 1 and fault.right != fault.wrong
    assert fault.tests
    for path in runner.targets(fault):
        assert (runner.ROOT / path).is_file()


def test_the_list_is_long_and_spread():
    assert len(FAULTS) >= 150 and len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert sum(fault.file.startswith("notebooks/") for fault in FAULTS) >= 8


def test_every_module_has_a_fault():
    modules = {
        path.relative_to(runner.ROOT).as_posix()
        for path in (runner.ROOT / "bift_utils").rglob("*.py")
        if "def " in path.read_text(encoding="utf-8")
    }
    without = modules - {fault.file for fault in FAULTS}
    assert not without, f"plant a fault in {sorted(without)}"


@pytest.fixture
def small(tmp_path, monkeypatch):
    root = tmp_path / "project"
    for name, text in SMALL.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(runner, "ROOT", root)
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    return copy


def test_a_fault_is_caught_and_mended(small):
    wrong = Fault("three times", "bift_utils/one.py", "x + x", "x + x + x", ("one",))
    caught, by, _ = runner.try_fault(small, wrong, runner.targets(wrong))
    assert caught and by == "tests/test_one.py::test_double"
    harmless = Fault("the same", "bift_utils/one.py", "x + x", "2 * x", ("one",))
    caught, by, _ = runner.try_fault(small, harmless, ["tests/test_one.py"])
    assert not caught and by == ""
    assert (small / "bift_utils/one.py").read_text(encoding="utf-8") == SMALL["bift_utils/one.py"]


def test_a_fault_that_no_longer_fits_is_named(small):
    gone = Fault("gone", "bift_utils/one.py", "x - x", "0", ("one",))
    with pytest.raises(ValueError, match="“gone” replaces text that stands 0 times"):
        gone.plant(small)


def test_without_a_fault_everything_must_pass(small):
    (small / "tests/test_one.py").write_text("def test_red():\n    assert 0\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="Without any fault"):
        runner.check_baseline(small, ["tests/test_one.py"])


def test_only_notebooks_that_run_the_statement_can_notice(small):
    fault = Fault("any", "bift_utils/one.py", "x + x", "x", ("one",))
    ran = {
        "a.ipynb": {"bift_utils/one.py": {1, 2}},
        "b.ipynb": {"bift_utils/one.py": {1}},  # imported, but not called
        "c.ipynb": {"bift_utils/two.py": {2}},
    }
    assert runner.notebooks_that_run(fault, ran) == ["a.ipynb"]
    assert "no notebook runs it" in runner.line(fault, [], *runner.try_fault(small, fault, []))


def test_the_notebook_that_introduces_a_function_looks_first(small):
    text = 'def one():\n    """Introduced in notebook\n    05."""\n    return 1\n'
    (small.parent / "project/bift_utils/one.py").write_text(text, encoding="utf-8")
    fault = Fault("any", "bift_utils/one.py", "return 1", "return 2", ("one",))
    paths = [f"notebooks/0{number}_any.ipynb" for number in (2, 5, 3)]
    found = runner.notebooks_that_run(fault, {path: {fault.file: {4}} for path in paths})
    assert [Path(path).name[:2] for path in found] == ["05", "02", "03"]


def test_a_statement_is_found_by_its_text():
    text = "def one(\n    x=1,\n):\n    y = (x +\n         2)\n    return y\n"
    place = text.index("2)")
    assert statement(text, place, place + 1) == range(4, 6)
    assert statement(text, text.index("x=1"), text.index("x=1") + 3) == range(1, 7)
    assert statement(text, 0, len(text)) == range(1, 7)


def test_a_table_goes_on_where_it_was(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "survey", lambda *_: {"tests/test_one.py": {FILE: {1, 2}}})
    faults = [Fault(n, FILE, "x + x", w, ("one",)) for n, w in (("a", "x"), ("b", "2 * x"))]
    table = tmp_path / "table.md"
    table.write_text(f"{runner.HEAD}| a | {FILE} | caught by `before` | 1 s |\n", "utf-8")
    rows = runner.run_notebooks(faults, [small], table)
    assert ["`before`" in row for row in rows] == [True, False]
    assert "NOT CAUGHT" in rows[1] and rows[1] in capsys.readouterr().out


def test_lines_that_a_notebook_runs(small):
    pytest.importorskip("coverage")
    pytest.importorskip("nbclient")
    (small / "bift_utils/__init__.py").write_text("", "utf-8")
    source = "from bift_utils import one\nprint(one.__file__)"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbformat.write(book, small / "book.ipynb")
    assert lines_run(small, small / "book.ipynb")[FILE] == {1}


def test_an_interrupted_run_is_no_verdict(small):
    stop = "def test_stop():\n    raise KeyboardInterrupt\n"
    (small / "tests/test_one.py").write_text(stop, encoding="utf-8")
    with pytest.raises(RuntimeError, match="could not run"):
        runner.run_tests(small, ["tests/test_one.py"])
