"""Training on both objectives: one step, one loop, its history; devices through `accelerate`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from tqdm.auto import tqdm
from transformers import get_linear_schedule_with_warmup

from bift_utils.losses import (
    IGNORE_INDEX,
    check_mlm_weight,
    joint_loss,
    masked_lm_loss,
    sequence_loss,
)
from bift_utils.runtime import get_device


def training_step(model, batch: dict[str, torch.Tensor], mlm_weight: float) -> dict:
    """Run the model once on a batch and return the losses; the caller does the rest.

    Rows with `mlm_labels` go through the masked-LM head at those positions, rows with `labels`
    through the classifier. A head whose weight is zero is not run at all.

    Args:
        model: a `BertForJointTraining`.
        batch: `input_ids`, `attention_mask`, and where they are needed `mlm_labels` (R, T) and
            `labels` (R,); see `masking.JointCollator`.
        mlm_weight: λ in [0, 1].

    Returns:
        `loss` (the weighted sum, with its graph), and `mlm_loss` and `task_loss` where they were
        computed; in nats.

    Introduced in notebook 06.
    """
    positions = rows = mlm = task = None
    if mlm_weight > 0:
        positions = batch["mlm_labels"] != IGNORE_INDEX
    if mlm_weight < 1:
        rows = batch["labels"] != IGNORE_INDEX
    outputs = model(
        batch["input_ids"], batch["attention_mask"], masked_positions=positions, sequence_rows=rows
    )
    losses = {}
    if positions is not None:
        mlm = losses["mlm_loss"] = masked_lm_loss(
            outputs["mlm_logits"], batch["mlm_labels"][positions]
        )
    if rows is not None:
        task = losses["task_loss"] = sequence_loss(
            outputs["sequence_logits"], batch["labels"][rows]
        )
    return {"loss": joint_loss(mlm, task, mlm_weight), **losses}


@dataclass(frozen=True)
class TrainingConfig:
    """Options of one fine-tuning run.

    Args:
        mlm_weight: λ in L = λ·L_MLM + (1 − λ)·L_task, from 0 to 1.
        epochs: passes over the training texts, at least one.
        learning_rate: peak of AdamW's rate; it rises over `warmup_share` of the steps and then
            falls to zero, both linearly.
        weight_decay: decoupled decay of the matrices; biases and LayerNorm are not decayed.
        max_grad_norm: gradients are scaled down to this norm.
        evaluations_per_epoch: how often the validation texts are scored.
        patience: evaluations without improvement before training stops; None for never.

    Raises:
        ValueError: an option is outside its range.

    Introduced in notebook 06.
    """

    mlm_weight: float = 0.3
    epochs: int = 3
    learning_rate: float = 3e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    evaluations_per_epoch: int = 2
    patience: int | None = None

    def __post_init__(self):
        check_mlm_weight(self.mlm_weight)
        for name in ("epochs", "learning_rate", "evaluations_per_epoch"):
            if getattr(self, name) <= 0:
                raise ValueError(
                    f"{name} was given as {getattr(self, name)}; expected a number above zero."
                )
        if self.patience is not None and self.patience < 1:
            raise ValueError(
                f"patience was given as {self.patience}; expected 1 or more, or None for never."
            )


@dataclass
class History:
    """What happened in a run: one dict for every step and one for every evaluation.

    `steps` holds `step`, `loss`, and `mlm_loss` and `task_loss` where they were computed (nats);
    `evaluations` holds `step` and whatever the evaluation returned. `best_step` is the step whose
    weights were kept, `stopped` says why the run ended.

    Introduced in notebook 06.
    """

    steps: list[dict] = field(default_factory=list)
    evaluations: list[dict] = field(default_factory=list)
    best_step: int = 0
    stopped: str = "all epochs done"

    def column(self, name: str, of: str = "steps") -> tuple[list[int], list[float]]:
        """Return the steps and values of one measured quantity, for plotting."""
        rows = [row for row in getattr(self, of) if name in row]
        return [row["step"] for row in rows], [row[name] for row in rows]


class BestWeights:
    """Remember the weights of the best evaluation, and when to stop (early stopping).

    Better means higher validation accuracy, or the same with a lower validation loss; without an
    accuracy the loss decides alone.
    """

    def __init__(self, patience: int | None):
        self.patience = patience
        self.score, self.step, self.weights, self.waited = None, 0, None, 0

    def update(self, model, step: int, measured: dict[str, float]) -> bool:
        """Take note of an evaluation; return True when it is time to stop."""
        score = (measured.get("accuracy", 0.0), -measured["loss"])
        if self.score is None or score > self.score:
            self.score, self.step, self.waited = score, step, 0
            self.weights = {name: value.clone() for name, value in model.state_dict().items()}
        else:
            self.waited += 1
        return self.patience is not None and self.waited >= self.patience


def make_optimizer(model, config: TrainingConfig) -> torch.optim.AdamW:
    """Return AdamW with weight decay on matrices only.

    Source: Loshchilov and Hutter 2019; Devlin et al. 2019, appendix A.3.
    """
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def train(
    model,
    loader: Iterable[dict[str, torch.Tensor]],
    config: TrainingConfig,
    evaluate: Callable[[torch.nn.Module], dict[str, float]] | None = None,
    callbacks: Sequence[Callable[[History], None]] = (),
) -> History:
    """Train a model in place on the joint loss, simultaneously: one update per batch on the sum.

    With `evaluate`, the weights of the best evaluation are put back at the end. Stopping by hand
    (an interrupt) ends the loop cleanly: the model and the history so far can be used.

    Args:
        model: a `BertForJointTraining`.
        loader: batches as `training_step` takes them, and a length.
        config: the options.
        evaluate: returns `loss` and, where there is one, `accuracy` on validation data.
        callbacks: called with the history after each evaluation.

    Returns:
        The history of the run.

    Source: the article, sections 3.3 and 4.3. Introduced in notebook 06.
    """
    accelerator = Accelerator(cpu=get_device().type == "cpu")
    optimizer = make_optimizer(model, config)
    total = config.epochs * len(loader)
    schedule = get_linear_schedule_with_warmup(optimizer, round(config.warmup_share * total), total)
    model, optimizer = accelerator.prepare(model, optimizer)
    history, best = History(), BestWeights(config.patience)
    evaluate_at = set(evaluation_steps(len(loader), config))
    try:
        for step, batch in enumerate(tqdm(repeat(loader, config.epochs), total=total), start=1):
            losses = update(model, optimizer, batch, config, accelerator)
            schedule.step()
            history.steps.append({"step": step, **losses})
            if evaluate is None or step not in evaluate_at:
                continue
            measured = evaluate(model)
            history.evaluations.append({"step": step, **measured})
            stop = best.update(model, step, measured)
            for callback in callbacks:
                callback(history)
            if stop:
                history.stopped = f"no improvement in {config.patience} evaluations"
                break
    except KeyboardInterrupt:
        history.stopped = "stopped by hand"
    if best.weights is not None:
        model.load_state_dict(best.weights)
    history.best_step = best.step or len(history.steps)
    return history


def update(model, optimizer, batch, config: TrainingConfig, accelerator) -> dict[str, float]:
    """Take one optimiser step on one batch and return its losses as numbers."""
    model.train()
    batch = {key: value.to(accelerator.device) for key, value in batch.items()}
    losses = training_step(model, batch, config.mlm_weight)
    accelerator.backward(losses["loss"])
    accelerator.clip_grad_norm_(model.parameters(), config.max_grad_norm)
    optimizer.step()
    optimizer.zero_grad()
    return {name: float(value.detach()) for name, value in losses.items()}


def repeat(loader: Iterable, epochs: int) -> Iterator:
    """Yield the batches of several passes over a loader."""
    for _ in range(epochs):
        yield from loader


def evaluation_steps(steps_per_epoch: int, config: TrainingConfig) -> list[int]:
    """Return the steps after which to evaluate, evenly spread; the last step is one of them."""
    count = config.epochs * config.evaluations_per_epoch
    total = config.epochs * steps_per_epoch
    return [round(total * (i + 1) / count) for i in range(count)]
