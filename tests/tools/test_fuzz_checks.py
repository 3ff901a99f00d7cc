"""A sample of mechanical mutants in every run; all of them with `fuzz_checks.py`, at night."""

import pytest
import torch
from exercises import CHECKS, exercises
from fuzz_checks import changed_line, fuzz, mutants, normal
from fuzz_inputs import INPUTS, KNOWN_EQUAL

SLOW = ("check_mask_tokens", "check_find_faults", "check_bootstrap")  # some seconds a mutant
SAMPLE = 6

QUICK = [each for each in exercises() if each[0] not in SLOW]


@pytest.mark.parametrize("check, name, stub, solution", QUICK, ids=lambda value: value[:24])
def test_no_mutant_passes_that_differs(check, name, stub, solution, capsys):
    tried, passed, differ = fuzz(check, name, solution, SAMPLE)
    assert tried == SAMPLE
    assert not differ, f"{check} lets pass, though it differs: {differ}"
    with capsys.disabled():
        print(f" {check}: {passed} of {tried} mutants pass, all equal")


def test_every_check_has_inputs_and_known_mutants_exist():
    assert set(INPUTS) == set(CHECKS)
    for check, name, _, solution in exercises():
        if check in KNOWN_EQUAL:
            lines = {changed_line(solution, mutant) for mutant in mutants(solution)}
            assert set(KNOWN_EQUAL[check]) <= lines, name


def test_a_mutant_that_differs_is_found(monkeypatch):
    check, name, _, solution = next(each for each in QUICK if each[0] == "check_rate_factor")
    passing = type("Passed", (), {"status": "passed"})
    monkeypatch.setattr("fuzz_checks.run_quietly", lambda *given: passing)
    tried, passed, differ = fuzz(check, name, solution)
    assert tried == passed and len(differ) > tried / 2


def test_the_mutants_of_a_solution():
    found = mutants("def f(x, y):\n    total = x[0] - y\n    return max(total, 1)\n")
    lines = {line.strip() for source in found for line in source.splitlines()}
    assert {"total = x[1] - y", "total = x[0] + y", "total = y - x[0]", "return max(1, total)",
            "return max(total, 0)", "pass"} <= lines  # fmt: skip


def test_equal_answers_have_one_form():
    assert normal(torch.tensor(0.5)) == normal(0.5) == normal(0.5000000001)
    assert normal([torch.tensor(1), torch.tensor(2)]) == normal(torch.tensor([1, 2]))
    assert normal(torch.tensor([1.0])) != normal(torch.tensor([1]))
    assert normal(True) != normal(1)
