import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from bift_utils.finetune.state import (
    LOCK,
    OPTIONS,
    STATE,
    check_state,
    forget_state,
    locked,
    open_state,
    state_folder,
)

PLACE = SimpleNamespace(is_main_process=True, wait_for_everyone=lambda: None)
IDENTITY = {"table": "ab12", "epochs": 3, "model": "bift-mini"}


def start(output, resume=False, overwrite=False, said=None, **changed):
    say = [].append if said is None else said.append
    return open_state(output, {**IDENTITY, **changed}, resume, overwrite, PLACE, say)


def save(folder, number, name=STATE):
    torch.save({"number": number, "weights": torch.arange(1000.0)}, folder / name)


def number(folder):
    return torch.load(folder / STATE, weights_only=True)["number"]


@pytest.fixture
def output(tmp_path):
    return tmp_path / "model"


@pytest.fixture
def folder(output):
    """A run with a saved state."""
    folder = start(output)
    save(folder, 2)
    return folder


def test_a_run_that_was_broken_off_is_not_started_over_unasked(output, folder):
    with pytest.raises(FileExistsError, match="was broken off; .* resume .* or to overwrite it"):
        start(output)
    assert number(folder) == 2
    start(output, overwrite=True)
    assert sorted(path.name for path in folder.iterdir()) == [OPTIONS]


def test_going_on(output, folder):
    said = []
    assert start(output, resume=True, said=said) == folder
    assert said == ["Going on from the saved state."]
    assert number(folder) == 2


def test_resuming_wins_over_overwriting(output, folder):
    start(output, resume=True, overwrite=True)  # to replace an old model when it is done
    assert number(folder) == 2


def test_nothing_saved_yet(output):
    said = []
    start(output)
    start(output, resume=True, said=said)
    assert said == ["There is no saved state yet."]


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"epochs": 4}, "started otherwise: epochs was 3, now 4. Resume it as it was"),
        ({"table": "cd34"}, "started otherwise: the table has changed"),
        ({"epochs": 1, "model": "x"}, "epochs was 3, now 1; model was 'bift-mini', now 'x'"),
    ],
)
def test_a_run_of_other_options_or_another_table_is_refused(output, folder, changed, message):
    with pytest.raises(ValueError, match=message):
        start(output, resume=True, **changed)
    assert number(folder) == 2


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_files_of_others_are_never_deleted(output, folder, options):
    (folder / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="were not written by this command. Choose another"):
        start(output, **options)
    assert (folder / "thesis.tex").exists() and number(folder) == 2


def test_a_state_without_weights_is_no_run_to_go_on_with(output):
    start(output)  # and stopped before anything was saved
    start(output)
    with pytest.raises(ValueError, match="started otherwise: epochs was 3, now 4"):
        check_state(output, {**IDENTITY, "epochs": 4}, resume=True, overwrite=False)


HOLD = """
import sys
from pathlib import Path
import subprocess
import sys
from types import SimpleNamespace
from bift_utils.finetune.state import locked
with locked(Path(sys.argv[1]), SimpleNamespace(is_main_process=True)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_under_way_is_left_alone_and_a_killed_one_holds_nothing(output, folder):
    command = [sys.executable, "-c", HOLD, str(output)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    under_way = pytest.raises(FileExistsError, match="is under way in another process. Wait for")
    with under_way, locked(output, PLACE):
        pass
    assert number(folder) == 2 and (folder / LOCK).exists()
    other.kill()
    other.communicate()
    with locked(output, PLACE):
        assert start(output, resume=True) == folder
    assert sorted(path.name for path in folder.iterdir()) == [OPTIONS, STATE]
    with locked(output, PLACE):
        forget_state(output)
    assert not folder.exists()


def test_a_lock_leaves_nothing_behind(tmp_path):
    output = tmp_path / "deep" / "model"
    with pytest.raises(ValueError), locked(output, PLACE):
        assert state_folder(output).is_dir()
        raise ValueError
    assert not any(tmp_path.iterdir())


def test_only_the_first_process_writes(output):
    other = SimpleNamespace(is_main_process=False, wait_for_everyone=lambda: None)
    assert not open_state(output, IDENTITY, False, False, other, print).exists()


def test_a_finished_run_leaves_no_state(output, folder):
    forget_state(output)
    assert not state_folder(output).exists()
    forget_state(output)


@pytest.mark.parametrize("name", [OPTIONS, STATE])
def test_a_file_half_written_when_it_was_killed_is_no_obstacle(output, folder, name):
    (folder / f"{name}.partial").write_bytes(b"half")
    start(output, resume=True)
    assert number(folder) == 2
