"""Every exercise: the folded solution passes, the stub is no attempt, wrong answers are named."""

import importlib
import pkgutil
import re
from pathlib import Path

import nbformat
import pytest
import torch

import bift_utils.checks

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
CHECKS = {
    name: value
    for module in pkgutil.iter_modules(bift_utils.checks.__path__)
    for name, value in vars(importlib.import_module(f"bift_utils.checks.{module.name}")).items()
    if name.startswith("check_")
}


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


def early(best, wait_from=0, strict=True, late=0):
    """Build wrong early-stopping answers from one loop."""

    def function(scores, patience):
        kept = waited = 0
        for i, score in enumerate(scores):
            better = score > scores[kept] if strict else score >= scores[kept]
            if i == 0 or better:
                kept, waited = i, wait_from if i == 0 else 0
            else:
                waited += 1
            if waited == patience + late:
                return (i if best == "last" else kept), i
        return (i if best == "last" else kept), len(scores) - 1

    return function


def never_resets(scores, patience):
    kept = waited = 0
    for i, score in enumerate(scores):
        if score > scores[kept]:
            kept = i
        elif i:
            waited += 1
        if waited == patience:
            return kept, i
    return kept, len(scores) - 1


WRONG = [
    ("joint_loss", lambda m, t, w: (1 - w) * m + w * t, "weights are swapped"),
    ("joint_loss", lambda m, t, w: w * m + t, "task loss has lost its weight"),
    ("joint_loss", lambda m, t, w: (w * m + (1 - w) * t) / 2, "sum is halved"),
    ("joint_loss", lambda m, t, w: w * m + (1 - w) * t, r"0 · NaN is NaN"),
    ("joint_loss", lambda m, t, w: t if w == 0 else w * m + (1 - w) * t, "holds for both terms"),
    ("joint_loss", lambda m, t, w: None, "Is a `return` missing"),
    ("joint_loss", lambda m, t, w: "4", "you gave 4"),
    ("joint_loss", lambda m, t, w: torch.ones(2), r"tensor of shape \(2,\)"),
    ("joint_loss", lambda m, t, w: m.nothing, "Your function raised AttributeError"),
    ("joint_rows", lambda y, m: (torch.cat([y, y]), torch.cat([torch.full_like(m, -100), m])),
     "masked row still has its class label"),
    ("joint_rows", lambda y, m: (torch.cat([y, torch.full_like(y, -100)]), torch.cat([m, m])),
     "clean row still has masked-LM labels"),
    ("joint_rows", lambda y, m: (torch.stack([y, y]), torch.stack([m, m])), "expected shapes"),
    ("joint_rows", lambda y, m: (y.fill_(-100), m), "changed its inputs"),
    ("joint_rows", lambda y, m: y, "Expected two tensors"),
    ("early_stopping", lambda s, p: (s.index(max(s)), len(s) - 1), "stopped never sees"),
    ("early_stopping", early("last"), "Keep the best weights, not the last"),
    ("early_stopping", never_resets, "starts again at a new best"),
    ("early_stopping", early("best", strict=False), "equal score is no improvement"),
    ("early_stopping", early("best", late=1), "one evaluation too late"),
    ("early_stopping", lambda s, p: 3, "Expected two numbers"),
]  # fmt: skip


@pytest.mark.parametrize("name, answer, message", WRONG)
def test_wrong_answers_are_named(name, answer, message):
    result = CHECKS[f"check_{name}"](answer)
    assert result.status == "failed"
    assert re.search(message, result.message), result.message


def test_each_exercise_has_at_least_three_wrong_answers():
    for name in (n.removeprefix("check_") for n in CHECKS):
        assert len({message for wrong, _, message in WRONG if wrong == name}) >= 3


def test_the_outcome_is_printed(capsys):
    CHECKS["check_joint_loss"](lambda m, t, w: None)
    assert capsys.readouterr().out.startswith("✗ Exercise 06.1: failed\n  Your function returned")
