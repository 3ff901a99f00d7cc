"""Checks of the exercises in notebook 07b."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bift_utils.evaluation.intervals import holm
from bift_utils.labs.core.checks import CheckResult, Mistake, as_number, close, run_check

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
