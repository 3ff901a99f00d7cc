"""Checks of the exercises in notebook 07."""

import math
from collections.abc import Callable

import torch

from bift_utils.evaluation.intervals import prediction_interval
from bift_utils.labs.core.checks import (
    CheckResult,
    Mistake,
    as_number,
    as_pair,
    close,
    first_difference,
    run_check,
)


def _pair(answer, what: str) -> tuple[float, float]:
    first, second = as_pair(answer, what)
    return as_number(first), as_number(second)


def _is(value: float, wanted: float) -> bool:
    return close(value, wanted, 1e-5)


def check_honest_score(function: Callable) -> CheckResult:
    """Check exercise 07.1: `function(weights, validation_loss, test_accuracy)` is (λ, accuracy).

    Each row of the two tables is what one usual mistake would choose.
    """
    weights = [0.1, 0.3, 0.5, 0.7, 0.9]
    loss = torch.tensor(
        [[0.70, 0.72, 0.71], [0.40, 0.75, 0.62], [0.50, 0.58, 0.54], [0.60, 0.65, 0.58],
         [0.61, 0.66, 0.59]]
    )  # fmt: skip
    accuracy = torch.tensor(
        [[0.70, 0.71, 0.69], [0.66, 0.68, 0.70], [0.70, 0.75, 0.71], [0.76, 0.77, 0.75],
         [0.66, 0.79, 0.68]]
    )  # fmt: skip
    peeked = (
        "The test part was read to choose, so its score is no longer an honest one: choose by "
        "validation_loss."
    )
    causes = {
        0.1: "That is the *highest* validation loss; a loss is better when it is low. (Or did you "
        "average over λ? A row is a λ: the mean over seeds is mean(1).)",
        0.3: "It has the single lowest validation loss, a lucky seed. Take the mean over seeds.",
        0.7: f"It has the best mean test accuracy. {peeked}",
        0.9: f"It has the best single test accuracy. {peeked}",
    }

    def stages(function):
        given = list(weights), loss.clone(), accuracy.clone()
        weight, score = _pair(function(*given), "weight, accuracy")
        best_of_each = float(accuracy.gather(0, loss.argmin(0, keepdim=True)).mean())
        if _is(score, best_of_each):
            raise Mistake(
                "You chose another λ for every seed. One λ is chosen for all: take the mean of "
                "validation_loss over seeds first."
            )
        if _is(weight, 2.0):
            raise Mistake("You returned the place of λ, 2; return weights[2].")
        if not _is(weight, 0.5):
            raise Mistake(f"You chose λ = {weight:g}. {causes.get(round(weight, 6), '')}".strip())
        misses = {
            float(loss[2].mean()): "That is the validation loss; report the test accuracy.",
            float(accuracy[2].max()): "That is the best seed; report the mean over all seeds.",
            float(accuracy.max()): "That is the best of all runs; report the mean at that λ.",
            float(accuracy.mean()): "That is the mean over every λ; report the chosen one's.",
        }
        for miss, cause in misses.items():
            if _is(score, miss):
                raise Mistake(f"For λ = 0.5 you reported {score:.4f}. {cause}")
        if not _is(score, float(accuracy[2].mean())):
            raise Mistake(
                f"For λ = 0.5 you reported {score:.4f}; the mean test accuracy of its three seeds "
                f"is {float(accuracy[2].mean()):.4f}."
            )
        for others, other_loss, other_accuracy, expected in (
            (weights, loss.roll(1, 0), accuracy, (0.7, 0.76)),
            ([0.0, 0.25], torch.tensor([[0.5], [0.4]]), torch.tensor([[0.9], [0.8]]), (0.25, 0.8)),
            ([0.5, 0.9], torch.tensor([[0.1, 0.3], [0.9, 0.8]]),
             torch.tensor([[0.2, 0.4], [0.9, 0.9]]), (0.5, 0.3)),
        ):  # fmt: skip
            given = list(others), other_loss.clone(), other_accuracy.clone()
            found = _pair(function(*given), "weight, accuracy")
            for yours, wanted in zip(found, expected, strict=True):
                if not _is(yours, wanted):
                    raise Mistake(
                        f"With other tables, of {len(others)} weights, your answer does not "
                        f"follow. {first_difference(yours, wanted)} Is a number written by hand?"
                    )

    return run_check("07.1", function, stages)


def check_prediction_interval(function: Callable) -> CheckResult:
    """Check exercise 07.2: `function(values, t)` is (low, high) for one more run."""

    def stages(function):
        values, t = [70.0, 73.0, 71.0, 76.0], 3.1824  # Student's t for 3 degrees of freedom
        low, high = _pair(function(list(values), t), "low, high")
        if low > high:
            raise Mistake(
                "low is above high. Return the smaller end first (an end, not the half width)."
            )
        mean, wanted_low, wanted_high = prediction_interval(values)
        if not _is((low + high) / 2, mean):
            raise Mistake(
                f"For {values} the middle of your interval is {(low + high) / 2:.3f}; expected the "
                f"mean of the runs, {mean:.3f}."
            )
        spread = math.sqrt(sum((v - mean) ** 2 for v in values) / 3)
        narrow = math.sqrt(3 / 4)
        causes = {
            t * spread / 2: (
                "That interval is for the *mean* of the runs. One more run also scatters about "
                "that mean: add its own variance, 1 + 1/S instead of 1/S."
            ),
            t * spread: "The mean is itself uncertain: the variance is s²·(1 + 1/S), not s².",
            t * spread * 1.25: "The square root is missing: √(1 + 1/S).",
            t * spread**2 * math.sqrt(1.25): "You used the variance s²; the spread is its root.",
            t * spread * narrow * math.sqrt(1.25): (
                "You divided by S in the variance; with S runs about their own mean it is S − 1."
            ),
            spread * math.sqrt(1.25): "The factor t is missing.",
            1.96 * spread * math.sqrt(1.25): (
                "1.96 is for a known spread. From four runs the spread is uncertain: use t."
            ),
            3.0: "That is the range of the runs so far; one more may lie outside.",
        }
        half = (high - low) / 2
        for miss, cause in causes.items():
            if math.isclose(half, miss, rel_tol=1e-4):
                raise Mistake(f"For {values} and t = {t} your half-width is {half:.3f}. {cause}")
        if not math.isclose(half, (wanted_high - wanted_low) / 2, rel_tol=1e-4):
            raise Mistake(
                f"For {values} and t = {t} your half-width is {half:.3f}; expected "
                f"{(wanted_high - wanted_low) / 2:.3f}, which is t · s · √(1 + 1/4)."
            )
        for values, t in (([1.0, 3.0], 12.706), ([-2.0, 0.5, 0.0, 4.0, 1.0, 7.0], 2.5706)):
            low, high = _pair(function(list(values), t), "low, high")
            mean = sum(values) / len(values)
            variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
            half = t * math.sqrt(variance * (1 + 1 / len(values)))
            for yours, wanted in ((low, mean - half), (high, mean + half)):
                if not close(yours, wanted, 1e-5):
                    raise Mistake(
                        f"With {len(values)} runs the width is wrong. "
                        f"{first_difference(yours, wanted)} Is the number of runs written by hand?"
                    )

    return run_check("07.2", function, stages)


def check_fair_gain(function: Callable) -> CheckResult:
    """Check exercise 07.3: `function(method, validation, test)` is (opponent, points).

    Each opponent is what one usual mistake would name.
    """
    validation = {
        "frozen": [0.70, 0.66, 0.74], "joint": [0.76, 0.78, 0.74], "plain": [0.73, 0.72, 0.74],
        "counted": [0.60, 0.79, 0.62], "lucky": [0.64, 0.68, 0.66], "last": [0.61, 0.63, 0.62],
    }  # fmt: skip
    test = {
        "frozen": [0.71, 0.69, 0.70], "joint": [0.75, 0.74, 0.79], "plain": [0.71, 0.74, 0.71],
        "counted": [0.60, 0.62, 0.61], "lucky": [0.77, 0.78, 0.76], "last": [0.60, 0.60, 0.66],
    }  # fmt: skip
    causes = {
        "joint": "The method is not its own opponent; leave it out.",
        "lucky": "It has the best *test* accuracy. The opponent is named before the test part is "
        "read: choose by validation.",
        "counted": "It has the single best validation seed. Take the mean over seeds.",
        "last": "That is a weak opponent. The strongest has the *highest* mean on validation.",
    }

    def copied(table):
        return {name: list(values) for name, values in table.items()}

    def ask(function, method, validation, test):
        opponent, points = as_pair(
            function(method, copied(validation), copied(test)), "opponent, points"
        )
        if not isinstance(opponent, str):
            raise Mistake(
                f"The opponent came as {type(opponent).__name__}; return the name of the method."
            )
        return opponent, as_number(points)

    def stages(function):
        opponent, points = ask(function, "joint", validation, test)
        if opponent != "plain":
            cause = causes.get(opponent, "The strongest by mean validation accuracy is 'plain'.")
            raise Mistake(f"You named {opponent!r}. {cause}")
        ours, theirs = test["joint"], test["plain"]
        right = 100 * (sum(ours) - sum(theirs)) / 3
        misses = {
            right / 100: "That is a share; 100 times as much is in points.",
            -right: "The sign is turned: it is the method minus its opponent.",
            100 * (sum(validation["joint"]) - sum(validation["plain"])) / 3: (
                "That is the gain on validation, which named the opponent; report the test part."
            ),
            100 * (max(ours) - max(theirs)): "That is best seed against best seed; take the means.",
            100 * max(a - b for a, b in zip(ours, theirs, strict=True)): (
                "That is the best of the seeds; report the mean over all of them."
            ),
            100 * (sum(ours) - sum(theirs)): "That is a sum over the seeds; take the mean.",
            100 * sum(ours) / 3: "That is the method's own accuracy; subtract the opponent's.",
        }
        for miss, cause in misses.items():
            if _is(points, miss):
                raise Mistake(f"For 'joint' against 'plain' you reported {points:.4f}. {cause}")
        if not _is(points, right):
            raise Mistake(
                f"For 'joint' against 'plain' you reported {points:.4f}; expected {right:.4f}, the "
                "mean of the method's test accuracies minus that of its opponent, in points."
            )
        others = (
            ("frozen", validation, test, ("joint", -6.0)),
            ("a", {"b": [0.5, 0.7], "a": [0.9, 0.9]}, {"b": [0.6, 0.6], "a": [0.5, 0.5]},
             ("b", -10.0)),
            ("x", {"x": [0.1], "y": [0.2], "z": [0.3]}, {"x": [0.8], "y": [0.9], "z": [0.5]},
             ("z", 30.0)),
        )  # fmt: skip
        for method, held_out, tested, (name, gained) in others:
            opponent, points = ask(function, method, held_out, tested)
            if opponent != name:
                raise Mistake(
                    f"With {method!r} as the method you named {opponent!r}; expected {name!r}. "
                    "Is a name written by hand, or is the method its own opponent?"
                )
            if not _is(points, gained):
                raise Mistake(
                    f"For {method!r} against {name!r}, with {len(tested[name])} seeds, your gain "
                    f"does not follow. {first_difference(points, gained)} A loss is negative."
                )

    return run_check("07.3", function, stages)
