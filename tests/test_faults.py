"""The list of planted faults fits the code, and the runner tells caught from not caught."""

import shutil

import faults as runner
import pytest
from faults import Fault, read_faults

FAULTS = read_faults()
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
    for path in runner.targets(fault, notebooks=False):
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
    caught, by, _ = runner.try_fault(small, wrong, notebooks=False)
    assert caught and by == "tests/test_one.py::test_double"
    harmless = Fault("the same", "bift_utils/one.py", "x + x", "2 * x", ("one",))
    caught, by, _ = runner.try_fault(small, harmless, notebooks=False)
    assert not caught and by == ""
    assert (small / "bift_utils/one.py").read_text(encoding="utf-8") == SMALL["bift_utils/one.py"]


def test_a_fault_that_no_longer_fits_is_named(small):
    gone = Fault("gone", "bift_utils/one.py", "x - x", "0", ("one",))
    with pytest.raises(ValueError, match="“gone” replaces text that stands 0 times"):
        gone.plant(small)


def test_without_a_fault_everything_must_pass(small):
    (small / "tests/test_one.py").write_text("def test_red():\n    assert 0\n", encoding="utf-8")
    fault = Fault("any", "bift_utils/one.py", "x + x", "x", ("one",))
    with pytest.raises(SystemExit, match="Without any fault"):
        runner.check_baseline(small, [fault], notebooks=False)
