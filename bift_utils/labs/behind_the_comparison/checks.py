"""Checks of the exercises in notebook 07b."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bift_utils.evaluation.intervals import holm
from bift_utils.labs.core.checks import (
    CheckResult,
    Mistake,
    as_number,
    as_tensor,
    close,
    run_check,
)

DRAWS = 2000  # the spread of so many means is known to 1.6 % (one standard deviation), at most
TOLERANCE = 0.12
Gradients = Sequence[Tensor | None]  # a tensor a parameter; None where a loss does not reach it


def check_cosine(function: Callable) -> CheckResult:
    """Check exercise 07b.1: `function(first, second)` is the cosine of two lists of gradients."""
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([[0.0, 4.0]])
    c, d = torch.tensor([3.0, 4.0]), torch.tensor([[12.0, 0.0]])
    cases: list[tuple[str, Gradients, Gradients]] = [
        ("two equal lists", [a, b], [a, b]),
        ("a list and its opposite", [a, b], [-a, -b]),
        ("gradients of another length", [a, b], [5 * a, 5 * b]),
        ("two that part in one of the tensors", [a, b], [c, d]),
        ("a loss that does not reach the last tensor (None)", [a, b], [c, None]),
        ("losses that have no tensor in common", [a, None], [None, b]),
    ]

    def stages(function):
        for name, first, second in cases:
            right = _cosine(first, second)
            value = as_number(function(list(first), list(second)))
            if close(value, right, 1e-5):
                continue
            reached = [(x, y) for x, y in zip(first, second, strict=True)
                       if x is not None and y is not None]  # fmt: skip
            parts = [_cosine([x], [y]) for x, y in reached]
            dot = sum(float((x * y).sum()) for x, y in reached)
            lengths = _length(first), _length(second)
            twice = "You divided by one length twice; each vector has its own."
            causes = [
                (dot / math.prod(_length(one) for one in zip(*reached, strict=True))
                 if reached else math.nan,
                 "A None is a gradient of zeros: the other list's tensor still counts in its "
                 "length."),
                (sum(parts) / max(len(parts), 1),
                 "That is the mean of the tensors' cosines. All tensors together are one vector."),
                (dot, "That is the product alone; divide by both lengths."),
                (dot / lengths[0] ** 2, twice),
                (dot / lengths[1] ** 2, twice),
                (abs(right), "The sign is lost: below 0 one loss undoes what the other does."),
            ]  # fmt: skip
            cause = next((text for wrong, text in causes if close(value, wrong, 1e-5)), "")
            raise Mistake(f"For {name} you gave {value:.4f}; expected {right:.4f}. {cause}".strip())

    return run_check("07b.1", function, stages)


def _length(tensors: Gradients) -> float:
    return math.sqrt(sum(float((x * x).sum()) for x in tensors if x is not None))


def _cosine(first: Gradients, second: Gradients) -> float:
    pairs = zip(first, second, strict=True)
    dot = sum(float((x * y).sum()) for x, y in pairs if x is not None and y is not None)
    return dot / (_length(first) * _length(second))


def check_holm(function: Callable) -> CheckResult:
    """Check exercise 07b.2: `function(p_values, level)` lists the places of what stands."""
    cases = [
        ([0.01, 0.04, 0.005, 0.6], 0.05),
        ([0.001, 0.03, 0.024], 0.05),
        ([0.02, 0.022, 0.6], 0.05),
        ([0.04], 0.05),
        ([0.05], 0.05),
        ([0.3, 0.04, 0.9], 0.05),
        ([0.025, 0.9], 0.05),
        ([0.011, 0.009, 0.004], 0.01),
        ([0.01, 0.01, 0.04, 0.2], 0.1),
        ([], 0.05),
    ]

    def stages(function):
        for p_values, level in cases:
            right = holm(dict(enumerate(p_values)), level)
            answer = function(list(p_values), level)
            if answer is None:
                as_number(answer)  # says what is missing
            if not isinstance(answer, list | tuple | Tensor):
                raise Mistake(f"Expected a list of places, got {type(answer).__name__}.")
            found = [as_number(place) for place in answer]
            if found == right:
                continue
            cause = _cause(found, right, p_values, level)
            raise Mistake(
                f"For the p-values {p_values} and level {level} you gave {[*map(int, found)]}; "
                f"expected {right}. {cause}".strip()
            )

    return run_check("07b.2", function, stages)


def _cause(found: list, right: list, p_values: list[float], level: float) -> str:
    """Say by which slip one arrives at an answer; "" if it is none of the usual."""
    count, order = len(p_values), sorted(range(len(p_values)), key=p_values.__getitem__)
    limits = [level / (count - done) for done in range(count)]
    kept = [i for i, limit in zip(order, limits, strict=True) if p_values[i] < limit]
    at = [p_values[i] < limit for i, limit in zip(order, limits, strict=True)]
    stepped_up = order[: max((k + 1 for k, below in enumerate(at) if below), default=0)]
    slips = [
        (stepped_up, "You begin with the largest; Holm begins with the smallest."),
        ([i for i in order if p_values[i] < level],
         "Each is held against the level itself; nothing is corrected."),
        ([i for i in order if p_values[i] < level / max(count, 1)],
         "Each is held against level / m (Bonferroni); after each that stands there is one less."),
        (kept, "The first that fails ends the list, whatever comes after it."),
        (sorted(right), "Name them from the smallest p to the largest."),
        ([p_values[i] for i in right], "Asked are the places, not the p-values."),
        ([i + 1 for i in right], "Places are counted from 0."),
    ]  # fmt: skip
    if set(right) < set(found) and all(
        i in range(count) and p_values[int(i)] <= level for i in found
    ):
        slips.append((found, "At the limit itself it does not stand; it must lie below."))
    return next((text for wrong, text in slips if found == wrong and found != right), "")


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
    """Check exercise 07b.3: `function(differences, draws, generator)` resamples rows and columns.

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

    return run_check("07b.3", function, stages, seconds=120.0)
