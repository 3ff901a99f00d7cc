"""Training on both objectives: one step, one loop for every schedule; devices by `accelerate`."""

import collections
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import broadcast_object_list, gather_object
from tqdm.auto import tqdm
from transformers import get_linear_schedule_with_warmup

from bift_utils.data.batches import IGNORE_INDEX, move_batch
from bift_utils.models.joint import forget_created
from bift_utils.models.sharing import independent_parts
from bift_utils.runtime import get_device
from bift_utils.training.history import STOPPED_BY_HAND, BestWeights, History, NonFiniteLoss
from bift_utils.training.losses import joint_loss, masked_lm_loss, sequence_loss
from bift_utils.training.options import TrainingConfig, count_updates, evaluation_turns, repeat
from bift_utils.training.pieces import count_answers, needed_rows, split_batch
from bift_utils.training.state import (
    fingerprint,
    load_state,
    pack,
    random_state,
    restore_random_state,
    save_state,
    signature,
    unpack,
)

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}  # what matrix products are computed in


def training_step(
    model, batch: dict[str, torch.Tensor], mlm_weight: float, answers: dict[str, int] | None = None
) -> dict[str, torch.Tensor]:
    """Run the model once on a batch and return L = λ·L_MLM + (1 − λ)·L_task and its parts.

    Rows that nothing with a weight is asked of are left out before the encoder. The masked-LM head
    answers at the positions that have a label, the classifier for the rows (or tokens) that have a
    class; a head whose weight is zero is not run at all.

    Args:
        model: a `BertForJointTraining`.
        batch: `input_ids`, `attention_mask`, and where they have a weight `mlm_labels` (R, T) and
            `labels` (R,), or (R, T) for a label a token; see `masking.JointCollator`.
        mlm_weight: λ in [0, 1].
        answers: for a part of a batch, `count_answers` of the whole batch, by which the losses are
            then divided, so that the parts' losses add up to the whole batch's.

    Returns:
        `loss` (the weighted sum, with its graph), and `mlm_loss` and `task_loss` where they were
        computed; in nats.

    Introduced in notebook 06.
    """
    batch, answers = needed_rows(batch, mlm_weight), answers or {}
    blanks = batch["mlm_labels"] != IGNORE_INDEX if mlm_weight > 0 else None  # (R, T)
    classes = batch["labels"] != IGNORE_INDEX if mlm_weight < 1 else None  # (R,) or (R, T)
    outputs = model(
        batch["input_ids"], batch["attention_mask"], masked_positions=blanks, classified=classes
    )
    losses = {}
    if blanks is not None:
        losses["mlm_loss"] = masked_lm_loss(
            outputs["mlm_logits"], batch["mlm_labels"][blanks], answers.get("mlm_loss")
        )
    if classes is not None:
        losses["task_loss"] = sequence_loss(
            outputs["class_logits"], batch["labels"][classes], answers.get("task_loss")
        )
    loss = joint_loss(losses.get("mlm_loss"), losses.get("task_loss"), mlm_weight)
    return {"loss": loss, **losses}


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
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=config.fused)


def train(
    model,
    loader: Iterable[dict[str, torch.Tensor]],
    config: TrainingConfig,
    evaluate: Callable[[torch.nn.Module], dict[str, float]] | None = None,
    callbacks: Sequence[Callable[[History], None]] = (),
    checkpoint: str | Path | None = None,
) -> History:
    """Train a model in place on both objectives, simultaneously or alternating.

    With `evaluate`, the weights of the best evaluation are put back at the end. Stopping by hand
    (an interrupt) ends the loop cleanly: the model and the history so far can be used. So does a
    loss that is no longer a finite number, once there is a best evaluation to go back to.

    With `checkpoint`, the whole state is saved there after each evaluation. The same call, with a
    model and a loader made anew in the same way, then goes on from there and ends with the same
    weights as a run that was never broken off.

    Args:
        model: a `BertForJointTraining`, or a model from `models.share_layers`.
        loader: batches as `training_step` takes them, and a length.
        config: the options.
        evaluate: returns `loss` and, where there is one, `accuracy` on validation data.
        callbacks: called with the history after each evaluation.
        checkpoint: a file to save the state in and to go on from; None to save nothing.

    Returns:
        The history of the run.

    Raises:
        ValueError: the loader is empty; or the state in `checkpoint` belongs to other options,
            another model or other data, or there is no `evaluate`. Nothing is trained then.
        NonFiniteLoss: the loss was not a finite number before anything was evaluated.

    Source: the article, sections 3.3 and 4.3. Introduced in notebook 06.
    """
    checkpoint = None if checkpoint is None else Path(checkpoint)
    run = Run(model, loader, config, evaluate, callbacks, checkpoint)
    try:
        for number, (schedule, options) in enumerate(config.stages()):
            run.stage(number, schedule, options)
    except KeyboardInterrupt:
        run.history.stopped = STOPPED_BY_HAND
    except NonFiniteLoss as error:
        run.stop_at(error)
    run.best.restore(model)
    run.note_trained_heads()
    run.history.best_step = run.best.step or len(run.history.steps)
    return run.history


def make_accelerator() -> Accelerator:
    """Return an `Accelerator` that leaves the precision and the accumulation to our options.

    All accelerators of a process share a state, and the environment has a say in it: without this,
    one made before, or ACCELERATE_MIXED_PRECISION, would choose another precision in silence.
    """
    # one head alone may be trained: its absent gradients must not be waited for
    several = DistributedDataParallelKwargs(find_unused_parameters=True)
    cpu = get_device().type == "cpu"
    try:
        accelerator = Accelerator(cpu=cpu, kwargs_handlers=[several], mixed_precision="no")
    except ValueError:  # the state is that of one made before, with another precision
        accelerator = Accelerator(cpu=cpu, kwargs_handlers=[several])
    accelerator.native_amp, accelerator.scaler = False, None
    accelerator.gradient_accumulation_steps = 1
    return accelerator


class Run:
    """One call of `train`: what its stages share, and the state that is saved.

    Arguments as those of `train`.
    """

    def __init__(self, model, loader, config, evaluate, callbacks, checkpoint):
        if checkpoint and not evaluate:
            raise ValueError(
                "A checkpoint was asked for without evaluate; expected both, because the state is "
                "saved after each evaluation. Pass a function that scores the validation texts."
            )
        if not len(loader):
            raise ValueError("The loader has no batch; expected at least one to train on.")
        self.loader, self.config, self.evaluate = loader, config, evaluate
        self.callbacks, self.checkpoint = callbacks, checkpoint
        self.history, self.best = History(), BestWeights(config.patience)
        self.signature = None if checkpoint is None else signature(model, loader, asdict(config))
        self.saved = load_state(checkpoint, self.signature)
        self.turns = []  # batches taken in each stage
        self.accelerator = make_accelerator()
        if config.precision == "fp16":  # small gradients would be zero: they are scaled up
            kind = self.accelerator.device.type
            self.accelerator.scaler = torch.amp.GradScaler(kind, init_scale=2.0**12)
        self.model = self.accelerator.prepare(model)
        self.plain = self.accelerator.unwrap_model(self.model)  # not wrapped for several processes

    def stage(self, number: int, schedule: Callable, options: TrainingConfig) -> None:
        """Train one stage: the schedule's updates of every batch, evaluations between them."""
        saved = self.saved if self.saved and number < len(self.saved["turns"]) else None
        if number and not saved:
            self.begin_finish()
        turns = options.epochs * len(self.loader)
        total = count_updates(turns, schedule, options)
        optimizer = make_optimizer(self.model, options)
        warmup = round(options.warmup_share * total)
        rates = get_linear_schedule_with_warmup(optimizer, warmup, total)
        optimizer = self.accelerator.prepare(optimizer)
        batches = repeat(self.loader, options.epochs)
        self.turns.append(0)
        if saved and self.skip(saved, batches, number, optimizer, rates):
            return
        shape = (len(self.loader), options.epochs, options.evaluations_per_epoch)
        evaluate_at = set(evaluation_turns(*shape)) if self.evaluate else set()
        done = self.turns[-1]
        quiet = True if not self.accelerator.is_local_main_process else None
        for batch in tqdm(batches, total=turns, initial=done, disable=quiet):
            for weight in schedule(self.turns[-1], options):
                losses = update(self.model, optimizer, batch, options, self.accelerator, weight)
                rates.step()
                self.note(weight, losses)
            self.turns[-1] += 1
            if self.turns[-1] in evaluate_at and self.score(batch, optimizer, rates):
                break

    def stop_at(self, error: NonFiniteLoss) -> None:
        """End the run with a sentence; what was best until then stays."""
        step = len(self.history.steps) + 1
        sentence = f"{error} at update {step}; lower the learning rate"
        if not self.best.step:
            raise NonFiniteLoss(f"{sentence}. Nothing was evaluated before that.") from error
        self.history.diverged = True
        self.history.stopped = f"{sentence}. The weights are those of update {self.best.step}"

    def note(self, weight: float, losses: dict[str, float]) -> None:
        """Add one update to the history."""
        objective = {0.0: "task", 1.0: "mlm"}.get(weight, "joint")
        step = len(self.history.steps) + 1
        self.history.steps.append({"step": step, "objective": objective, **losses})

    def note_trained_heads(self) -> None:
        """Let a head that the checkpoint lacked answer questions from now on, if it was trained."""
        served = {row["objective"] for row in self.history.steps}
        if served & {"joint", "mlm"}:
            forget_created(self.plain, "cls.")
        if served & {"joint", "task"}:
            forget_created(self.plain, "classifier.", "bert.pooler.")

    def score(self, batch, optimizer, rates) -> bool:
        """Evaluate, save the state, and return True when it is time to stop."""
        step = len(self.history.steps)
        measured = self.evaluate(self.plain)
        if self.accelerator.num_processes > 1:  # all must agree on when to stop
            measured = broadcast_object_list([measured])[0]
        self.history.evaluations.append({"step": step, **measured})
        stop = self.best.update(self.plain, step, measured)
        if stop:
            self.history.stopped = f"no improvement in {self.config.patience} evaluations"
        random = gather_object([random_state()])  # a state a process: each draws its own dropout
        if self.checkpoint and self.accelerator.is_main_process:
            state = {
                "signature": self.signature, "turns": self.turns, "stop": stop,
                "last_batch": fingerprint(batch), "model": self.plain.state_dict(),
                "optimizer": optimizer.state_dict(), "rates": rates.state_dict(),
                "random": random, **pack(self.history, self.best),
            }  # fmt: skip
            if self.accelerator.scaler is not None:
                state["scaler"] = self.accelerator.scaler.state_dict()
            save_state(self.checkpoint, state)
        for callback in self.callbacks:
            callback(self.history)
        return stop

    def skip(self, saved: dict, batches, number: int, optimizer, rates) -> bool:
        """Pass over what was done before; return True when that was the whole stage."""
        taken = saved["turns"][number]
        batch = collections.deque(itertools.islice(batches, taken), maxlen=1).pop()
        self.turns[-1] = taken
        if number + 1 < len(saved["turns"]):
            return True
        if fingerprint(batch) != saved["last_batch"]:
            raise ValueError(
                f"The state in {self.checkpoint} was saved on other data, or in another order: "
                f"batch {taken} is not the same. Make the loader with the same texts and seeds, "
                "or give another path to start anew."
            )
        self.plain.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        rates.load_state_dict(saved["rates"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(saved["scaler"])
        unpack(saved, self.history, self.best)
        place = self.accelerator.process_index
        if place < len(saved["random"]):  # a run may go on with more processes than it had
            restore_random_state(saved["random"][place])
        return saved["stop"]

    def begin_finish(self) -> None:
        """Start the finish from the best weights so far, with new patience."""
        self.best.restore(self.plain)
        self.best.waited = 0
        self.history.stopped = "all epochs done"
        self.history.finish_from = len(self.history.steps)


def update(
    model, optimizer, batch, config: TrainingConfig, accelerator, mlm_weight: float
) -> dict[str, float]:
    """Take one optimiser step on one batch and return its losses as numbers.

    Every process is given the same batch, takes its part, and may take it in several passes; all
    losses are divided by the answers of the whole batch, so that the parts add up to it.

    Raises:
        NonFiniteLoss: the loss or its gradient is no finite number; the weights stay as they were.
    """
    model.train()
    world, groups = accelerator.num_processes, independent_parts(accelerator.unwrap_model(model))
    kind = HALF.get(config.precision)
    half = torch.autocast(accelerator.device.type, kind, enabled=kind is not None)
    answers = count_answers(batch)
    parts = split_batch(batch, world * config.accumulate)[accelerator.process_index :: world]
    sums: dict[str, torch.Tensor] = {}
    for i, part in enumerate(parts):
        part = move_batch(part, accelerator.device)
        last = i == len(parts) - 1  # processes exchange gradients in the last pass only
        with nullcontext() if last else accelerator.no_sync(model):
            with half:  # around one forward pass only: a longer one keeps stale casts of weights
                losses = training_step(model, part, mlm_weight, answers)
            # what shares nothing needs no λ: each half descends on its own loss
            own = [loss for name, loss in losses.items() if name != "loss"]
            down = losses["loss"] if len(groups) == 1 else sum(own)
            accelerator.backward(down * world)  # gradients are averaged over processes
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value.detach()
    sums = accelerator.reduce(sums, "sum") if world > 1 else sums
    found = {name: float(value) for name, value in sums.items()}
    scaler = accelerator.scaler
    if scaler is not None:
        scaler.unscale_(optimizer.optimizer)
    for parameters in groups:
        norm = accelerator.clip_grad_norm_(parameters, config.max_grad_norm)
        numbers = {"loss": found["loss"], "gradient": float(norm)}
        if scaler is not None and scaler.get_scale() > 1:
            del numbers["gradient"]  # scaled too far: the scaler skips the step and scales less
        for name, number in numbers.items():
            if not math.isfinite(number):
                optimizer.zero_grad()
                raise NonFiniteLoss(f"The {name} became {number}")
    optimizer.step()
    optimizer.zero_grad()
    return found
