"""The folder of a run that is under way: its saved state, and what it belongs to."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from bift_utils.finetune.output import write_json

STATE, OPTIONS = "state.pt", "options.json"
OURS = {name + end for name in (STATE, OPTIONS) for end in ("", ".partial")}


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
            there = (folder / STATE).exists()
            say("Going on from the saved state." if there else "There is no saved state yet.")
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


def forget_state(output: Path) -> None:
    """Delete the state of a run that is finished."""
    shutil.rmtree(state_folder(output), ignore_errors=True)
