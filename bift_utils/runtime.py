"""Seeds, devices, the environment report, options that are checked, and bands for numbers."""

import math
import os
import platform
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from importlib import metadata
from numbers import Integral, Real
from typing import Any, NamedTuple

import torch


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices), for the random choices that take no generator.

    Dropout and weight initialisation are such choices; masking and shuffling take generators of
    their own (`make_generator`), so that adding one never shifts the others.

    Introduced in notebook 00.
    """
    import numpy

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def make_generator(*seeds: int) -> torch.Generator:
    """Return a CPU generator whose stream depends on all of `seeds` (a run, then a step, say).

    Random draws happen on the CPU on every machine, so that a GPU sees the same masks.

    Introduced in notebook 00.
    """
    if not seeds:
        raise ValueError("make_generator() was given no seed; pass at least one integer.")
    state = 0
    for seed in seeds:  # a small mixing step: (1, 2) and (2, 1) give unrelated streams
        state = (state * 6364136223846793005 + int(seed) + 1442695040888963407) % 2**63
    return torch.Generator().manual_seed(state)


def get_device() -> torch.device:
    """Return the GPU if PyTorch can use one, else the CPU.

    Introduced in notebook 00.
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def quiet_libraries() -> None:
    """Keep `transformers` quiet (no progress bars, no load reports); network use is left alone."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


def environment_report() -> dict[str, str]:
    """Return what this session runs on: Python, library versions, device and thread count.

    Introduced in notebook 00.
    """
    names = ("bift-utils", "torch", "transformers", "accelerate", "scikit-learn", "matplotlib")
    report = {"Python": platform.python_version()}
    report.update({name: metadata.version(name) for name in names})
    device = get_device()
    report["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    report["threads"] = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    return report


def check_environment() -> None:
    """Print that this session has what the notebooks need, or raise and say what is wrong.

    Raises:
        RuntimeError: a matrix product on the device goes wrong.

    Introduced in notebook 00.
    """
    device = get_device()
    product = torch.ones(8, 8, device=device) @ torch.ones(8, 8, device=device)
    if not bool((product == 8).all()):
        raise RuntimeError(f"A matrix product on {device} gave a wrong result; use the CPU.")
    print("this machine is ready ✓")


class Rule(NamedTuple):
    """What an option may be: a test, in words what is expected, and a name if not the field's."""

    holds: Callable[[Any], bool]
    expected: str
    name: str = ""


def whole(least: int, most: int | None = None) -> Rule:
    """Return the rule for a whole number."""

    def holds(value) -> bool:
        if not isinstance(value, Integral) or isinstance(value, bool):
            return False
        value = int(value)
        return least <= value and (most is None or value <= most)

    limits = f"of {least} or more" if most is None else f"from {least} to {most}"
    return Rule(holds, f"a whole number {limits}")


def number(low: float, high: float = math.inf, above: bool = False, below: bool = False) -> Rule:
    """Return the rule for a finite number; with `above` and `below` an end is not included."""

    def holds(value) -> bool:
        if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
            return False
        value = float(value)
        high_enough = low < value if above else low <= value
        return high_enough and (value < high if below else value <= high)

    if high == math.inf:
        limits = f"above {low:g}" if above else f"{low:g} or more"
    elif above and below:
        limits = f"between {low:g} and {high:g}, both excluded"
    else:
        limits = f"{'above' if above else 'from'} {low:g} {'to below' if below else 'to'} {high:g}"
    return Rule(holds, f"a finite number, {limits}")


def one_of(known: Sequence[str]) -> Rule:
    """Return the rule for a name among several."""
    return Rule(lambda value: isinstance(value, str) and value in known, f"one of {tuple(known)}")


def of_type(wanted: type, words: str) -> Rule:
    """Return the rule for an option of which only the type is checked."""
    return Rule(lambda value: isinstance(value, wanted), words)


def or_none(rule: Rule, meaning: str) -> Rule:
    """Return the same rule, but for None, too; `meaning` says what None stands for."""
    return Rule(
        lambda value: value is None or rule.holds(value), f"{rule.expected}, or None for {meaning}"
    )


def check_options(options, rules: Mapping[str, Rule]) -> None:
    """Check every field of a dataclass of options; called from its `__post_init__`.

    Args:
        options: the dataclass.
        rules: one for each field.

    Raises:
        ValueError: a field is not of its type, or outside its range; the message names it.
        KeyError: a field has no rule, which is a mistake of whoever added it.
    """
    for field in fields(options):
        rule, value = rules[field.name], getattr(options, field.name)
        if not rule.holds(value):
            name = rule.name or field.name
            raise ValueError(f"{name} was given as {value!r}; expected {rule.expected}.")


def report(name: str, value: float, low: float | None = None, high: float | None = None) -> None:
    """Print the measured `value` beside the band [low, high] in which it is expected, or raise.

    The last digits of a measurement differ from machine to machine, so the value is taken out
    before saved and new output are compared (tests/notebooks/sanitize.cfg): the band is the test.
    Bands are recorded over five seeds on one machine. Training on another one, a GPU above all,
    soon goes another way, like another seed, so a value may lie outside by up to the width of the
    band; the line says so. Without a band, as in the editions for courses, where it would answer a
    prediction, the value is printed and that is all.

    Raises:
        ValueError: the band has one end alone.
        AssertionError: the value is further outside than that, or is not a number.

    Introduced in notebook 00.
    """
    value = float(value)
    if low is None and high is None:
        print(f"{name}: {value:.4g}")
        return
    if low is None or high is None:
        raise ValueError(f"{name}: the band has one end, {low} to {high}; give both ends or none.")
    margin = high - low
    if not low - margin <= value <= high + margin:
        raise AssertionError(
            f"{name}: measured {value:.4g}, expected between {low:g} and {high:g}. "
            "Run the notebook from the top; if it fails again, the result itself has changed."
        )
    near = "" if low <= value <= high else ", near enough on another machine"
    print(f"{name}: {value:.4g}  (expected {low:g} to {high:g}{near}) ✓")
