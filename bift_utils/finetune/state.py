"""The folder of a run that is under way: its last two states, and how to go on from them."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

from bift_utils.finetune.output import write_json

STATE, PREVIOUS, OPTIONS = "state.pt", "previous.pt", "options.json"
OURS = {name + end for name in (STATE, PREVIOUS, OPTIONS) for end in ("", ".partial")}


def state_folder(output: Path) -> Path:
    """Return the folder beside `output` that holds the state of its run."""
    output = output.absolute()
    return output.with_name(output.name + ".state")


def open_state(
    output: Path, identity: dict, resume: bool, overwrite: bool, place, say: Callable[[str], None]
) -> Path:
    """Make the state folder of a new run, or check that of a run to go on with.

    Args:
        output: folder of the model.
        identity: table and options; a state of others is refused.
        resume, overwrite: what was asked for.
        place: an `accelerate.PartialState`; its main process alone writes.
        say: is given each line to show.

    Raises:
        FileExistsError: a run was broken off here, and neither was asked for; or the folder holds
            files that this project did not write, which it never deletes.
        ValueError: the state belongs to another table or other options.

    Introduced in notebook 08.
    """
    folder = state_folder(output)
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - OURS):
        raise FileExistsError(
            f"{folder}, where the state of the run belongs, holds files that were not written by "
            "this command. Choose another output folder."
        )
    if folder.exists() and not resume and not overwrite:
        raise FileExistsError(
            f"A run for {output} was broken off; its state lies in {folder}. Ask to resume it, or "
            "to overwrite it and start anew."
        )
    if folder.exists() and resume:
        _check_same(folder, identity)
    place.wait_for_everyone()
    if place.is_main_process:
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / OPTIONS, identity)
        if resume:
            say(_mend(folder))
    place.wait_for_everyone()
    return folder


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
            "overwrite it and start anew."
        )


def _mend(folder: Path) -> str:
    """Take the newest state that can be read; say in one sentence what is done."""
    if not (folder / STATE).exists() and not (folder / PREVIOUS).exists():
        return "There is no saved state yet: starting from the beginning."
    if is_readable(folder / STATE):
        return "Going on from the saved state."
    if is_readable(folder / PREVIOUS):
        os.replace(folder / PREVIOUS, folder / STATE)
        return "The last saved state is damaged: going on from the one before."
    (folder / STATE).unlink(missing_ok=True)
    return "The saved state is damaged and there is none before: starting from the beginning."


def is_readable(path: Path) -> bool:
    """Say whether a saved state can be read, every byte of it."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch's format, with a checksum a tensor
            if archive.testzip() is not None:
                return False
        torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch and zipfile raise many kinds on a file that is not whole
        return False
    return True


def keep_previous(folder: Path) -> None:
    """Keep a copy of the state as the previous one before a new one takes its name."""
    if (folder / STATE).exists():
        partial = folder / (PREVIOUS + ".partial")
        shutil.copyfile(folder / STATE, partial)  # no link: damage to one must spare the other
        os.replace(partial, folder / PREVIOUS)


def forget_state(output: Path) -> None:
    """Delete the state of a run that is finished."""
    shutil.rmtree(state_folder(output), ignore_errors=True)
