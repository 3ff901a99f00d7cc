"""Every exercise: the folded solution passes, the stub is no attempt, wrong answers are named."""

import importlib
import pkgutil
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
import torch
import wrong_answers
from wrong_answers.masking import masked

import bift_utils.labs
from bift_utils.labs.core.checks import is_stub
from bift_utils.labs.masking import checks as masking_checks
from bift_utils.labs.masking import practice_maskers as practice
from bift_utils.masking import zoo
from bift_utils.masking.tokens import mask_tokens
from bift_utils.runtime import make_generator

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CHECKS = {
    name: value
    for path in sorted(Path(bift_utils.labs.__path__[0]).glob("*/checks.py"))
    for name, value in vars(
        importlib.import_module(f"bift_utils.labs.{path.parent.name}.checks")
    ).items()
    if name.startswith("check_")
}

WRONG = [
    case
    for module in pkgutil.iter_modules(wrong_answers.__path__)
    for case in importlib.import_module(f"wrong_answers.{module.name}").WRONG
]
UNUSUAL = [
    case
    for module in pkgutil.iter_modules(wrong_answers.__path__)
    for case in getattr(importlib.import_module(f"wrong_answers.{module.name}"), "RIGHT", ())
]


def exercises():
    """Yield (notebook, check call, stub source, solution source) for each exercise."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        for i, cell in enumerate(cells):
            found = re.search(r"checks\.(check_\w+)\((\w+)\)", cell.source)
            if cell.cell_type == "code" and found:
                check, function = found.groups()
                stub = next(c for c in reversed(cells[:i]) if c.cell_type == "code")
                assert f"def {function}(" in stub.source
                text = next(c for c in cells[i:] if "<summary>Solution" in c.source).source
                solution = re.search(r"Solution</summary>\s*```python\n(.*?)```", text, re.S)
                yield pytest.param(check, function, stub.source, solution[1], id=f"{check}")


def define(tmp_path, source, function):
    """Run source from a file, so that the check can read it as it reads a notebook cell."""
    path = tmp_path / "cell.py"
    path.write_text(source, encoding="utf-8")
    space = {"torch": torch}
    exec(compile(source, str(path), "exec"), space)
    return space[function]


@pytest.mark.parametrize("check, function, stub, solution", list(exercises()))
def test_solution_passes_and_stub_is_not_attempted(tmp_path, check, function, stub, solution):
    run = CHECKS[check]
    assert run(define(tmp_path, stub, function)).status == "not attempted yet"
    result = run(define(tmp_path, solution, function))
    assert result.status == "passed", result.message


def test_every_check_is_used_in_a_notebook():
    used = {parameter.values[0] for parameter in exercises()}
    assert used == set(CHECKS)


@pytest.mark.parametrize("name, answer, message", WRONG)
def test_wrong_answers_are_named(name, answer, message):
    result = CHECKS[f"check_{name}"](answer)
    assert result.status == "failed"
    assert re.search(message, result.message), result.message


@pytest.mark.parametrize("name, answer", UNUSUAL)
def test_unusual_right_answers_pass(name, answer):
    result = CHECKS[f"check_{name}"](answer)
    assert result.status == "passed", result.message


def test_each_exercise_has_at_least_three_wrong_answers():
    for name in (n.removeprefix("check_") for n in CHECKS):
        assert len({message for wrong, _, message in WRONG if wrong == name}) >= 3


def test_the_outcome_is_printed(capsys):
    CHECKS["check_joint_loss"](lambda m, t, w: None)
    assert capsys.readouterr().out.startswith("✗ Exercise 06.1: failed\n  Your function returned")


def floor_count(ids, config, generator):
    """Select a fixed number a row, rounded down: correct as well."""
    ordinary = config.ordinary[ids]
    lots = torch.rand(ids.shape, generator=generator).masked_fill(~ordinary, 2.0)
    count = (config.mlm_probability * ordinary.sum(-1, keepdim=True)).floor()
    selected = lots.argsort(-1).argsort(-1) < count
    rest, _ = masked()(ids, replace(config, mlm_probability=0.999999), generator)
    corrupted = torch.where(selected, rest, ids)
    return corrupted, ids.masked_fill(~selected, -100)


RIGHT = [mask_tokens, zoo.fixed_count, floor_count, practice.never_the_original]


@pytest.mark.parametrize("masker", RIGHT)
@pytest.mark.parametrize("shift", range(3))
def test_every_correct_masker_passes(masker, shift):
    def shifted(ids, config, generator):
        torch.rand(shift, generator=generator)  # other numbers from the same seed
        return masker(ids, config, generator)

    result = CHECKS["check_mask_tokens"](shifted)
    assert result.status == "passed", result.message


def test_tolerances_are_derived():
    from scipy import stats

    n = 148_500  # selected tokens of the practice batch, at the very least
    low, high = masking_checks._bounds(n, 0.8, 0.8)
    kept_low, kept_high = masking_checks._bounds(n, 0.1, 0.1001)

    def passes(as_mask, kept):
        """Bound the chance that a masker with these shares is let through."""
        one = stats.binom.cdf(high, n, as_mask) - stats.binom.cdf(low - 1, n, as_mask)
        two = stats.binom.cdf(kept_high, n, kept) - stats.binom.cdf(kept_low - 1, n, kept)
        return min(one, two)

    assert 6 * masking_checks.ALPHA <= 1e-9  # six tests, each two-sided
    for kept in (0.1, 0.1001):  # a random token may or may not be the original
        assert stats.binom.sf(kept_high, n, kept) + stats.binom.cdf(kept_low - 1, n, kept) <= 1e-10
    assert stats.binom.sf(high, n, 0.8) + stats.binom.cdf(low - 1, n, 0.8) <= 1e-10
    for as_mask, kept in ((0.81, 0.09), (0.8, 0.18), (1.0, 0.0), (0.9, 0.09)):
        assert passes(as_mask, kept) <= 1e-10


def test_kept_tokens_have_a_narrow_band_of_their_own():
    n = 150_000
    for errors, right in ((5, True), (-5, True), (8, False), (-8, False)):
        kept = round(0.1 * n + errors * (0.1 * 0.9 * n) ** 0.5)
        counts = [round(0.8 * n), round(0.2 * n) - kept, kept]
        if right:
            masking_checks._check_shares(counts)
        else:
            with pytest.raises(masking_checks.Mistake, match="expected 80/10/10"):
                masking_checks._check_shares(counts)


def test_a_masker_with_bad_luck_once_and_good_luck_once_is_right_in_the_long_run():
    ids, config = zoo.practice_batch()
    masker, errors = practice.counted_out(4.5, -4.5), []
    for seed in (0, 1):
        corrupted, labels = masker(ids.clone(), config, make_generator(seed))
        selected = labels != -100
        n, kept = int(selected.sum()), int((corrupted == ids)[selected].sum())
        errors.append((kept - 0.1 * n) / (0.1 * 0.9 * n) ** 0.5)
    assert errors == pytest.approx([4.5, -4.5], abs=0.01)


def test_an_ellipsis_in_an_index_is_no_stub(tmp_path):
    indexed = "def f(m, t, w):\n    return m[..., None].sum() * w"
    assert not is_stub(define(tmp_path, indexed, "f"))
    for stub in (
        "def f():\n    ...",
        "def f():\n    x = ...\n    return x",
        "def f():\n    return ...",
    ):
        assert is_stub(define(tmp_path, stub, "f"))
