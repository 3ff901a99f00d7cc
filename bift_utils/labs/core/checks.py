"""One check for each exercise: passed, not attempted yet, or failed with the likely mistake.

A check takes the learner's function, tries it on inputs chosen so that common mistakes show, and
prints one line or two. It never raises: a failed exercise leaves the notebook usable. What all
checks have in common is here, so that no single one can forget it: inputs that must not change, a
time limit, whose fault an error is, and the forms in which an answer may come.
"""

import ast
import ctypes
import dataclasses
import inspect
import linecache
import math
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

TIME_LIMIT = 60.0  # seconds for a whole check; a right answer takes less than one
CHANGED = "Your function changed its inputs, which the next call still needs. Build new ones."
NO_RETURN = "Your function returned None. Is a `return` missing?"


class Mistake(Exception):
    """Raised inside a check, with what differs and the likely cause."""


class NotAttempted(Exception):
    """Raised when a function with a `...` in it gives nothing yet."""


class TimeUp(BaseException):
    """Raised in a function that runs too long; a learner's `except Exception` does not stop it."""


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

    def _ipython_display_(self) -> None:
        """Show nothing at the end of a cell: the check has printed it already."""


def _is_ellipsis(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _body(function: Callable) -> list[ast.stmt]:
    """Return the statements of a function without its docstring; none if it cannot be read."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return []
    definition = tree.body[0] if tree.body else None
    if not isinstance(definition, ast.FunctionDef):
        return []
    has_docstring = ast.get_docstring(definition) is not None
    return definition.body[1:] if has_docstring else definition.body


def is_stub(function: Callable) -> bool:
    """Say whether there is nothing but `...` in a function.

    People type where the stub's `...` stands, above it or below it, and leave it there; so one
    real statement makes an answer.
    """
    body = _body(function)
    return bool(body) and all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and _is_ellipsis(statement.value))
        for statement in body
    )


def _has_gap(function: Callable) -> bool:
    """Say whether a `...` is left in a function as a statement or a value (`x[..., 0]` is none)."""
    kinds = (ast.Expr, ast.Assign, ast.AnnAssign, ast.Return)
    return any(
        isinstance(node, kinds) and _is_ellipsis(node.value)
        for statement in _body(function)
        for node in ast.walk(statement)
    )


def copied(value):
    """Return a copy of tensors and of lists, sets and dicts of them; all else as it is."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, list | tuple | set):
        return type(value)(copied(item) for item in value)
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        return {
            field.name: copied(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    return value


def unchanged(before, after) -> bool:
    """Say whether a value still equals the copy that `copied` made of it; NaN equals NaN."""
    if isinstance(after, Tensor):
        if before.shape != after.shape or before.dtype != after.dtype:
            return False
        return torch.equal(before, after) or torch.allclose(before, after, 0.0, 0.0, True)
    if isinstance(after, list | tuple):
        return len(before) == len(after) and all(map(unchanged, before, after))
    if isinstance(after, dict):
        return list(before) == list(after) and all(unchanged(before[k], after[k]) for k in after)
    if dataclasses.is_dataclass(after):
        return all(unchanged(value, getattr(after, name)) for name, value in before.items())
    return before is after or before == after or (before != before and after != after)


def _short(value) -> str:
    """Describe an argument in a few words."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}" if value.dim() else f"{value:g}"
    if callable(value):
        return getattr(value, "__name__", "a function")
    return textwrap.shorten(repr(value), 80, placeholder=" …")


class Watched:
    """The learner's function, called as it is, with an eye on what it does to its inputs.

    `raised` is the last error that came out of it: what is raised elsewhere is the check's own.
    """

    def __init__(self, function: Callable, changed: str):
        self.function, self.changed = function, changed
        self.gap = _has_gap(function)
        self.raised: Exception | None = None
        self.arguments: tuple = ()

    def __call__(self, *arguments):
        before = copied(arguments) if self.changed else None
        self.arguments = arguments
        try:
            answer = self.function(*arguments)
        except Exception as error:
            self.raised = error
            raise
        if self.gap and (answer is None or answer is ...):
            raise NotAttempted
        if self.changed and not unchanged(before, arguments):
            raise Mistake(self.changed)
        return answer

    def called_with(self) -> str:
        return ", ".join(map(_short, self.arguments))

    def line(self, error: Exception) -> str:
        """Return the learner's line in which an error arose, in brackets; "" if it is not known."""
        code = getattr(self.function, "__code__", None)
        frames = [
            (frame.f_code.co_filename, number)
            for frame, number in traceback.walk_tb(error.__traceback__)
            if code is not None and frame.f_code.co_filename == code.co_filename
        ]
        text = linecache.getline(*frames[-1]).strip() if frames else ""
        return f" (in the line `{text}`)" if text else ""


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Raise an error in a thread, at its next step in Python."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeUp` here after so many seconds; the kernel and its variables stay.

    It works in any thread and on every system, as an alarm signal would not, and stops whatever
    takes steps in Python, such as a loop without an end. A single call into C is waited for. It is
    raised again and again until it has come through, so that a bare `except` does not hide it.
    """
    thread, over = threading.get_ident(), threading.Event()

    def watch():
        wait = seconds
        while not over.wait(wait):
            _raise_in(thread, TimeUp)
            wait = 0.05

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        left = False
        while not left:
            try:
                over.set()
                watcher.join()
                for _ in range(3):  # one that still waits comes at these steps, and not later
                    pass
                left = True
            except TimeUp:  # it came while we were leaving
                continue


def run_check(
    exercise: str,
    function: Callable,
    stages: Callable[[Callable], None],
    changed: str = CHANGED,
    seconds: float | None = None,
) -> CheckResult:
    """Run the stages of a check on a learner's function, print the outcome and return it.

    Args:
        exercise: its number.
        function: the learner's.
        stages: what is tried, in order; raises `Mistake`.
        changed: what is said if the function changes an input; "" if it may.
        seconds: for all stages together; None is TIME_LIMIT.
    """
    if is_stub(function):
        result = CheckResult(exercise, "not attempted yet")
    else:
        watched = Watched(function, changed)
        result = _outcome(exercise, watched, stages, TIME_LIMIT if seconds is None else seconds)
    print(result)
    return result


def _outcome(exercise: str, watched: Watched, stages, seconds: float) -> CheckResult:
    """Run the stages and put what they raise into a sentence."""
    try:
        with time_limit(seconds):
            stages(watched)
        return CheckResult(exercise, "passed")
    except NotAttempted:
        return CheckResult(exercise, "not attempted yet")
    except Mistake as mistake:
        said = str(mistake)
    except TimeUp:
        said = (
            f"Your function was stopped: the check was not over after {seconds:g} s. It was called "
            f"with {watched.called_with()}. Is there a loop that never ends?"
        )
    except Exception as error:  # whatever the learner's code raises is shown, not raised
        kind = f"{type(error).__name__}: {error}".strip(": ")
        said = f"Your function raised {kind}{watched.line(error)}"
        if error is not watched.raised:
            said = (
                f"The check could not read your answer (it stopped with {kind}). Your function "
                "itself raised nothing: compare what it returns with the form that the exercise "
                "asks for. If they agree, the check is at fault; please report it."
            )
    return CheckResult(exercise, "failed", said)


def as_number(value) -> float:
    """Return the learner's answer as a float, or say what it is instead."""
    if value is None:
        raise Mistake(NO_RETURN)
    if hasattr(value, "tolist"):  # an array too
        value = torch.as_tensor(value)
        if value.numel() != 1:
            raise Mistake(
                f"Expected a single number, got a tensor of shape {tuple(value.shape)}. "
                "Is a sum or a mean missing?"
            )
        value = value.detach()
    try:
        if isinstance(value, str | bool):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise Mistake(f"Expected a number, got {_short(value)} ({_kind(value)}).") from None


def as_tensor(answer, shape: tuple[int, ...], what: str, like: Tensor | None = None) -> Tensor:
    """Return the learner's tensor if it has the right form, or say what is wrong with it.

    Args:
        answer: what the learner's function returned.
        shape: the expected shape.
        what: what it should hold, in words: "one vector a row".
        like: a tensor whose dtype and device it should have; None if any will do.
    """
    if answer is None:
        raise Mistake(NO_RETURN)
    if not isinstance(answer, Tensor):
        raise Mistake(f"Expected a tensor of shape {shape}, {what}, got {_kind(answer)}.")
    if tuple(answer.shape) != shape:
        raise Mistake(f"Expected {what}, shape {shape}, got {tuple(answer.shape)}.")
    if like is not None and answer.dtype != like.dtype:
        raise Mistake(f"Expected {what} as {like.dtype}, like the input, got {answer.dtype}.")
    if like is not None and answer.device != like.device:
        raise Mistake(
            f"Your answer does not lie on the device of its input ({what}). Make new tensors with "
            "device=input.device, or with new_zeros, full_like and the like."
        )
    return answer


def as_pair(answer, what: str) -> tuple:
    """Return the learner's two values, from a tuple or a list, or say what came instead."""
    if answer is None:
        raise Mistake(f"{NO_RETURN} Two values are expected: return {what}.")
    if not isinstance(answer, list | tuple):
        raise Mistake(f"Expected two values, got {_kind(answer)}: return {what}.")
    if len(answer) != 2:
        raise Mistake(f"Expected two values, got {len(answer)}: return {what}.")
    return answer[0], answer[1]


def as_list(answer, what: str) -> list:
    """Return the learner's list, also if it is a tuple, an array or a tensor of one dimension."""
    if answer is None:
        raise Mistake(NO_RETURN)
    if hasattr(answer, "tolist"):
        answer = answer.tolist()
    if not isinstance(answer, list | tuple):
        raise Mistake(f"Expected a list of {what}, got {_short(answer)} ({_kind(answer)}).")
    return list(answer)


def _kind(value) -> str:
    return type(value).__name__


def close(value, wanted, tolerance: float = 1e-6) -> bool:
    """Say whether numbers, or all entries of tensors, agree to a share of their size."""
    if not isinstance(value, Tensor) and not isinstance(wanted, Tensor):
        same_nan = math.isnan(value) and math.isnan(wanted)
        return same_nan or math.isclose(value, wanted, rel_tol=tolerance, abs_tol=tolerance)
    value, wanted = (torch.as_tensor(part).detach().double() for part in (value, wanted))
    return value.shape == wanted.shape and torch.allclose(value, wanted, tolerance, tolerance)


def first_difference(answer, expected) -> str:
    """Say at which place an answer and what was expected part first, in one sentence.

    Args:
        answer, expected: two numbers, two lists, or two tensors of one shape.
    """
    if isinstance(answer, Tensor) and answer.dim():
        answer, expected = answer.detach(), expected.to(answer.device)
        if answer.dtype == torch.bool:
            places = (answer != expected).nonzero()
        else:
            places = (~torch.isclose(answer.double(), expected.double(), 1e-6, 1e-6)).nonzero()
        place = places[0].tolist()
        yours, wanted = answer[tuple(place)].item(), expected[tuple(place)].item()
        return f"They part first at {place}: yours is {_written(yours)}, not {_written(wanted)}."
    if isinstance(answer, list):
        pairs = enumerate(zip(answer, expected, strict=False))
        place = next((i for i, (a, b) in pairs if a != b), min(len(answer), len(expected)))
        if place == len(answer):
            return f"It ends after {place} of {len(expected)}; {expected[place]!r} is missing."
        if place == len(expected):
            return f"It should end after {place}; {answer[place]!r} is too much."
        return f"They part at place {place}: yours is {answer[place]!r}, not {expected[place]!r}."
    return f"You gave {_written(float(answer))}; expected {_written(float(expected))}."


def _written(value) -> str:
    if isinstance(value, float) and abs(value) < 1e-12:
        return "0"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def compare(answer, expected, near_misses: Mapping, said: str = "", hint: str = "") -> None:
    """Raise a `Mistake` unless a number or tensor is right: its cause, or where the two part.

    Args:
        answer: the learner's, in the right form.
        expected: the right one.
        near_misses: cause of a usual mistake to the value to which it leads.
        said: what was asked, as the beginning of a sentence; may be "".
        hint: what is said beside the first difference, if no near miss fits.
    """
    if close(answer, expected):
        return
    difference = first_difference(answer, expected)
    for cause, value in near_misses.items():
        if close(answer, value):
            raise Mistake(f"{said} {difference} {cause}".strip())
    numbers = torch.as_tensor(answer)
    if numbers.isnan().any():
        hint = f"There is a NaN in your answer: 0 · log 0 and 0 / 0 give one. {hint}"
    raise Mistake(f"{said} {difference} {hint}".strip())


def require_gradient(answer, right: Tensor, inputs: Mapping[str, Tensor], said: str = "") -> None:
    """Call `backward` on an answer and compare the gradients that reach its inputs.

    Args:
        answer: a tensor, computed by the learner from `inputs`.
        right: the right answer, computed from them too; where it does not depend on an input, no
            gradient may reach that one, not even a zero.
        inputs: name to leaf tensor, each with requires_grad.
        said: what the gradient is needed for.
    """
    if not isinstance(answer, Tensor) or not answer.requires_grad:
        raise Mistake(
            "No gradient flows through your answer, so nothing can be learnt from it. Compute it "
            f"with tensors, without float(), .item(), .detach() or torch.tensor(…). {said}".strip()
        )
    probe = torch.arange(1.0, right.numel() + 1).cos().reshape(right.shape).to(right)
    names, leaves = list(inputs), list(inputs.values())
    expected = torch.autograd.grad((right * probe).sum(), leaves, allow_unused=True)
    (answer * probe.to(answer)).sum().backward()
    for name, leaf, wanted in zip(names, leaves, expected, strict=True):
        if wanted is None and leaf.grad is not None:
            raise Mistake(
                f"A gradient ({_short(leaf.grad)}) still reaches {name}; none should, not even a "
                f"zero. {said}".strip()
            )
        if wanted is not None and (leaf.grad is None or not close(leaf.grad, wanted, 1e-5)):
            found = "there is none" if leaf.grad is None else first_difference(leaf.grad, wanted)
            raise Mistake(
                f"The gradient that reaches {name} is not right: {found} Is a part of the answer "
                f"detached? {said}".strip()
            )
