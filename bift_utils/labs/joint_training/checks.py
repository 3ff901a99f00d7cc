"""Checks of the exercises in notebook 06."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bift_utils.data.batches import IGNORE_INDEX
from bift_utils.labs.core.checks import (
    CheckResult,
    Mistake,
    as_number,
    as_pair,
    as_tensor,
    close,
    first_difference,
    require_gradient,
    run_check,
)


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

        for losses in ((nothing, task), (mlm, nothing)):
            if not math.isnan(as_number(function(*losses, 0.25))):
                raise Mistake(
                    "A NaN with a positive weight was hidden. Leave a term out for its weight, not "
                    "for its value: a NaN that counts must be seen."
                )
        for weight in (0.001, 0.999, 0.5):
            small = as_number(function(mlm, task, weight))
            expected = weight * 4.0 + (1 - weight) * 0.5
            if not close(small, expected):
                raise Mistake(
                    f"For λ = {weight} {first_difference(small, expected)} A small weight is not "
                    "zero: leave a term out only where its weight is 0."
                )
        for weight in (0.25, 1.0, 0.0):
            leaves = {"mlm_loss": torch.tensor(4.0), "task_loss": torch.tensor(0.5)}
            for leaf in leaves.values():
                leaf.requires_grad_()
            terms = [(weight, leaves["mlm_loss"]), (1 - weight, leaves["task_loss"])]
            right = torch.stack([share * loss for share, loss in terms if share > 0]).sum()
            said = (
                f"(λ = {weight:g}.) At λ = 1 the classifier's gradient is None, and with a NaN "
                "even zero times it is NaN; so a term without weight is left out."
            )
            require_gradient(function(*leaves.values(), weight), right, leaves, said)

    return run_check("06.1", function, stages)


NAMES = ("row_labels", "row_mlm_labels")


def _joint_rows(function: Callable, labels: Tensor, mlm_labels: Tensor) -> tuple[Tensor, Tensor]:
    """Call the learner's function on copies; return what it gives, if that has the right form."""
    found = as_pair(function(labels.clone(), mlm_labels.clone()), "row_labels, row_mlm_labels")
    shapes = (2 * len(labels),), (2 * len(labels), mlm_labels.shape[1])
    if all(isinstance(part, Tensor) for part in found):
        given = tuple(tuple(part.shape) for part in found)
        if given == shapes[::-1]:
            raise Mistake("The two are swapped: return row_labels first, then row_mlm_labels.")
        if given != shapes:
            raise Mistake(
                f"{len(labels)} sentences make {2 * len(labels)} rows: expected shapes {shapes[0]} "
                f"and {shapes[1]}, got {given[0]} and {given[1]}. Stack along the first dimension."
            )
    rows, blanks = (
        as_tensor(part, shape, name, like)
        for part, shape, name, like in zip(found, shapes, NAMES, (labels, mlm_labels), strict=True)
    )
    return rows, blanks


def check_joint_rows(function: Callable) -> CheckResult:
    """Check exercise 06.2: `function(labels, mlm_labels)` gives the labels of a joint batch."""

    def stages(function):
        labels = torch.tensor([1, 0])
        mlm_labels = torch.tensor([[IGNORE_INDEX, 7, IGNORE_INDEX], [IGNORE_INDEX, 9, 5]])
        rows, blanks = _joint_rows(function, labels, mlm_labels)
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
        for classes, blanks_in in (
            (labels, mlm_labels),
            (torch.tensor([2, 0, 1]), torch.tensor([[3, -100], [-100, -100], [-100, 4]])),
            (torch.tensor([1]), torch.tensor([[-100, 6, 8, -100]])),
        ):
            found = _joint_rows(function, classes, blanks_in)
            none = torch.full_like(classes, IGNORE_INDEX)
            right = torch.cat([classes, none]), torch.cat([blanks_in * 0 + IGNORE_INDEX, blanks_in])
            for name, yours, wanted in zip(NAMES, found, right, strict=True):
                if not torch.equal(yours, wanted):
                    raise Mistake(
                        f"For labels {classes.tolist()} and mlm_labels {blanks_in.tolist()} your "
                        f"{name} are not right. {first_difference(yours, wanted)} Clean rows come "
                        "first with their classes, masked rows second."
                    )
        with torch.device("meta"):  # as on a GPU: what is made without a word lies elsewhere
            try:
                _joint_rows(function, labels, mlm_labels)
            except (RuntimeError, NotImplementedError) as error:
                raise Mistake(
                    "Your labels are made on another device than the input, so they fail on a GPU "
                    f"({error}). Use full_like, or device=labels.device."
                ) from None

    return run_check("06.2", function, stages)


def _stopping(scores, patience, strict=True, late=0, resets=True, before=False, first=False):
    """Return (best, stop) and a line on each evaluation; the options spoil one thing each."""
    best = waited = 0
    trace: list[str] = []
    bar = 0.0 if first else scores[0]
    for i, score in enumerate(scores):
        against = scores[i - 1] if before and i else bar
        better = score > bar or (not strict and score == bar)
        if better or (i == 0 and not first):
            best, bar = i, score
        waited = 0 if (better and resets) or (i == 0 and not first) else waited + (not better)
        if before and score > against:
            waited = 0
        trace.append(f"after evaluation {i} the best is {best}, and {waited} came since")
        if waited == patience + late:
            break
    return best, i, trace


def _stopping_cause(answer: tuple, scores: list[float], patience: int) -> str:
    """Say by which slip one arrives at an answer; "" if it is none of the usual."""
    best, stop, _ = _stopping(scores, patience)
    others = {
        "An equal score is no improvement.": _stopping(scores, patience, strict=False),
        "The count of evaluations without improvement starts again at a new best.": _stopping(
            scores, patience, resets=False
        ),
        "You compare with the evaluation before; compare with the best so far.": _stopping(
            scores, patience, before=True
        ),
        "The first evaluation is a new best whatever its score, also if that is 0: do not begin "
        "with a best of 0.0.": _stopping(scores, patience, first=True),
        "You stop one evaluation too late.": _stopping(scores, patience, late=1),
        "You stop one evaluation too early.": _stopping(scores, patience - 1),
    }
    top, last = scores.index(max(scores)), len(scores) - 1
    simple = {
        "Keep the best weights, not the last.": (stop, stop),
        "The best was found before the stop, but the last evaluation made is the one at which the "
        "run stops.": (best, last),
        "The two are swapped: best first, then stop.": (stop, best),
        "Evaluations are counted from 0.": (best + 1, stop + 1),
        "`stop` is the last evaluation that is made, not the number of them.": (best, stop + 1),
        "That is the score; asked is the number of the evaluation.": (scores[best], stop),
        "A run that has stopped never sees what comes after.": (top, last),
    }
    causes = {cause: found[:2] for cause, found in others.items()} | simple
    return next((cause for cause, found in causes.items() if answer == found), "")


def check_early_stopping(function: Callable) -> CheckResult:
    """Check exercise 06.3: `function(scores, patience)` returns (best, stop) evaluation numbers."""
    cases = [  # each of the slips of `_stopping_cause` shows in one of them
        ([0.6, 0.7, 0.69, 0.68], 2),
        ([0.6, 0.7, 0.69, 0.68, 0.67, 0.9], 2),
        ([0.6, 0.59, 0.7, 0.69, 0.71, 0.7, 0.69, 0.9], 2),
        ([0.7, 0.7, 0.7, 0.8], 2),
        ([0.5, 0.6, 0.7], 1),
        ([0.7, 0.5, 0.6, 0.55], 2),
        ([0.0, 0.0, 0.1, 0.2], 2),
        ([0.5, 0.4, 0.4, 0.6, 0.3], 3),
        ([0.8, 0.1, 0.2, 0.3, 0.4, 0.9], 4),
        ([0.4], 1),
        ([0.5, 0.5, 0.6], 1),
    ]

    def stages(function):
        for scores, patience in cases:
            answer = as_pair(function(list(scores), patience), "two numbers, best, stop")
            answer = tuple(as_number(part) for part in answer)
            *expected, trace = _stopping(scores, patience)
            if answer != tuple(expected):
                cause = _stopping_cause(answer, scores, patience)
                numbers = ", ".join(f"{part:g}" for part in answer)
                raise Mistake(
                    f"For scores {scores} and patience {patience} you gave ({numbers}); expected "
                    f"{tuple(expected)}. {cause or '; '.join(trace).capitalize() + '.'}"
                )

    return run_check("06.3", function, stages)


def _expect(value, wanted: float, causes: dict[float, str], case: str) -> None:
    """Raise `Mistake` unless value is wanted; `causes` maps near misses to what they give away."""
    value = as_number(value)
    if close(value, wanted, 1e-5):
        return
    cause = next((cause for miss, cause in causes.items() if close(value, miss, 1e-5)), "")
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

    return run_check("06.5", function, stages)
