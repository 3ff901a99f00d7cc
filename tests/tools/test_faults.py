"""The list of planted faults fits the code, and the runner tells caught from not caught."""

import shutil

import planting
import pytest
from faults import run_concerned
from planting import Fault, check_baseline, read_faults, try_fault

FAULTS = read_faults()
FILE, TEST = "bift_utils/one.py", "tests/unit/test_one.py"
SMALL = {  # a project of one module and one test
    FILE: "def double(x):\n    return x + x\n",
    TEST: "from bift_utils.one import double\n\n\ndef test_double():\n    assert double(2) == 4\n",
}


def test_the_list_fits_the_code():
    complaints = []
    for fault in FAULTS:
        try:
            assert fault.paths() and fault.right != fault.wrong
            fault.planted(planting.ROOT)
        except ValueError as error:
            complaints.append(str(error))
    assert not complaints, "\n".join(complaints)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_every_module_has_a_fault():
    modules = {
        path.relative_to(planting.ROOT).as_posix()
        for path in (planting.ROOT / "bift_utils").rglob("*.py")
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
    monkeypatch.setattr(planting, "ROOT", root)
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    return copy


def fault_of(wrong, right="x + x", tests=("one",)):
    return Fault("a small fault", FILE, right, wrong, tests)


def test_each_fault_gets_its_verdict_and_is_mended(small, capsys):
    faults = [fault_of("x + x + x"), fault_of("2 * x"), fault_of("0", right="x - x")]
    caught, missed, no_fit = run_concerned(faults, [small])
    assert caught == "caught by `test_one.py::test_double`"
    assert missed == "**NOT CAUGHT**"
    assert no_fit.startswith(
        "**DOES NOT FIT**: The fault “a small fault” replaces text that stands 0"
    )
    assert (small / FILE).read_text(encoding="utf-8") == SMALL[FILE]
    assert f"| a small fault | {FILE} | {caught} | " in capsys.readouterr().out


def test_a_name_that_no_test_has_is_named(small):
    with pytest.raises(ValueError, match="names the test “two”, and 0 files have that name"):
        fault_of("x", tests=("two",)).paths()


@pytest.mark.parametrize("indent", ["", "    "], ids=["the whole file", "one test"])
def test_a_test_that_lacks_an_extra_is_no_verdict(small, indent):
    skip = f'{indent}pytest.importorskip("no_such_extra")\n'
    test = "def test_double():\n" + (skip if indent else "    pass\n")
    other = "def test_other():\n    pass\n" if indent else ""
    text = "import pytest\n" + ("" if indent else skip) + test + other
    (small / TEST).write_text(text, encoding="utf-8")
    assert try_fault(small, fault_of("x")) == "not run: needs an extra that is not installed"


def test_without_a_fault_everything_must_pass(small):
    (small / TEST).write_text("def test_red():\n    assert 0\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="Without any fault"):
        check_baseline(small, [TEST])


def test_an_interrupted_run_is_no_verdict(small):
    stop = "def test_stop():\n    raise KeyboardInterrupt\n"
    (small / TEST).write_text(stop, encoding="utf-8")
    with pytest.raises(RuntimeError, match="could not run"):
        try_fault(small, fault_of("x"))
