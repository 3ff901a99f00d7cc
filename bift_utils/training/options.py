"""Options of a run, and its schedule: simultaneous, alternating, and the task-only finish.

A schedule says which updates are made with one batch of a loader: the λ of each, in their order.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from bift_utils.runtime import check_options, number, of_type, one_of, or_none, whole
from bift_utils.training.losses import MLM_WEIGHT

PRECISIONS = ("fp32", "bf16", "fp16")


def simultaneous(turn: int, config) -> list[float]:
    """One update a batch, on the weighted sum of both losses.

    Introduced in notebook 06.
    """
    return [config.mlm_weight]


def alternating(turn: int, config) -> list[float]:
    """A task update a batch, and a masked-LM update after every k-th one.

    k is `config.task_updates_per_mlm`. λ weighs nothing here: each update has one loss, and Adam
    does not feel its scale; the ratio of the updates takes the place of λ.

    Source: the article, section 3.3; Yao et al. 2022 alternate batches. Introduced in notebook 06.
    """
    return [0.0, 1.0] if (turn + 1) % config.task_updates_per_mlm == 0 else [0.0]


def task_only(turn: int, config) -> list[float]:
    """One update a batch, on the task alone: the finish after either schedule.

    Source: Yao et al. 2022 (TLM's second stage). Introduced in notebook 06.
    """
    return [0.0]


SCHEDULES: dict[str, Callable[[int, object], list[float]]] = {
    "simultaneous": simultaneous,
    "alternating": alternating,
}


RULES = {
    "mlm_weight": MLM_WEIGHT,
    "epochs": whole(1),
    "learning_rate": number(0.0, above=True),
    "warmup_share": number(0.0, 1.0),
    "weight_decay": number(0.0),
    "max_grad_norm": number(0.0, above=True),  # below 0 the clipped gradient would climb
    "evaluations_per_epoch": whole(1),
    "patience": or_none(whole(1), "never"),
    "schedule": one_of(tuple(SCHEDULES)),
    "task_updates_per_mlm": whole(1)._replace(
        expected="a whole number of 1 or more: how many task updates for each masked-LM update"
    ),
    "finish_epochs": whole(0),
    "finish_learning_rate": or_none(number(0.0, above=True), "the learning rate"),
    "precision": one_of(PRECISIONS),
    "accumulate": whole(1),
    "fused": of_type(bool, "True or False"),
}


@dataclass(frozen=True)
class TrainingConfig:
    """Options of one fine-tuning run.

    Args:
        mlm_weight: λ in L = λ·L_MLM + (1 − λ)·L_task, from 0 to 1; notebook 07b says why 0.1.
        epochs: passes over the training texts, at least one.
        learning_rate: peak of AdamW's rate; it rises over `warmup_share` of the updates and then
            falls to zero, both linearly.
        weight_decay: decoupled decay of the matrices; biases and LayerNorm are not decayed.
        max_grad_norm: gradients are scaled down to this norm.
        evaluations_per_epoch: how often the validation texts are scored.
        patience: evaluations without improvement before training stops; None for never.
        schedule: "simultaneous" (one update on the weighted sum) or "alternating" (updates on one
            loss at a time; λ then weighs nothing).
        task_updates_per_mlm: how many task updates for each masked-LM update, when alternating.
        finish_epochs: passes on the task alone that follow, from the best weights so far, with a
            fresh optimiser and a fresh rise and fall of the rate; 0 for none.
        finish_learning_rate: the peak of that rate; None for `learning_rate`.
        precision: "fp32", or "bf16" or "fp16" for matrix products in half precision.
        accumulate: passes an update, each over a part of the batch: less memory, the same result.
        fused: use the library's fused AdamW, faster and equal up to rounding.

    Raises:
        ValueError: an option is not of its type or outside its range, or two do not go together.

    Introduced in notebook 06.
    """

    mlm_weight: float = 0.1
    epochs: int = 3
    learning_rate: float = 3e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    evaluations_per_epoch: int = 2
    patience: int | None = None
    schedule: str = "simultaneous"
    task_updates_per_mlm: int = 1
    finish_epochs: int = 0
    finish_learning_rate: float | None = None
    precision: str = "fp32"
    accumulate: int = 1
    fused: bool = False

    def __post_init__(self):
        check_options(self, RULES)
        if self.schedule == "alternating" and self.mlm_weight in (0.0, 1.0):
            raise ValueError(
                f"An alternating schedule was asked for with λ = {self.mlm_weight}; expected λ "
                "between 0 and 1, because both objectives take their turn. For one objective "
                "alone use the simultaneous schedule."
            )

    def stages(self) -> list[tuple[Callable, "TrainingConfig"]]:
        """Return the schedule and the options of each stage: the run, then the finish if any."""
        stages = [(SCHEDULES[self.schedule], self)]
        if self.finish_epochs:
            rate = self.finish_learning_rate or self.learning_rate
            stages.append((task_only, replace(self, epochs=self.finish_epochs, learning_rate=rate)))
        return stages


def count_updates(turns: int, schedule: Callable, config) -> int:
    """Return how many updates a schedule makes out of `turns` batches."""
    extra = turns // config.task_updates_per_mlm if schedule is alternating else 0
    return turns + extra


def repeat(loader: Iterable, epochs: int) -> Iterator:
    """Yield the batches of several passes over a loader."""
    for _ in range(epochs):
        yield from loader


def evaluation_turns(turns_per_epoch: int, epochs: int, evaluations_per_epoch: int) -> list[int]:
    """Return the batches after which to evaluate, evenly spread; the last is one of them."""
    count = epochs * evaluations_per_epoch
    total = epochs * turns_per_epoch
    return [round(total * (i + 1) / count) for i in range(count)]
