"""Checks of the exercises in notebook 06."""

import math
from collections.abc import Callable

import torch

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.labs.core.checks import CheckResult, Mistake, as_number, run_check


def check_joint_loss(function: Callable) -> CheckResult:
    """Check exercise 06.1: `function(mlm_loss, task_loss, mlm_weight)` is the joint loss."""

    def stages(function):
        mlm, task = torch.tensor(4.0), torch.tensor(0.5)
        answer = as_number(function(mlm, task, 0.25))
        wrong = {
            0.25 * 0.5 + 0.75 * 4.0: "The weights are swapped: λ belongs to the masked-LM loss.",
            0.25 * 4.0 + 0.5: "The task loss has lost its weight: it is 1 − λ.",
            4.0 + 0.25 * 0.5: "λ weighs the task loss here and nothing weighs the masked-LM loss.",
            0.5 * (0.25 * 4.0 + 0.75 * 0.5): "The sum is halved; the two weights already sum to 1.",
        }
        for value, cause in wrong.items():
            if math.isclose(answer, value, rel_tol=1e-5):
                raise Mistake(f"For L_MLM = 4, L_task = 0.5, λ = 0.25 you gave {answer:g}. {cause}")
        if not math.isclose(answer, 1.375, rel_tol=1e-5):
            raise Mistake(
                f"For L_MLM = 4, L_task = 0.5, λ = 0.25 you gave {answer:g}; "
                "by hand it is 0.25·4 + 0.75·0.5 = 1.375."
            )
        nothing = torch.tensor(float("nan"))  # the mean over a batch with no blank
        if not math.isclose(as_number(function(nothing, task, 0.0)), 0.5, rel_tol=1e-5):
            raise Mistake(
                "With λ = 0 and L_MLM = NaN (a batch with no blank) the answer should be L_task. "
                "0 · NaN is NaN: leave a term out when its weight is zero."
            )
        if not math.isclose(as_number(function(mlm, nothing, 1.0)), 4.0, rel_tol=1e-5):
            raise Mistake(
                "With λ = 1 and L_task = NaN (no labelled row) the answer should be L_MLM. "
                "The rule for zero weights holds for both terms."
            )

        if not math.isnan(as_number(function(nothing, task, 0.25))):
            raise Mistake(
                "A NaN with weight 0.25 was hidden. Leave a term out for its weight, not for its "
                "value: a NaN that counts must be seen."
            )

    return run_check("06.1", function, stages)


def check_joint_rows(function: Callable) -> CheckResult:
    """Check exercise 06.2: `function(labels, mlm_labels)` gives the labels of a joint batch."""

    def stages(function):
        labels = torch.tensor([1, 0])
        mlm_labels = torch.tensor([[IGNORE_INDEX, 7, IGNORE_INDEX], [IGNORE_INDEX, 9, 5]])
        kept = labels.clone(), mlm_labels.clone()
        answer = function(labels, mlm_labels)
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise Mistake("Expected two tensors: return row_labels, row_mlm_labels.")
        rows, blanks = answer
        if not (torch.equal(labels, kept[0]) and torch.equal(mlm_labels, kept[1])):
            raise Mistake("Your function changed its inputs. Build new tensors instead.")
        if tuple(rows.shape) != (4,) or tuple(blanks.shape) != (4, 3):
            raise Mistake(
                f"Two sentences make four rows: expected shapes (4,) and (4, 3), got "
                f"{tuple(rows.shape)} and {tuple(blanks.shape)}. Stack along the first dimension."
            )
        if torch.equal(rows[2:], labels) and (rows[:2] == IGNORE_INDEX).all():
            raise Mistake("You put the masked rows first; clean rows come first, masked second.")
        if (rows[2:] != IGNORE_INDEX).any():
            raise Mistake(
                "A masked row still has its class label, so the classifier would be trained on "
                "text with holes. Give rows 2 and 3 the label −100."
            )
        if (blanks[:2] != IGNORE_INDEX).any():
            raise Mistake(
                "A clean row still has masked-LM labels: the model would be asked for a word that "
                "it can see. Give rows 0 and 1 the label −100 everywhere."
            )
        if not (torch.equal(rows[:2], labels) and torch.equal(blanks[2:], mlm_labels)):
            raise Mistake("Clean rows come first with their classes, masked rows second.")

    return run_check("06.2", function, stages)


def check_early_stopping(function: Callable) -> CheckResult:
    """Check exercise 06.3: `function(scores, patience)` returns (best, stop) evaluation numbers."""
    cases = [  # scores, patience, answer, and what each near miss gives away
        ([0.6, 0.7, 0.69, 0.68], 2, (1, 3), {(3, 3): "Keep the best weights, not the last."}),
        (
            [0.6, 0.7, 0.69, 0.68, 0.67, 0.9],
            2,
            (1, 3),
            {
                (1, 4): "You stop one evaluation too late.",
                (1, 2): "You stop one evaluation too early.",
                (5, 5): "A run that has stopped never sees what comes after.",
            },
        ),
        (
            [0.6, 0.59, 0.7, 0.69, 0.71, 0.7, 0.69],
            2,
            (4, 6),
            {(2, 3): "The count of evaluations without improvement starts again at a new best."},
        ),
        ([0.7, 0.7, 0.7], 2, (0, 2), {(2, 2): "An equal score is no improvement."}),
        ([0.5, 0.6, 0.7], 1, (2, 2), {}),
        (
            [0.7, 0.5, 0.6, 0.55],
            2,
            (0, 2),
            {(0, 3): "You compare with the evaluation before; compare with the best so far."},
        ),
    ]

    def stages(function):
        for scores, patience, expected, causes in cases:
            answer = function(list(scores), patience)
            if not (isinstance(answer, tuple) and len(answer) == 2):
                raise Mistake(f"Expected two numbers (best, stop), got {answer!r}.")
            if answer != expected:
                raise Mistake(
                    f"For scores {scores} and patience {patience} you gave {answer}; "
                    f"expected {expected}. {causes.get(answer, '')}".strip()
                )

    return run_check("06.3", function, stages)


def _near(value, wanted) -> bool:
    return math.isclose(float(value), wanted, rel_tol=1e-5)


def _expect(value, wanted: float, causes: dict[float, str], case: str) -> None:
    """Raise `Mistake` unless value is wanted; `causes` maps near misses to what they give away."""
    value = as_number(value.detach() if isinstance(value, torch.Tensor) else value)
    if _near(value, wanted):
        return
    cause = next((cause for miss, cause in causes.items() if _near(value, miss)), "")
    raise Mistake(f"{case} you gave {value:.4g}; expected {wanted:.4g}. {cause}".strip())


def check_decaying_weight(function: Callable) -> CheckResult:
    """Check exercise 06.4: `function(update, first, last, decay_updates)` is λ at an update."""
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

    return run_check("06.4", function, stages)


def check_uncertainty_loss(function: Callable) -> CheckResult:
    """Check exercise 06.5: `function(mlm_loss, task_loss, log_variances)` is (total, λ)."""
    two = math.log(2.0)  # log σ for σ² = 4
    causes = {
        0.75: "The term log σ is missing. Without it the best σ is infinite: both losses given up.",
        0.75 + 2 * two: "You added log σ², which is twice log σ.",
        0.75 - two: "log σ has the wrong sign: it is the price of giving a loss up, so add it.",
        1.25 + two: "You divided by 2σ. log_variances holds log σ², so its exponential is σ².",
        8.25 + two: "You multiplied by σ². A large σ² makes a weight small.",
    }

    def ask(function, *log_variances):
        spread = torch.tensor(log_variances, requires_grad=True)
        answer = function(torch.tensor(4.0), torch.tensor(0.5), spread)
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise Mistake("Expected two values: return total, mlm_weight.")
        return *answer, spread

    def stages(function):
        sum_only = {4.5: "You gave L_MLM + L_task; each weight is 1/(2σ²), here ½."}
        _expect(ask(function, 0.0, 0.0)[0], 2.25, sum_only, "For L = 4 and 0.5, both σ² = 1,")
        case = "For L = 4 and 0.5, σ² = 4 and 1,"
        _expect(ask(function, 2 * two, 0.0)[0], 0.75 + two, causes, case)
        total, weight, spread = ask(function, 2 * two, -2 * two)
        _expect(total, 1.5, {}, "For σ² = 4 and ¼ (is the task's σ used?)")
        case = "For σ² = 4 and ¼ the losses have the weights ⅛ and 2. As λ"
        _expect(weight, 0.125 / 2.125, {0.125: "λ is the share of their sum."}, case)
        if not (isinstance(total, torch.Tensor) and total.requires_grad):
            raise Mistake(
                "The total does not depend on log_variances any more, so they cannot be learnt. "
                "Compute it with tensors, without float(), .item() or .detach()."
            )
        total.backward()
        if not torch.allclose(spread.grad, torch.tensor([0.0, -0.5]), atol=1e-5):
            raise Mistake(
                f"The gradient for log_variances is {spread.grad.tolist()}; expected [0, −0.5], "
                "for σ² = 4 = L_MLM is already best. Is a part of the total detached?"
            )

    return run_check("06.5", function, stages)
