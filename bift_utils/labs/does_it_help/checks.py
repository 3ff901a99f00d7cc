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
    as_tensor,
    close,
    first_difference,
    run_check,
)

DRAWS = 2000  # the spread of so many means is known to 1.6 % (one standard deviation), at most
TOLERANCE = 0.12


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


def _means(function: Callable, table: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Call the learner's bootstrap and see to it that it returned DRAWS finite means."""
    answer = function(table.clone(), DRAWS, torch.Generator().manual_seed(seed))
    if isinstance(answer, list | tuple):
        try:
            answer = torch.as_tensor([as_number(mean) for mean in answer])
        except Mistake:
            raise Mistake(f"Expected a tensor of means, got a {type(answer).__name__}.") from None
    what = f"one mean for each of {DRAWS} draws (take the mean of each resampled table)"
    answer = as_tensor(answer, (DRAWS,), what).detach().double()
    if not answer.isfinite().all():
        raise Mistake("Some of your means are NaN or infinite; the table has no such entry.")
    return answer


def _spread(function: Callable, table: torch.Tensor) -> float:
    return float(_means(function, table).std())


def check_bootstrap(function: Callable) -> CheckResult:
    """Check exercise 07.3: `function(differences, draws, generator)` resamples rows and columns.

    Three tables tell the mistakes apart: one where only rows differ, one where only columns do,
    and one with both. A right answer misses a band of ± 12 %, over seven standard deviations of a
    spread estimated from 2,000 draws, with probability below 1e-9.
    """
    rows = torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None].expand(4, 36).clone()
    columns = torch.tensor([1.0, -1.0]).repeat(18)[None].expand(4, 36).clone()

    def stages(function):
        middle = float(_means(function, rows + 5.0).mean())
        if abs(middle - 5.0) > 0.2:
            raise Mistake(
                f"The means scatter about {middle:.2f} for a table whose mean is 5. Resampling "
                "leaves the mean where it is."
            )
        by_seed, by_item = _spread(function, rows), _spread(function, columns)
        if by_seed < 1e-6 and by_item < 1e-6:
            raise Mistake(
                "Every draw gives the same mean: you drew *without* replacement, which only "
                "shuffles. Draw each row and column number anew, so that some come twice."
            )
        if by_item < 1e-6:
            raise Mistake(
                "You resample seeds only; another set of test sentences would differ too."
            )
        if by_seed < 1e-6:
            raise Mistake(
                "You resample test sentences only; another set of seeds would differ too."
            )
        if abs(by_seed / 0.5 - 1) > TOLERANCE:  # √(1/4)
            cause = "A seed is a whole row: draw row numbers, not single entries of the table."
            raise Mistake(
                f"Where only seeds differ your means spread by {by_seed:.3f}, not 0.5. {cause}"
            )
        if abs(by_item * 6 - 1) > TOLERANCE:  # √(1/36)
            raise Mistake(
                f"Where only sentences differ your means spread by {by_item:.3f}, not 0.167. The "
                "same sentences stand in every row: draw the column numbers once a draw, for all "
                "rows together."
            )
        table = rows + columns
        first, again, other = (_means(function, table, seed) for seed in (1, 1, 2))
        if not torch.equal(first, again) or torch.equal(first, other):
            raise Mistake("Draw with the generator that you are given: pass generator=generator.")

    return run_check("07.3", function, stages, seconds=120.0)
