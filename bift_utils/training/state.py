"""The saved state of a run: written at evaluations, read back to go on exactly from there."""

import random
import zipfile
from pathlib import Path
from typing import Any, cast

import numpy
import torch

from bift_utils.training.history import BestWeights, History


def signature(model, loader, config: dict) -> dict:
    """Return what must be equal for a saved state to belong to a run.

    Args:
        model: its parameters' names and shapes count.
        loader: its length counts.
        config: the options of the run.

    Introduced in notebook 06.
    """
    shapes = {name: list(value.shape) for name, value in model.named_parameters()}
    return {**config, "batches a pass": len(loader), "parameters of the model": shapes}


def fingerprint(batch: dict[str, torch.Tensor]) -> list[int]:
    """Return a few whole numbers that tell one batch from another."""
    ids = batch["input_ids"].long()
    places = torch.arange(1, ids.numel() + 1, device=ids.device)
    return [*ids.shape, int((ids.flatten() * places).sum())]


def random_state() -> dict:
    """Return the state of every global random stream that `runtime.set_seed` seeds."""
    name, keys, *rest = cast(tuple, numpy.random.get_state())
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": (name, keys.tolist(), *rest),
        "python": random.getstate(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def restore_random_state(state: dict) -> None:
    """Put the global random streams back."""
    torch.set_rng_state(state["torch"])
    name, keys, *rest = state["numpy"]
    numpy.random.set_state((name, numpy.array(keys, dtype=numpy.uint32), *rest))
    random.setstate(state["python"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def save_state(path: Path, state: dict) -> None:
    """Write a state; a kill leaves the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    torch.save(state, partial)
    partial.replace(path)


def load_state(path: Path | None, expected: dict | None, device="cpu") -> dict | None:
    """Read a state back, or return None where there is none yet.

    Args:
        path: the file; None for a run that saves nothing.
        expected: the `signature` of the run that wants to go on.
        device: where the tensors go.

    Raises:
        ValueError: the file is not a saved state, or belongs to another run; the message names
            the options that differ. Nothing is written.

    Introduced in notebook 06.
    """
    if path is None or expected is None or not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:  # torch reads the largest part without its checksum
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"the checksum of {damaged} is wrong")
        state = torch.load(path, map_location=device, weights_only=True)
        found = state["signature"]
    except Exception as error:  # torch raises many kinds on a file that is not its own
        raise ValueError(
            f"The file {path} is no saved training state, or a damaged one "
            f"({type(error).__name__}). Give another path, or move that file away to start anew."
        ) from error
    names = {**found, **expected}
    different = [name for name in names if found.get(name) != expected.get(name)]
    if different:
        shown = [
            name if isinstance(names[name], dict)
            else f"{name} (saved: {found.get(name)}, now: {expected.get(name)})"
            for name in different
        ]  # fmt: skip
        raise ValueError(
            f"The state in {path} belongs to another run; it differs in {', '.join(shown)}. "
            "Go on with the same options, or give another path to start anew."
        )
    return state


def pack(history: History, best: BestWeights) -> dict:
    """Turn history and best weights into what `torch.load(weights_only=True)` can read."""
    return {"history": vars(history), "best": vars(best)}


def unpack(state: dict, history: History, best: BestWeights) -> None:
    """Fill history and best weights with what `pack` made."""
    for target, values in ((history, state["history"]), (best, state["best"])):
        for name, value in values.items():
            setattr(target, name, value)
