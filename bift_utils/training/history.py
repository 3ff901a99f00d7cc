"""What a run leaves behind: its history, and the weights of its best evaluation."""

import math
from dataclasses import dataclass, field

import torch

STOPPED_BY_HAND = "stopped by hand"


class NonFiniteLoss(ValueError):
    """The loss of an update, or its gradient, is infinite or not a number."""


@dataclass
class History:
    """What happened in a run: one dict for every update and one for every evaluation.

    `steps` holds `step` (the number of the update), `objective` ("joint", "task" or "mlm": what
    the update served), `loss`, and `mlm_loss` and `task_loss` where they were computed (nats);
    `evaluations` holds `step` and whatever the evaluation returned. `best_step` is the step whose
    weights were kept, `stopped` says why the run ended, and `finish_from` is the last step before
    the task-only finish, or None where there was none; `diverged` is True where a loss that was
    no finite number ended the run.

    Introduced in notebook 06.
    """

    steps: list[dict] = field(default_factory=list)
    evaluations: list[dict] = field(default_factory=list)
    best_step: int = 0
    stopped: str = "all epochs done"
    finish_from: int | None = None
    diverged: bool = False

    def check_whole(self) -> None:
        """Raise unless the run came to its own end: no study keeps a row of one that did not.

        Raises:
            KeyboardInterrupt: it was stopped by hand.
            NonFiniteLoss: its loss was no finite number.
        """
        if self.stopped == STOPPED_BY_HAND:
            raise KeyboardInterrupt
        if self.diverged:
            raise NonFiniteLoss(self.stopped)

    def column(self, name: str, of: str = "steps") -> tuple[list[int], list[float]]:
        """Return the steps and values of one measured quantity, for plotting."""
        rows = [row for row in getattr(self, of) if name in row]
        return [row["step"] for row in rows], [row[name] for row in rows]

    def count(self, objective: str) -> int:
        """Return how many updates served "joint", "task" or "mlm"."""
        return sum(row["objective"] == objective for row in self.steps)


class BestWeights:
    """Remember the weights of the best evaluation, and when to stop (early stopping).

    Better means a higher `score` of the evaluation, which is its accuracy where it names none, or
    the same with a lower validation loss; without either the loss decides alone.
    """

    def __init__(self, patience: int | None):
        self.patience = patience
        self.score: tuple[float, float] | None = None
        self.weights: dict[str, torch.Tensor] | None = None
        self.step = self.waited = 0

    def update(self, model, step: int, measured: dict[str, float]) -> bool:
        """Take note of an evaluation; return True when it is time to stop."""
        score = (measured.get("score", measured.get("accuracy", 0.0)), -measured["loss"])
        finite = all(math.isfinite(value) for value in score)  # NaN is never an improvement
        if finite and (self.score is None or score > self.score):
            self.score, self.step, self.waited = score, step, 0
            self.weights = {name: value.clone() for name, value in model.state_dict().items()}
        else:
            self.waited += 1
        return self.patience is not None and self.waited >= self.patience

    def restore(self, model) -> None:
        """Put the best weights back; without an evaluation the model stays as it is."""
        if self.weights is not None:
            model.load_state_dict(self.weights)
