"""What the hidden tests of the course edition call.

A check prints its verdict and never raises, so that a notebook stays usable. A grader needs the
opposite: an error unless the verdict is "passed".
"""

import contextlib
import importlib
import io
from collections.abc import Callable

from bift_utils.runtime import make_generator

FRESH = 20_261  # put before every seed in the second run


def require_passed(topic: str, check: str, function: Callable) -> None:
    """Raise unless `function` passes CHECK of `bift_utils.labs.TOPIC.checks`, twice where it draws.

    The checks are loaded anew, so that a notebook that wrote over them is not believed. A check
    that draws its inputs from a generator runs a second time with other draws. This stops
    accidents, not a determined cheat: both run in one process.

    Raises:
        AssertionError: the status is not "passed"; says which and why.
    """
    for name in ("core", topic):
        module = importlib.reload(importlib.import_module(f"bift_utils.labs.{name}.checks"))
    _run(module, check, function)
    if hasattr(module, "make_generator"):
        vars(module)["make_generator"] = lambda *seeds: make_generator(FRESH, *seeds)
        try:
            _run(module, check, function)
        finally:
            vars(module)["make_generator"] = make_generator


def _run(module, check: str, function: Callable) -> None:
    with contextlib.redirect_stdout(io.StringIO()):  # the visible call has printed it already
        result = getattr(module, check)(function)
    if result.status != "passed":
        raise AssertionError(str(result))
