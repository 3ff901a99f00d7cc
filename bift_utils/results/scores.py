"""What the runs of a study answered, sentence by sentence, in an `.npz` beside its table.

Shapes: S runs, N sentences.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy
import torch
from torch import Tensor

SCORE_STEP = 0.05  # stored log-odds have this precision


def pack_scores(probabilities: Tensor) -> Tensor:
    """Return the log-odds of class 1 as uint8, (N,), one byte a sentence; see `unpack_scores`.

    Introduced in notebook 07.
    """
    log_odds = torch.logit(probabilities[:, 1].double(), eps=1e-9)
    steps = ((log_odds / SCORE_STEP).ceil() - 1).clamp(-128, 127)  # a tie counts as class 0
    return (steps + 128).to(torch.uint8)


def unpack_scores(packed: Tensor) -> Tensor:
    """Return P(class 1) of each sentence, (N,), from what `pack_scores` returned.

    Log-odds come back with an error of at most 0.025 and never change their sign; beyond 6.4
    (P = 0.998) they are cut off. Introduced in notebook 07.
    """
    return torch.sigmoid((packed.double() - 128 + 0.5) * SCORE_STEP)


def store_scores(path: Path, name: str, packed: Mapping[str, Tensor]) -> None:
    """Add the scores of one run to the `.npz`, in place of earlier ones of the same run.

    The whole file is written anew, so that a kill leaves the old one or the new one.

    Args:
        path: the file; made if it is not there. It holds `run`, (R,) names of runs, and for each
            part of the data uint8 scores, (R, N).
        name: of the run, from its table's `run_name`.
        packed: part of the data to the run's packed scores, (N,).
    """
    stored = {part: scores.numpy()[None] for part, scores in packed.items()}
    stored["run"] = numpy.array([name])
    if path.exists():
        with numpy.load(path, allow_pickle=False) as old:
            others = old["run"] != name
            stored = {key: numpy.concatenate([old[key][others], stored[key]]) for key in stored}
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        numpy.savez_compressed(file, **stored)  # type: ignore[arg-type]  # numpy's own stub
    partial.replace(path)


def read_scores(path: Path, names: Sequence[str], part: str = "test") -> Tensor:
    """Return the P(class 1) that each run gave to each sentence of a part, (S, N).

    Raises:
        ValueError: the file has no scores of a run.
    """
    with numpy.load(path, allow_pickle=False) as stored:
        places = {name: place for place, name in enumerate(stored["run"].tolist())}
        packed = torch.from_numpy(stored[part])
    if missing := [name for name in names if name not in places]:
        raise ValueError(
            f"There are no stored scores of the run {missing[0]!r}; expected those of every row. "
            "Take the table and the .npz from the same study."
        )
    return torch.stack([unpack_scores(packed[places[name]]) for name in names])
