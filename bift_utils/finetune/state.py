"""The folder of a run that is under way: its saved state, its lock, and what it belongs to."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bift_utils.finetune.output import write_json

STATE, PLAIN_STATE, OPTIONS, LOCK = "state.pt", "plain.pt", "options.json", "lock"
WRITTEN = (STATE, PLAIN_STATE, OPTIONS)
OURS = {LOCK, *(name + end for name in WRITTEN for end in ("", ".partial"))}


def state_folder(output: Path) -> Path:
    """Return the folder beside `output` that holds the state of its run."""
    output = output.absolute()
    return output.with_name(output.name + ".state")


@contextmanager
def locked(output: Path, place) -> Iterator[None]:
    """Keep other runs away from `output` while this one is under way.

    The lock is that of the operating system: it ends with the process, however that ends.

    Args:
        output: folder of the model.
        place: an `accelerate.PartialState`; its main process alone takes the lock.

    Raises:
        FileExistsError: another run has it; or the folder of the state holds files that this
            project did not write.

    Introduced in notebook 08.
    """
    if not place.is_main_process:
        yield
        return
    folder = state_folder(output)
    _check_ours(folder)
    made = [path for path in folder.parents if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as file:
        _take(file, output)
        try:
            yield
        finally:
            file.close()  # which gives the lock back
            (folder / LOCK).unlink(missing_ok=True)
            for path in (folder, *made):  # after a refusal, or at the end, nothing is left
                if path.exists() and not any(path.iterdir()):
                    path.rmdir()


def _take(file, output: Path) -> None:
    """Take the operating system's lock on an open file, or say that another run has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise FileExistsError(
            f"A run for {output} is under way in another process. Wait for it, stop it, or choose "
            "another output folder."
        ) from error


def check_state(output: Path, identity: dict, resume: bool, overwrite: bool) -> None:
    """Raise unless a run may start for `output`, or go on there; nothing is written.

    Args:
        output: folder of the model.
        identity: table and options; a state of others is refused.
        resume, overwrite: what was asked for.

    Raises:
        FileExistsError: a run was broken off here, and neither was asked for; or the folder holds
            files that this project did not write, which it never deletes.
        ValueError: the state belongs to another table or other options.

    Introduced in notebook 08.
    """
    folder = state_folder(output)
    _check_ours(folder)
    if (folder / STATE).exists() and not resume and not overwrite:
        raise FileExistsError(
            f"A run for {output} was broken off; its state lies in {folder}. Ask to resume it "
            "(--resume), or to overwrite it and start anew (--overwrite)."
        )
    if folder.exists() and resume:
        _check_same(folder, identity)


def open_state(
    output: Path, identity: dict, resume: bool, overwrite: bool, place, say: Callable[[str], None]
) -> Path:
    """Make the state folder of a new run, or check that of a run to go on with.

    Arguments and errors as those of `check_state`, and:
        place: an `accelerate.PartialState`; its main process alone writes.
        say: is given each line to show.

    Introduced in notebook 08.
    """
    check_state(output, identity, resume, overwrite)
    folder = state_folder(output)
    place.wait_for_everyone()
    if place.is_main_process:
        if not resume:
            for name in OURS - {LOCK}:
                (folder / name).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / OPTIONS, identity)
        if resume:
            there = (folder / STATE).exists()
            say("Going on from the saved state." if there else "There is no saved state yet.")
    place.wait_for_everyone()
    return folder


def _check_ours(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - OURS):
        raise FileExistsError(
            f"{folder}, where the state of the run belongs, holds files that were not written by "
            "this command. Choose another output folder."
        )


def _check_same(folder: Path, identity: dict) -> None:
    try:
        saved = json.loads((folder / OPTIONS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # killed before anything was saved
    different = [name for name in identity if saved.get(name) != identity[name]]
    if different:
        shown = "; ".join(
            f"{name} was {saved.get(name)!r}, now {identity[name]!r}"
            if name != "table"
            else "the table has changed"
            for name in different
        )
        raise ValueError(
            f"The run in {folder} was started otherwise: {shown}. Resume it as it was, or ask to "
            "overwrite it and start anew (--overwrite)."
        )


def after_a_stop(output: Path) -> str:
    """Say what a run that was stopped by hand leaves behind, and how to go on.

    Introduced in notebook 08.
    """
    if (state_folder(output) / STATE).exists():
        return "stopped by hand; --resume goes on from the saved state."
    return "stopped by hand, before anything was saved; start it again."


def forget_state(output: Path) -> None:
    """Delete the state of a run that is finished; a lock in it stays until its run ends."""
    folder = state_folder(output)
    for name in OURS - {LOCK}:
        (folder / name).unlink(missing_ok=True)
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()
