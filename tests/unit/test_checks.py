"""Every exercise: the folded solution passes, the stub is no attempt, wrong answers are named."""

import importlib
import os
import pkgutil
import re
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import wrong_answers
from exercises import CHECKS, define, exercises
from IPython.core.interactiveshell import InteractiveShell
from scipy import stats
from wrong_answers.masking import RIGHT_MASKERS

from bift_utils.labs.core import checks as core_checks
from bift_utils.labs.core.checks import as_number, first_difference, require_gradient, run_check
from bift_utils.labs.masking import checks as masking_checks
from bift_utils.labs.masking import distribution
from bift_utils.labs.masking import practice_maskers as practice
from bift_utils.masking import zoo
from bift_utils.masking.tokens import MaskingConfig, mask_tokens
from bift_utils.runtime import make_generator

SEEDS = int(os.environ.get("BIFT_SEEDS", "20"))  # at night 200
MODULES = [
    importlib.import_module(f"wrong_answers.{module.name}")
    for module in pkgutil.iter_modules(wrong_answers.__path__)
]
WRONG = [case for module in MODULES for case in module.WRONG]
RIGHT = [case for module in MODULES for case in module.RIGHT]


@pytest.mark.parametrize(
    "check, function, stub, solution", [pytest.param(*each, id=each[0]) for each in exercises()]
)
def test_solution_passes_and_stub_is_not_attempted(tmp_path, check, function, stub, solution):
    run = CHECKS[check]
    assert run(define(tmp_path, stub, function)).status == "not attempted yet"
    result = run(define(tmp_path, solution, function))
    assert result.status == "passed", result.message


def test_every_check_is_used_in_a_notebook():
    used = {check for check, *_ in exercises()}
    assert used == set(CHECKS)


@pytest.mark.parametrize("name, answer, message", WRONG)
def test_wrong_answers_are_named(name, answer, message):
    result = CHECKS[f"check_{name}"](answer)
    assert result.status == "failed"
    assert re.search(message, result.message), result.message


@pytest.mark.parametrize("name, answer", RIGHT)
def test_unusual_right_answers_pass(name, answer):
    result = CHECKS[f"check_{name}"](answer)
    assert result.status == "passed", result.message


@pytest.mark.parametrize("check", CHECKS)
def test_each_exercise_has_eight_wrong_answers_and_four_unusual_right_ones(check):
    name = check.removeprefix("check_")
    assert len({message for wrong, _, message in WRONG if wrong == name}) >= 8
    assert len([right for right, _ in RIGHT if right == name]) >= 4


def test_the_outcome_is_printed_once(capsys):
    result = CHECKS["check_decaying_weight"](lambda t, a, b, n: None)
    assert capsys.readouterr().out.startswith("✗ Exercise 06.2: failed\n  Your function returned")
    shown = InteractiveShell.instance().display_formatter.format(result)
    assert shown == ({}, {})  # at the end of a cell


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_correct_masker_is_refused(seed):
    masker = RIGHT_MASKERS[seed % len(RIGHT_MASKERS)]

    def shifted(ids, config, generator):
        torch.rand(seed // len(RIGHT_MASKERS), generator=generator)  # other numbers from one seed
        return masker(ids, config, generator)

    result = CHECKS["check_mask_tokens"](shifted)
    assert result.status == "passed", result.message


def test_tolerances_are_derived():
    n = 148_500  # selected tokens of the practice batch, at the very least
    low, high = distribution.bounds(n, 0.8, 0.8)
    kept_low, kept_high = distribution.bounds(n, 0.1, 0.1001)

    def passes(as_mask, kept):
        """Bound the chance that a masker with these shares is let through."""
        one = stats.binom.cdf(high, n, as_mask) - stats.binom.cdf(low - 1, n, as_mask)
        two = stats.binom.cdf(kept_high, n, kept) - stats.binom.cdf(kept_low - 1, n, kept)
        return min(one, two)

    alpha = distribution.ALPHA
    assert distribution.TESTS * alpha <= 1e-9
    for kept in (0.1, 0.1001):  # a random token may or may not be the original
        outside = stats.binom.sf(kept_high, n, kept) + stats.binom.cdf(kept_low - 1, n, kept)
        assert outside <= alpha
    assert stats.binom.sf(high, n, 0.8) + stats.binom.cdf(low - 1, n, 0.8) <= alpha
    for as_mask, kept in ((0.81, 0.09), (0.8, 0.18), (1.0, 0.0), (0.9, 0.09)):
        assert passes(as_mask, kept) <= 1e-10


def test_a_check_makes_no_more_tests_than_it_answers_for(monkeypatch):
    made = []
    for name in ("bounds", "is_even"):
        real = getattr(masking_checks, name)

        def counted(*given, real=real):
            made.append(given)
            return real(*given)

        monkeypatch.setattr(masking_checks, name, counted)
    assert CHECKS["check_mask_tokens"](mask_tokens).status == "passed"
    assert len(made) <= distribution.TESTS


@pytest.mark.parametrize("groups, of, chance", [(5000, 30, 0.8), (1000, 45_000, 1 / 999)])
def test_the_limit_for_many_counts_holds_and_is_of_use(groups, of, chance):
    trials = torch.full((groups,), of)
    low, high = distribution.bounds(of, chance, chance, distribution.ALPHA / 2 / groups)
    ends = np.full(groups, low), np.full(groups, high)
    limit = distribution.limit_of_squares(trials.numpy(), chance, *ends)
    assert limit > stats.chi2.isf(distribution.ALPHA / 2, groups)  # nearly the exact limit
    assert limit < 1.7 * groups
    generator = make_generator(0)
    fair = torch.binomial(trials.double(), torch.tensor(chance).double(), generator=generator)
    assert distribution.is_even(fair, trials, chance)
    assert not distribution.is_even(2 * (fair / 2).round(), 2 * trials.div(4).round(), chance)
    pairs = torch.binomial(trials.double() / 2, torch.tensor(chance).double(), generator=generator)
    assert not distribution.is_even(2 * pairs, trials, chance)  # every event twice


def test_kept_tokens_have_a_narrow_band_of_their_own():
    n = 150_000
    for errors, right in ((5, True), (-5, True), (8, False), (-8, False)):
        kept = round(0.1 * n + errors * (0.1 * 0.9 * n) ** 0.5)
        counts = [round(0.8 * n), round(0.2 * n) - kept, kept]
        assert masking_checks._right_shares(counts) == right
        assert "expected 80/10/10" in masking_checks._shares_cause(counts)


def test_a_masker_with_bad_luck_once_and_good_luck_once_is_right_in_the_long_run():
    ids, config = zoo.practice_batch()
    masker, errors = practice.counted_out(4.5, -4.5), []
    for seed in (0, 1):
        corrupted, labels = masker(ids.clone(), config, make_generator(seed))
        selected = labels != -100
        n, kept = int(selected.sum()), int((corrupted == ids)[selected].sum())
        errors.append((kept - 0.1 * n) / (0.1 * 0.9 * n) ** 0.5)
    assert errors == pytest.approx([4.5, -4.5], abs=0.01)


TWICE = 'def f(x):\n    """Return twice x."""\n'


def number(function):
    assert as_number(function(2)) == 4


@pytest.mark.parametrize(
    "body, status",
    [
        ("    ...", "not attempted yet"),
        ("    pass", "not attempted yet"),
        ("    x = ...\n    return x", "not attempted yet"),
        ("    return ...", "not attempted yet"),
        ("    y = 2 * x\n    ...", "not attempted yet"),  # begun
        ("    return 2 * x\n    ...", "passed"),
        ("    ...\n    return 2 * x", "passed"),
        ("    y = 2 * x\n    ...\n    return y", "passed"),
        ("    return torch.tensor([x])[..., 0] * 2", "passed"),
        ("    return ... + x", "failed"),
    ],
)
def test_what_a_left_over_ellipsis_means(tmp_path, body, status):
    assert run_check("0", define(tmp_path, TWICE + body, "f"), number).status == status


def test_a_loop_without_an_end_gives_the_kernel_back():
    def stubborn(x):
        while True:
            try:  # noqa: SIM105
                x += 1
            except:  # noqa: E722 (learners write it)
                pass

    for function in (stubborn, lambda x: [x for x in iter(int, 1)]):
        began = time.monotonic()
        result = run_check("0", function, number, seconds=0.2)
        assert result.status == "failed" and "a loop that never ends" in result.message
        assert "It was called with 2." in result.message
        assert time.monotonic() - began < 20
    time.sleep(0.2)  # nothing comes later
    assert run_check("0", lambda x: 2 * x, number).status == "passed"


def test_a_check_comes_to_its_end_under_a_debugger_too():
    code = """
import sys
from bift_utils.labs.core.checks import run_check

def trace(frame, event, argument):
    return trace

sys.settrace(trace)
for _ in range(2):
    run_check("0", lambda x: 2 * x, lambda function: function(2))
"""
    ended = subprocess.run([sys.executable, "-c", code], timeout=120, capture_output=True)
    assert ended.returncode == 0 and ended.stdout.count(b"passed") == 2


def test_whose_fault_an_error_is():
    def broken(function):
        function(2).nothing  # noqa: B018

    result = run_check("0", lambda x: 2 * x, broken)
    assert "Your function itself raised nothing" in result.message
    result = run_check("0", lambda x: x.nothing, number)
    assert "Your function raised AttributeError" in result.message
    assert "in the line `result = run_check(" in result.message


@pytest.mark.parametrize(
    "given, spoil",
    [
        ([2, 1], lambda x: x.sort()),
        ({"a": torch.zeros(2)}, lambda x: x["a"].add_(1)),
        ({1, 2}, lambda x: x.clear()),
        (torch.tensor([float("nan"), 1.0]), lambda x: x.mul_(2)),
        (MaskingConfig(0, torch.tensor([True])), lambda x: x.ordinary.logical_not_()),
    ],
)
def test_no_input_may_change(given, spoil):
    def call(function):
        function(given)

    assert run_check("0", lambda x: None, call).status == "passed"
    assert "changed its inputs" in run_check("0", spoil, call).message
    assert run_check("0", spoil, call, changed="").status == "passed"


def test_where_two_answers_part_is_said():
    assert "at [1, 0]: yours is 3, not 2" in first_difference(
        torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0], [2.0]])
    )
    assert "at place 1: yours is 'b', not 'c'" in first_difference(["a", "b"], ["a", "c"])
    assert "ends after 1 of 2; 'b' is missing" in first_difference(["a"], ["a", "b"])
    assert "should end after 1; 'b' is too much" in first_difference(["a", "b"], ["a"])


@pytest.mark.parametrize("cut", ["detach", "half", "zero"])
def test_a_cut_gradient_is_seen(cut):
    x, y = (torch.tensor(2.0, requires_grad=True) for _ in range(2))
    answer = {"detach": (3 * x).detach(), "half": x + 2 * x.detach(), "zero": 3 * x + 0 * y}[cut]
    # Grading loads the module anew: its present class, not the one of when this test was imported.
    with pytest.raises(core_checks.Mistake, match={"zero": "still reaches y"}.get(cut, "detach")):
        require_gradient(answer, 3 * x, {"x": x, "y": y})
    x.grad = y.grad = None
    require_gradient(x + x + x, 3 * x, {"x": x, "y": y})
