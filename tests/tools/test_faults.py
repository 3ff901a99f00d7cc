"""The list of planted faults fits the code, and the runner tells caught from not caught."""

import shutil
from pathlib import Path

import fault_notebooks
import nbformat
import planting
import pytest
from fault_lines import lines_run, statement
from faults import run_concerned, targets
from planting import Fault, read_faults

FAULTS = read_faults()
FILE = "bift_utils/one.py"
SMALL = {  # a project of one module and one test
    "bift_utils/one.py": "def double(x):\n    return x + x\n",
    "tests/unit/test_one.py": "from bift_utils.one import double\n\n\ndef test_double():\n"
    "    assert double(2) == 4\n",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_can_be_planted(fault):
    text = (planting.ROOT / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.right) == 1 and fault.right != fault.wrong
    assert fault.tests
    for path in targets(fault):
        assert (planting.ROOT / path).is_file()


def test_the_list_is_long_and_spread():
    assert len(FAULTS) >= 150 and len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert sum(fault.file.startswith("notebooks/") for fault in FAULTS) >= 8


def test_every_module_has_a_fault():
    modules = {
        path.relative_to(planting.ROOT).as_posix()
        for path in (planting.ROOT / "bift_utils").rglob("*.py")
        if "def " in path.read_text(encoding="utf-8")
    }
    without = modules - {fault.file for fault in FAULTS}
    assert not without, f"plant a fault in {sorted(without)}"


def test_the_table_of_the_notebooks_fits_the_list():
    table = (planting.ROOT / "tests" / "tools" / "faults-in-notebooks.md").read_text(
        encoding="utf-8"
    )
    rows = [line.split(" | ") for line in table.removeprefix(planting.HEAD).splitlines()]
    known = {(f"| {fault.name}", fault.file) for fault in FAULTS}
    assert {(name, file) for name, file, *_ in rows} <= known and len(rows) > 150
    caught = [verdict for _, _, verdict, _ in rows if verdict.startswith("caught by `0")]
    others = {verdict for _, _, verdict, _ in rows} - set(caught)
    assert others == {"**NOT CAUGHT**", "no notebook runs it"}
    assert len(caught) >= 0.7 * len(rows)


@pytest.fixture
def small(tmp_path, monkeypatch):
    root = tmp_path / "project"
    for name, text in SMALL.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(planting, "ROOT", root)
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    return copy


def test_a_fault_is_caught_and_mended(small):
    wrong = Fault("three times", "bift_utils/one.py", "x + x", "x + x + x", ("one",))
    caught, by, _ = planting.try_fault(small, wrong, targets(wrong))
    assert caught and by == "tests/unit/test_one.py::test_double"
    harmless = Fault("the same", "bift_utils/one.py", "x + x", "2 * x", ("one",))
    caught, by, _ = planting.try_fault(small, harmless, ["tests/unit/test_one.py"])
    assert not caught and by == ""
    assert (small / "bift_utils/one.py").read_text(encoding="utf-8") == SMALL["bift_utils/one.py"]


def test_a_copy_is_mended_as_it_was(small):
    (planting.ROOT / FILE).write_text("edited meanwhile", encoding="utf-8")
    planting.try_fault(small, fault_of("any", "x + x", "x"), ["tests/unit/test_one.py"])
    assert (small / FILE).read_text(encoding="utf-8") == SMALL[FILE]


def test_a_fault_that_no_longer_fits_is_named(small):
    gone = Fault("gone", "bift_utils/one.py", "x - x", "0", ("one",))
    with pytest.raises(ValueError, match="“gone” replaces text that stands 0 times"):
        gone.plant(small)


def test_without_a_fault_everything_must_pass(small):
    (small / "tests/unit/test_one.py").write_text(
        "def test_red():\n    assert 0\n", encoding="utf-8"
    )
    with pytest.raises(SystemExit, match="Without any fault"):
        planting.check_baseline(small, ["tests/unit/test_one.py"])


def test_only_notebooks_that_run_the_statement_can_notice(small):
    fault = Fault("any", "bift_utils/one.py", "x + x", "x", ("one",))
    ran = {
        "a.ipynb": {"bift_utils/one.py": {1, 2}},
        "b.ipynb": {"bift_utils/one.py": {1}},  # imported, but not called
        "c.ipynb": {"bift_utils/two.py": {2}},
    }
    assert fault_notebooks.notebooks_that_run(fault, ran) == ["a.ipynb"]


def test_the_notebook_that_introduces_a_function_looks_first(small):
    text = 'def one():\n    """Introduced in notebook\n    05."""\n    return 1\n'
    (small.parent / "project/bift_utils/one.py").write_text(text, encoding="utf-8")
    fault = Fault("any", "bift_utils/one.py", "return 1", "return 2", ("one",))
    paths = [f"notebooks/0{number}_any.ipynb" for number in (2, 5, 3)]
    found = fault_notebooks.notebooks_that_run(fault, {path: {fault.file: {4}} for path in paths})
    assert [Path(path).name.split("_")[0] for path in found] == ["05", "02", "03"]


def test_a_statement_is_found_by_its_text():
    text = "def one(\n    x=1,\n):\n    y = (x +\n         2)\n    return y\n"
    place = text.index("2)")
    assert statement(text, place, place + 1) == range(4, 6)
    assert statement(text, text.index("x=1"), text.index("x=1") + 3) == range(1, 7)
    assert statement(text, 0, len(text)) == range(1, 7)


def test_a_table_goes_on_where_it_was(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        fault_notebooks, "lines_of_all", lambda *_: {"tests/unit/test_one.py": {FILE: {1, 2}}}
    )
    faults = [Fault(n, FILE, "x + x", w, ("one",)) for n, w in (("a", "x"), ("b", "2 * x"))]
    table = tmp_path / "table.md"
    table.write_text(f"{planting.HEAD}| a | {FILE} | caught by `before` | 1 s |\n", "utf-8")
    rows = fault_notebooks.run_notebooks(faults, [small], table)
    assert ["`before`" in row for row in rows] == [True, False]
    assert "NOT CAUGHT" in rows[1] and rows[1] in capsys.readouterr().out


NUMBERS = "def numbers():\n    one = 1\n    two = 2\n    six = 6\n    return one, two, six\n"
CHECKS = {  # what each notebook would notice, were it one
    "one": "assert numbers()[0] == 1",
    "two": "assert numbers()[1] == 2",
    "none": "numbers()",
}


@pytest.fixture
def three(small, monkeypatch):
    """A project whose tests stand for three notebooks."""
    for root in (small, planting.ROOT):
        (root / "bift_utils/one.py").write_text(NUMBERS, encoding="utf-8")
        for name, check in CHECKS.items():
            text = f"from bift_utils.one import numbers\n\n\ndef test_it():\n    {check}\n"
            (root / f"tests/unit/test_{name}.py").write_text(text, encoding="utf-8")
    ran = {f"tests/unit/test_{name}.py": {FILE: {2, 3, 4}} for name in ("none", "two", "one")}
    monkeypatch.setattr(fault_notebooks, "lines_of_all", lambda *_: ran)
    return small


def fault_of(name, right, wrong):
    return Fault(name, FILE, right, wrong, ("one",))


FOUR = [
    fault_of("one is 3", "one = 1", "one = 3"),
    fault_of("one is 4", "one = 1", "one = 4"),  # cannot be planted beside the first
    fault_of("two is 3", "two = 2", "two = 3"),
    fault_of("six is 7", "six = 6", "six = 7"),
]


def test_faults_planted_together_are_told_apart(three):
    told = {}

    def tell(faults, by, seconds):
        told.update({fault.name: by for fault in faults})

    fault_notebooks.look_together(three, FOUR, "tests/unit/test_one.py", tell)
    by = "tests/unit/test_one.py::test_it"
    assert told == {"one is 3": by, "one is 4": by, "two is 3": "", "six is 7": ""}
    fault_notebooks.look_together(three, FOUR, "tests/unit/test_two.py", tell)
    assert [name for name, by in told.items() if by] == ["two is 3"]
    fault_notebooks.look_together(three, FOUR, "tests/unit/test_none.py", tell)
    assert set(told.values()) == {""}
    assert (three / FILE).read_text(encoding="utf-8") == NUMBERS


def test_what_the_first_notebook_lets_pass_is_tried_in_the_others(three, tmp_path, monkeypatch):
    planted = []
    plant = Fault.plant
    monkeypatch.setattr(
        Fault, "plant", lambda self, root: (planted.append(self), plant(self, root))
    )
    table = tmp_path / "table.md"
    rows = fault_notebooks.run_notebooks(FOUR, [three], table)
    assert {row.split(" | ")[0].strip("| "): "NOT" in row for row in rows} == {
        "one is 3": False, "one is 4": False, "two is 3": False, "six is 7": True,
    }  # fmt: skip
    planted.clear()
    assert fault_notebooks.run_notebooks(FOUR, [three], table) == rows and not planted
    table.write_text(planting.HEAD, encoding="utf-8")  # what notebooks let pass is still known
    assert len(fault_notebooks.run_notebooks(FOUR, [three], table)) == 4
    assert FOUR[3] not in planted


def test_a_fault_that_no_notebook_runs_is_not_tried(small, tmp_path, monkeypatch):
    monkeypatch.setattr(fault_notebooks, "lines_of_all", lambda *_: {"a.ipynb": {}})
    (row,) = fault_notebooks.run_notebooks([fault_of("x", "x + x", "x")], [small], tmp_path / "t")
    assert "no notebook runs it" in row


def test_the_tests_concerned_are_run_for_each_fault(small, capsys):
    faults = [fault_of(name, "x + x", wrong) for name, wrong in (("a", "x"), ("b", "2 * x"))]
    rows = run_concerned(faults, [small])
    assert ["caught by `test_one.py::test_double`" in row for row in rows] == [True, False]
    assert capsys.readouterr().out == planting.HEAD + "".join(f"{row}\n" for row in rows)


@pytest.fixture
def book(small):
    pytest.importorskip("coverage")
    pytest.importorskip("nbclient")
    (small / "bift_utils/__init__.py").write_text("", "utf-8")
    cell = nbformat.v4.new_code_cell("from bift_utils import one\n_ = one.__file__")
    path = small / "notebooks/book.ipynb"
    path.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def test_lines_that_a_notebook_runs(small, book):
    assert lines_run(small, book)[FILE] == {1}


def test_the_lines_are_looked_up_once(small, book, tmp_path):
    options = "[pytest]\naddopts = --nbval --nbval-current-env\n"
    (small / "pytest.ini").write_text(options, "utf-8")
    kept = tmp_path / "lines.json"
    first = fault_notebooks.lines_of_all([small], kept)
    assert first["notebooks/book.ipynb"][FILE] == {1}
    book.unlink()
    assert fault_notebooks.lines_of_all([small], kept) == first


def test_an_interrupted_run_is_no_verdict(small):
    stop = "def test_stop():\n    raise KeyboardInterrupt\n"
    (small / "tests/unit/test_one.py").write_text(stop, encoding="utf-8")
    with pytest.raises(RuntimeError, match="could not run"):
        planting.run_tests(small, ["tests/unit/test_one.py"])
