"""The output folder: written whole or not at all."""

import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = "finetuning.json"  # a folder with this file was written by this project


def check_output(folder: str | Path, overwrite: bool = False) -> Path:
    """Return the output folder if it may be written: absent, empty, or ours and to be replaced.

    Raises:
        FileExistsError: the folder holds something, and `overwrite` was not asked for; or it holds
            files that this project did not write, which it never deletes.

    Introduced in notebook 08.
    """
    folder = Path(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return folder
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; expected a folder to write. Choose another.")
    if not (folder / MARK).is_file():
        raise FileExistsError(
            f"{folder} holds files that were not written by this command, and is left as it is. "
            "Choose another folder."
        )
    if not overwrite:
        raise FileExistsError(
            f"{folder} already holds a model. Choose another folder, or ask to overwrite it "
            "(--overwrite)."
        )
    return folder


@contextmanager
def whole_folder(folder: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty folder to fill; it takes its final name only when everything is written.

    If anything is raised, or the process is killed, `folder` is as it was before. An old model is
    moved aside before, and deleted after, the new one has its name.

    Introduced in notebook 08.
    """
    folder = Path(folder).absolute()
    partial, old = (folder.with_name(f".{folder.name}.{kind}") for kind in ("partial", "old"))
    if old.exists() and not folder.exists():  # killed between two renamings
        old.rename(folder)
    check_output(folder, overwrite)
    for left_over in (partial, old):
        shutil.rmtree(left_over, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def check_space(folder: Path, needed: int) -> None:
    """Raise `OSError` where the disk of a folder has less room than a run may write, in bytes.

    Introduced in notebook 08.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise OSError(
            f"The disk of {folder} has {free / 1e6:.0f} MB free; the state of the run and the "
            f"model may take {needed / 1e6:.0f} MB. Make room, or choose another output folder."
        )


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all.

    Introduced in notebook 08.
    """
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def write_json(path: Path, values: dict) -> None:
    """Write values as readable JSON, whole or not at all; what is no finite number becomes null.

    Introduced in notebook 08.
    """
    text = json.dumps(_finite(values), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def _finite(value):
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
