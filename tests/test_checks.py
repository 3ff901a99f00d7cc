"""Every exercise: the folded solution passes, the stub is no attempt, wrong answers are named."""

import importlib
import math
import pkgutil
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
import torch

import bift_utils.checks
from bift_utils import masking_zoo as zoo
from bift_utils.checks import masking as masking_checks
from bift_utils.checks.core import is_stub
from bift_utils.masking import mask_tokens

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


def outcome(u, rate, a, b):
    return "[MASK]" if u < rate * a else "random" if u < rate * (a + b) else "kept"


def outcome_or_none(u, rate, a, b):
    return outcome(u, rate, a, b) if u < rate else "not selected"


def masked(shares=(0.8, 0.9), draw="ordinary", rows=True, seeded=True, labels=None, rate=None):
    """Build wrong maskers from one right one; each option spoils one thing."""

    def function(ids, config, generator):
        generator = generator if seeded else None
        shape = ids.shape if rows else ids.shape[1:]
        u = torch.rand(shape, generator=generator).expand(ids.shape)
        u = u / (rate or config.mlm_probability)
        selected = (u < 1) & config.ordinary[ids]
        choices = config.ordinary.nonzero()[:, 0]
        if draw == "any":
            drawn = torch.randint(len(config.ordinary), ids.shape, generator=generator)
        elif draw == "one":
            drawn = choices[torch.randint(len(choices), (1,), generator=generator)].expand_as(ids)
        else:
            drawn = torch.randint(len(choices), ids.shape, generator=generator)
            drawn = drawn if draw == "place" else choices[drawn]
        corrupted = torch.where(selected & (u < shares[1]), drawn, ids)
        corrupted = corrupted.masked_fill(selected & (u < shares[0]), config.mask_token_id)
        asked = selected & (corrupted != ids) if labels == "changed" else selected
        source = corrupted if labels == "corrupted" else ids
        return corrupted, source.masked_fill(~asked, -100)

    return function


def needed(p, q, z):
    return (z * ((p * (1 - p)) ** 0.5 + (q * (1 - q)) ** 0.5) / abs(p - q)) ** 2


def find_faults(shares=True, tolerance=6.0, clone=True, drawn=True, unasked=True, both=True):
    """Build wrong tests for the zoo from a right one; each option leaves one thing out."""

    def function(masker, ids, config, generator):
        clean, faults = ids.clone() if clone else ids, set()
        corrupted, labels = masker(ids, config, generator)
        selected = labels != -100
        if selected.all():
            return {zoo.ASKS_ALL}
        if not torch.equal(ids, clean):
            faults.add(zoo.IN_PLACE)
        if not config.ordinary[clean[selected]].all():
            faults.add(zoo.HIDES_SPECIALS)
        if unasked and not torch.equal(corrupted[~selected], clean[~selected]):
            faults.add(zoo.CHANGES_OTHERS)
        as_mask, kept = (
            selected & (corrupted == config.mask_token_id),
            selected & (corrupted == clean),
        )
        if drawn and not config.ordinary[corrupted[selected & ~as_mask & ~kept]].all():
            faults.add(zoo.DRAWS_SPECIALS)
        n = int(selected.sum())
        for hits, p in ((as_mask, 0.8), (kept, 0.1))[: 2 if both else 1]:
            if shares and abs(int(hits.sum()) - n * p) > tolerance * (n * p * (1 - p)) ** 0.5:
                faults.add(zoo.WRONG_SHARES)
        return faults

    return function


WRONG = [
    ("outcome", lambda u, m, a, b: outcome_or_none(u, 1.0, a, b), "share is of the .selected."),
    ("outcome", lambda u, m, a, b: "[MASK]" if u < m * a else "random" if u < m * b else
     "kept" if u < m else "not selected", "second part begins where the first ends"),
    ("outcome", lambda u, m, a, b: "not selected" if u >= m * (a + b) else outcome(u, m, a, b),
     "it .is. selected"),
    ("outcome", lambda u, m, a, b: "kept" if u == m else outcome_or_none(u, m, a, b),
     "no longer below it"),
    ("outcome", lambda u, m, a, b: outcome_or_none(u, 0.15, 0.8, 0.1), "rate is 0.4 here"),
    ("outcome", lambda u, m, a, b: outcome(u, m, a, b), "it is not asked for"),
    ("outcome", lambda u, m, a, b: None, "Expected one of the names"),
    ("mask_tokens", lambda ids, c, g: None, "Is a `return` missing"),
    ("mask_tokens", lambda ids, c, g: ids, "Expected two tensors"),
    ("mask_tokens", lambda ids, c, g: (ids, ids[0]), "tensor of the shape of input_ids"),
    ("mask_tokens", zoo.from_the_article, "changed input_ids"),
    ("mask_tokens", zoo.labels_everywhere, "Every position has a label"),
    ("mask_tokens", lambda ids, c, g: (ids.clone(), torch.full_like(ids, -100)), "Nothing was sel"),
    ("mask_tokens", zoo.only_padding_spared, "Special tokens were selected"),
    ("mask_tokens", zoo.mask_on_top, "token without a label was changed"),
    ("mask_tokens", masked(draw="any"), "instead of the whole vocabulary"),
    ("mask_tokens", masked(draw="place"), "list of ordinary ids is not an id"),
    ("mask_tokens", masked(labels="corrupted"), "label is not the original"),
    ("mask_tokens", masked(labels="changed"), "leave out the kept tokens"),
    ("mask_tokens", masked(seeded=False), "generator=generator"),
    ("mask_tokens", lambda ids, c, g: masked()(ids, c, torch.Generator().manual_seed(1)),
     "Two seeds gave the same"),
    ("mask_tokens", masked(rate=0.2), "20.0 % of the tokens were selected"),
    ("mask_tokens", masked(shares=(0.81, 0.91)), "two separate coins"),
    ("mask_tokens", masked(shares=(0.8, 0.82)), "A tenth .of the rest."),
    ("mask_tokens", masked(shares=(1.0, 1.0)), "Every selected token became"),
    ("mask_tokens", masked(shares=(0.9, 0.91)), "written over the random tokens"),
    ("mask_tokens", masked(shares=(0.8, 1.0)), "No token is kept"),
    ("mask_tokens", masked(shares=(0.8, 0.8)), "No random token was written"),
    ("mask_tokens", masked(shares=(0.5, 0.75)), "Cut the range below the rate"),
    ("mask_tokens", masked(rows=False), "Every row has the same positions"),
    ("mask_tokens", masked(draw="one"), "One id was drawn"),
    ("selected_needed", lambda p, q, z: (z * (p * (1 - p)) ** 0.5 / abs(p - q)) ** 2,
     "You have one of them"),
    ("selected_needed", lambda p, q, z: (z * (p * (1 - p) + q * (1 - q)) / abs(p - q)) ** 2,
     "its square root is missing"),
    ("selected_needed", lambda p, q, z: needed(p, q, z) ** 0.5, "square the quotient"),
    ("selected_needed", lambda p, q, z: (z / (p - q)) ** 2 * (p * (1 - p) + q * (1 - q)),
     "You added the variances"),
    ("selected_needed", lambda p, q, z: needed(p, q, 1), "z is missing"),
    ("selected_needed", lambda p, q, z: needed(p, q, z) / 0.15, "number of all tokens"),
    ("selected_needed", lambda p, q, z: needed(p, q, z), "round up with math.ceil"),
    ("selected_needed", lambda p, q, z: int(needed(p, q, z)), "whole number just above"),
    ("selected_needed", lambda p, q, z: -math.ceil(needed(p, q, z)), "Solve"),
    ("find_faults", lambda m, i, c, g: None, "Is a `return` missing"),
    ("find_faults", lambda m, i, c, g: zoo.WRONG_SHARES, "Expected a set of names"),
    ("find_faults", lambda m, i, c, g: {"bad"}, "Expected a set of names"),
    ("find_faults", lambda m, i, c, g: set(), "Is every label different"),
    ("find_faults", find_faults(tolerance=0.1), "False alarm"),
    ("find_faults", find_faults(clone=False), "Keep a clone of input_ids"),
    ("find_faults", find_faults(unasked=False), "where the label is −100"),
    ("find_faults", find_faults(drawn=False), "neither .MASK. nor the original"),
    ("find_faults", find_faults(shares=False), "count the three outcomes"),
    ("find_faults", find_faults(both=False), "80/2/18"),
    ("find_faults", find_faults(tolerance=30.0), "81/10/9"),
    ("find_faults", lambda *a: find_faults()(*a) - {zoo.HIDES_SPECIALS}, "what has a label"),
    ("find_faults", lambda *a: {zoo.IN_PLACE} & find_faults()(*a) or find_faults()(*a),
     "its faults are"),
    ("joint_loss", lambda m, t, w: (1 - w) * m + w * t, "weights are swapped"),
    ("joint_loss", lambda m, t, w: w * m + t, "task loss has lost its weight"),
    ("joint_loss", lambda m, t, w: (w * m + (1 - w) * t) / 2, "sum is halved"),
    ("joint_loss", lambda m, t, w: w * m + (1 - w) * t, r"0 · NaN is NaN"),
    ("joint_loss", lambda m, t, w: t if w == 0 else w * m + (1 - w) * t, "holds for both terms"),
    ("joint_loss", lambda m, t, w: w * torch.nan_to_num(m) + (1 - w) * torch.nan_to_num(t),
     "with weight 0.25 was hidden"),
    ("joint_rows",
     lambda y, m: (torch.cat([0 * y - 100, y]), torch.cat([m, torch.full_like(m, -100)])),
     "masked rows first"),
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


def floor_count(ids, config, generator):
    """Select a fixed number a row, rounded down: correct as well."""
    ordinary = config.ordinary[ids]
    lots = torch.rand(ids.shape, generator=generator).masked_fill(~ordinary, 2.0)
    selected = lots.argsort(-1).argsort(-1) < (0.15 * ordinary.sum(-1, keepdim=True)).floor()
    rest, _ = masked()(ids, replace(config, mlm_probability=0.999999), generator)
    corrupted = torch.where(selected, rest, ids)
    return corrupted, ids.masked_fill(~selected, -100)


RIGHT = [mask_tokens, zoo.fixed_count, floor_count, masking_checks._never_the_original]


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

    assert 5 * masking_checks.ALPHA <= 1e-9  # five tests, each two-sided
    for kept in (0.1, 0.1001):  # a random token may or may not be the original
        assert stats.binom.sf(kept_high, n, kept) + stats.binom.cdf(kept_low - 1, n, kept) <= 1e-10
    assert stats.binom.sf(high, n, 0.8) + stats.binom.cdf(low - 1, n, 0.8) <= 1e-10
    for as_mask, kept in ((0.81, 0.09), (0.8, 0.18), (1.0, 0.0), (0.9, 0.09)):
        assert passes(as_mask, kept) <= 1e-10


def test_an_ellipsis_in_an_index_is_no_stub(tmp_path):
    indexed = "def f(m, t, w):\n    return m[..., None].sum() * w"
    assert not is_stub(define(tmp_path, indexed, "f"))
    for stub in (
        "def f():\n    ...",
        "def f():\n    x = ...\n    return x",
        "def f():\n    return ...",
    ):
        assert is_stub(define(tmp_path, stub, "f"))
