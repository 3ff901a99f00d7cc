"""Checks of the exercises in notebook 06."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.labs.core.checks import (
    CheckResult,
    Mistake,
    as_number,
    as_pair,
    close,
    require_gradient,
    run_check,
)
from bift_utils.models.joint import small_bert
from bift_utils.runtime import make_generator

LENGTH, WORDS = 6, 12  # of the small sentences that a joint step is tried on

SLIPS = {  # what a joint step can do wrong, and what the learner is told
    "swapped": "The weights are swapped: λ belongs to the masked-LM loss.",
    "unweighted": "The two losses are added without their weights λ and 1 − λ.",
    "all positions": "The masked-LM loss is a mean over all positions; take the selected only.",
    "−100 counted": "The label −100 is counted as a token. It means: no answer is asked here.",
    "shifted": "Logits and labels are shifted by one. A masked LM answers at the blank itself.",
    "clean blanks": "The masked-LM head reads the clean rows, where the answer can be seen.",
    "masked rows": "The classifier reads the masked rows; the clean rows have the classes.",
    "first token": "The classifier reads the first token; this model's reads the mean of a row.",
    "pooler": "The classifier reads the pooler; this model's reads the mean of a row.",
    "padding in the mean": "The mean of a row counts its padding too.",
    "padding seen": "The encoder was not given attention_mask, so tokens attend to the padding.",
    "masked LM cut off": "No gradient of the masked-LM loss reaches the weights: is it detached?",
    "task cut off": "No gradient of the task loss reaches the weights: is it detached?",
    "not clipped": "The gradient was not shortened to norm 1 before the step.",
    "not reset": "The old gradient was still there in the second update: zero_grad is missing.",
    "no step": "No weight has changed: is optimizer.step() missing?",
}


def _joint_step(model, optimizer, batch: dict, weight: float, slip: str = "") -> float:
    """Make one joint update, rightly or with one slip, and return the joint loss."""
    cross_entropy = torch.nn.functional.cross_entropy
    mask, labels, classes = batch["attention_mask"], batch["mlm_labels"], batch["labels"]
    seen = torch.ones_like(mask) if slip == "padding seen" else mask
    hidden = model.bert(batch["input_ids"], seen).last_hidden_state  # (R, T, H)

    blanks = labels != IGNORE_INDEX  # (R, T)
    logits = model.cls(hidden)  # (R, T, V)
    if slip == "shifted":
        logits = logits.roll(1, 1)
    if slip == "clean blanks":
        logits = logits.roll(len(labels) // 2, 0)
    answers = labels.numel() if slip == "all positions" else blanks.sum().clamp(min=1)
    mlm_loss = cross_entropy(logits[blanks], labels[blanks], reduction="sum") / answers
    if slip == "−100 counted":
        mlm_loss = cross_entropy(logits.flatten(0, 1), labels.clamp(min=0).flatten())

    with_class = classes != IGNORE_INDEX  # (R,)
    read = ~with_class if slip == "masked rows" else with_class
    counted = torch.ones_like(mask) if slip == "padding in the mean" else mask
    counted = counted[read].unsqueeze(-1)  # (R, T, 1)
    vectors = (hidden[read] * counted).sum(1) / counted.sum(1)  # (R, H)
    if slip == "first token":
        vectors = hidden[read][:, 0]
    if slip == "pooler":
        vectors = model.bert.pooler(hidden[read])
    task_loss = cross_entropy(model.classifier(vectors), classes[with_class], reduction="sum")
    task_loss = task_loss / with_class.sum().clamp(min=1)

    mlm_weight, task_weight = weight, 1 - weight
    if slip == "swapped":
        mlm_weight, task_weight = task_weight, mlm_weight
    if slip == "unweighted":
        mlm_weight = task_weight = 1.0
    loss = mlm_weight * mlm_loss + task_weight * task_loss
    pulling = mlm_weight * (mlm_loss.detach() if slip == "masked LM cut off" else mlm_loss)
    pulling = pulling + task_weight * (task_loss.detach() if slip == "task cut off" else task_loss)
    pulling.backward()
    if slip != "not clipped":
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    if slip != "no step":
        optimizer.step()
    if slip != "not reset":
        optimizer.zero_grad()
    return float(loss.detach())


def _step_batch() -> dict[str, Tensor]:
    """Three clean rows with a class above the same rows with blanks; one of them is padded."""
    generator = make_generator(6, 1)
    tokens = torch.randint(WORDS, (3, LENGTH), generator=generator)
    mask = torch.ones_like(tokens)
    mask[1, 4:] = 0
    labels = torch.full_like(tokens, IGNORE_INDEX)
    for row, place in ((0, 1), (0, 4), (1, 2), (2, 3)):
        labels[row, place] = tokens[row, place]
    corrupted = tokens.masked_fill(labels != IGNORE_INDEX, WORDS)
    return {
        "input_ids": torch.cat([tokens, corrupted]),
        "attention_mask": torch.cat([mask, mask]),
        "mlm_labels": torch.cat([torch.full_like(labels, IGNORE_INDEX), labels]),
        "labels": torch.tensor([1, 0, 1] + [IGNORE_INDEX] * 3),
    }


def _after(step: Callable, batch: dict, weight: float, updates: int = 1):
    """Return the losses that a step gave, and all weights after it, from one and the same start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        model = small_bert(WORDS, LENGTH, width=8, layers=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    losses = [
        step(model, optimizer, {name: value.clone() for name, value in batch.items()}, weight)
        for _ in range(updates)
    ]
    return losses, torch.cat([p.detach().flatten() for p in model.parameters()])


def check_joint_step(function: Callable) -> CheckResult:
    """Check exercise 06.1: `function(model, optimizer, batch, mlm_weight)` makes a joint update."""

    def stages(function):
        batch = _step_batch()
        (loss,), weights = _after(function, batch, 0.3)
        (wanted,), right = _after(_joint_step, batch, 0.3)
        slipped = {slip: _after(partial(_joint_step, slip=slip), batch, 0.3) for slip in SLIPS}
        if not math.isclose(as_number(loss), wanted, rel_tol=1e-4):
            cause = next(
                (SLIPS[slip] for slip, ((value,), _) in slipped.items()
                 if math.isclose(as_number(loss), value, rel_tol=1e-4)), ""
            )  # fmt: skip
            raise Mistake(
                f"On a small batch with λ = 0.3 you gave the loss {as_number(loss):.4f}; expected "
                f"{wanted:.4f}. {cause}".strip()
            )
        if not torch.allclose(weights, right, atol=1e-5):
            cause = next(
                (SLIPS[slip] for slip, (_, others) in slipped.items()
                 if torch.allclose(weights, others, atol=1e-5)),
                "Is something missing between the loss and optimizer.step()?",
            )  # fmt: skip
            raise Mistake(f"Your loss is right, but the weights after one step are not. {cause}")
        _, weights = _after(function, batch, 0.3, updates=2)
        if not torch.allclose(weights, _after(_joint_step, batch, 0.3, updates=2)[1], atol=1e-4):
            raise Mistake(f"The first update is right, the second is not. {SLIPS['not reset']}")
        no_blank = {**batch, "mlm_labels": torch.full_like(batch["mlm_labels"], IGNORE_INDEX)}
        no_class = {**batch, "labels": torch.full_like(batch["labels"], IGNORE_INDEX)}
        for without, asked, weight in (("blank", no_blank, 0.0), ("class", no_class, 1.0)):
            (loss,), weights = _after(function, asked, weight)
            if not math.isfinite(as_number(loss)) or not bool(weights.isfinite().all()):
                raise Mistake(
                    f"With λ = {weight:g} and a batch without a {without} the answer is NaN. The "
                    "mean over nothing is NaN, and 0 · NaN is NaN: leave a loss out when its "
                    "weight is zero."
                )
            _, right = _after(_joint_step, asked, weight)
            if not torch.allclose(weights, right, atol=1e-5):
                raise Mistake(
                    f"With λ = {weight:g} and a batch without a {without} the weights after one "
                    "step are not right, though they are with λ = 0.3."
                )

    return run_check("06.1", function, stages, changed="")


def _expect(value, wanted: float, causes: dict[float, str], case: str) -> None:
    """Raise `Mistake` unless value is wanted; `causes` maps near misses to what they give away."""
    value = as_number(value)
    if close(value, wanted, 1e-5):
        return
    cause = next((cause for miss, cause in causes.items() if close(value, miss, 1e-5)), "")
    raise Mistake(f"{case} you gave {value:.4g}; expected {wanted:.4g}. {cause}".strip())


def check_decaying_weight(function: Callable) -> CheckResult:
    """Check exercise 06.2: `function(update, first, last, decay_updates)` is λ at an update."""
    late = 0.25 * 0.16 ** (1 / 3)  # γ when the fall takes one update too many
    starts = {
        0.25: "That is γ. λ is the normalised weight: γ over the sum of γ and 1.",
        0.8: "That is the task's share.",
        0.1 / 1.1: "Does your count begin at 0?",
    }
    middles = {
        0.145 / 1.145: "A straight line; a geometric fall multiplies by the same factor each time.",
        (0.2 + 0.04 / 1.04) / 2: "It is γ that falls geometrically; λ is computed from it.",
        late / (1 + late): "One update late: 3 updates, 0, 1 and 2, have two steps between them.",
    }

    def stages(function):
        falling = (0.25, 0.04, 3)
        _expect(function(0, *falling), 0.2, starts, "At update 0, with γ from 0.25 to 0.04,")
        _expect(function(1, *falling), 0.1 / 1.1, middles, "At update 1 of 3 (γ is half-way, 0.1)")
        _expect(function(2, *falling), 0.04 / 1.04, {}, "At update 2, the last of the fall,")
        case = "At update 50, long after the fall, where γ stays as it is,"
        _expect(function(50, *falling), 0.04 / 1.04, {}, case)
        root = math.sqrt(0.05)
        case = "At update 4, with γ from 0.5 to 0.1 in 9 updates,"
        other = {0.04 / 1.04: "Is a number of the first case left in your function?"}
        _expect(function(4, 0.5, 0.1, 9), root / (1 + root), other, case)

    return run_check("06.2", function, stages)


def check_uncertainty_loss(function: Callable) -> CheckResult:
    """Check exercise 06.3: `function(mlm_loss, task_loss, log_variances)` is (total, λ)."""
    two = math.log(2.0)  # log σ for σ² = 4
    causes = {
        0.75: "The term log σ is missing. Without it the best σ is infinite: both losses given up.",
        0.75 + 2 * two: "You added log σ², which is twice log σ.",
        0.75 - two: "log σ has the wrong sign: it is the price of giving a loss up, so add it.",
        0.375 + two: "You halved twice: each weight is 1/(2σ²).",
        1.5 + two: "The ½ is missing: each weight is 1/(2σ²).",
        0.75 + two / 2: "You added ½ log σ; log_variances holds log σ², of which log σ is half.",
        1.25 + two: "You divided by 2σ. log_variances holds log σ², so its exponential is σ².",
        8.25 + two: "You multiplied by σ². A large σ² makes a weight small.",
    }

    def ask(function, *log_variances):
        leaves = {"mlm_loss": torch.tensor(4.0), "task_loss": torch.tensor(0.5)}
        leaves["log_variances"] = torch.tensor(log_variances)
        for leaf in leaves.values():
            leaf.requires_grad_()
        return *as_pair(function(*leaves.values()), "total, mlm_weight"), leaves

    def right(mlm_loss, task_loss, log_variances):
        weights = torch.exp(-log_variances) / 2
        return weights[0] * mlm_loss + weights[1] * task_loss + log_variances.sum() / 2

    def stages(function):
        sum_only = {
            4.5: "You gave L_MLM + L_task; each weight is 1/(2σ²), here ½.",
            1.125: "You halved twice: each weight is 1/(2σ²), here ½.",
            0.5: "That is the λ; return the total first, then λ.",
        }
        _expect(ask(function, 0.0, 0.0)[0], 2.25, sum_only, "For L = 4 and 0.5, both σ² = 1,")
        case = "For L = 4 and 0.5, σ² = 4 and 1,"
        _expect(ask(function, 2 * two, 0.0)[0], 0.75 + two, causes, case)
        total, weight, leaves = ask(function, 2 * two, -2 * two)
        only_first = {
            0.75 + 0.0: "Both losses got the weight of the first: the task has a σ² of its own.",
            1.5 + two: "log σ of the masked LM alone was added; the task's counts too.",
            1.5 - two: "log σ of the task alone was added; the masked LM's counts too.",
            8.0625: "The two σ² are swapped: the masked LM's stands first.",
        }
        _expect(total, 1.5, only_first, "For σ² = 4 and ¼ (is the task's σ used?)")
        case = "For σ² = 4 and ¼ the losses have the weights ⅛ and 2. As λ"
        shares = {
            0.125: "λ is the share of their sum.",
            2
            / 2.125: "That is the task's share, or that of σ², of which the weight is the inverse.",
            0.5 / 2.5: "That is the share of 1/(2σ); take σ².",
            0.5 / 1.5: "That is the share of the weighted losses; λ is that of the weights.",
        }
        _expect(weight, 0.125 / 2.125, shares, case)
        said = (
            "The log_variances are learnt from the total, the model through the two losses. "
            "(Here σ² = 4 = L_MLM is already best, so its gradient is 0.)"
        )
        require_gradient(total, right(*leaves.values()), leaves, said)
        if isinstance(weight, Tensor) and weight.requires_grad:
            raise Mistake(
                "λ is asked for as a float: it is only looked at. Use float(… .detach())."
            )

    return run_check("06.3", function, stages)
