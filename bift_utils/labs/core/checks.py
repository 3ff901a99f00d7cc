"""One check for each exercise: passed, not attempted yet, or failed with the likely mistake.

A check takes the learner's function, tries it on inputs chosen so that common mistakes show, and
prints one line or two. It never raises: a failed exercise leaves the notebook usable.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass

import torch


class Mistake(Exception):
    """Raised inside a check, with what differs and the likely cause."""


@dataclass(frozen=True)
class CheckResult:
    """Outcome of a check: `status` is "passed", "not attempted yet" or "failed"."""

    exercise: str
    status: str
    message: str = ""

    def __str__(self) -> str:
        mark = {"passed": "✓", "not attempted yet": "…", "failed": "✗"}[self.status]
        text = f"{mark} Exercise {self.exercise}: {self.status}"
        return f"{text}\n  {self.message}" if self.message else text


def is_stub(function: Callable) -> bool:
    """Say whether a function still has the stub's `...` as a statement or a value."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return False
    left = (ast.Expr, ast.Assign, ast.AnnAssign, ast.Return)  # `x[..., 0]` is no stub
    return any(
        isinstance(node, left) and isinstance(node.value, ast.Constant) and node.value.value is ...
        for node in ast.walk(tree)
    )


def run_check(exercise: str, function: Callable, stages: Callable[[Callable], None]) -> CheckResult:
    """Run the stages of a check on a learner's function, print the outcome and return it."""
    if is_stub(function):
        result = CheckResult(exercise, "not attempted yet")
    else:
        try:
            stages(function)
            result = CheckResult(exercise, "passed")
        except Mistake as mistake:
            result = CheckResult(exercise, "failed", str(mistake))
        except Exception as error:  # whatever the learner's code raises is shown, not raised
            kind = type(error).__name__
            result = CheckResult(exercise, "failed", f"Your function raised {kind}: {error}")
    print(result)
    return result


def as_number(value) -> float:
    """Return the learner's answer as a float, or say what it is instead."""
    if value is None:
        raise Mistake("Your function returned None. Is a `return` missing?")
    if isinstance(value, torch.Tensor) and value.numel() != 1:
        raise Mistake(
            f"Expected a single number, got a tensor of shape {tuple(value.shape)}. "
            "Is a sum or a mean missing?"
        )
    try:
        return float(value)
    except (TypeError, ValueError):
        raise Mistake(f"Expected a number, got {type(value).__name__}.") from None
