from types import SimpleNamespace

import pytest
import torch

from bift_utils.finetune.state import (
    OPTIONS,
    PREVIOUS,
    STATE,
    forget_state,
    is_readable,
    keep_previous,
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
    """A run with two saved states, 1 and 2."""
    folder = start(output)
    save(folder, 1)
    keep_previous(folder)
    save(folder, 2)
    return folder


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def test_a_run_that_was_broken_off_is_not_started_over_unasked(output, folder):
    with pytest.raises(FileExistsError, match="was broken off; .* resume it, or to overwrite it"):
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
    assert said == ["There is no saved state yet: starting from the beginning."]


@pytest.mark.parametrize("damage", [cut, flip, empty])
def test_a_damaged_state_costs_one_interval(output, folder, damage):
    damage(folder / STATE)
    said = []
    start(output, resume=True, said=said)
    assert said == ["The last saved state is damaged: going on from the one before."]
    assert number(folder) == 1


@pytest.mark.parametrize("damage", [cut, flip, empty])
def test_damage_between_the_two_writings_costs_nothing(output, folder, damage):
    keep_previous(folder)  # killed before the new state was written
    damage(folder / STATE)
    start(output, resume=True)
    assert number(folder) == 2


def test_without_a_readable_state_it_begins_anew(output, folder):
    cut(folder / STATE)
    flip(folder / PREVIOUS)
    said = []
    start(output, resume=True, said=said)
    assert said == [
        "The saved state is damaged and there is none before: starting from the beginning."
    ]
    assert not (folder / STATE).exists()


def test_a_state_that_is_missing_is_taken_from_the_one_before(output, folder):
    (folder / STATE).unlink()
    start(output, resume=True)
    assert number(folder) == 1


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


def test_only_the_first_process_writes(output):
    other = SimpleNamespace(is_main_process=False, wait_for_everyone=lambda: None)
    assert not open_state(output, IDENTITY, False, False, other, print).exists()


def test_code_in_a_state_is_not_run(folder, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save(Evil(), folder / STATE)
    assert not is_readable(folder / STATE)
    assert not (tmp_path / "ran").exists()


def test_a_finished_run_leaves_no_state(output, folder):
    forget_state(output)
    assert not state_folder(output).exists()
    forget_state(output)


@pytest.mark.parametrize("name", [OPTIONS, STATE, PREVIOUS])
def test_a_file_half_written_when_it_was_killed_is_no_obstacle(output, folder, name):
    (folder / f"{name}.partial").write_bytes(b"half")
    start(output, resume=True)
    assert number(folder) == 2
