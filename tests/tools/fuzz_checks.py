"""Throw mechanical mutants of every folded solution at its check, and print the share that passes.

    python tests/tools/fuzz_checks.py              # all mutants of all exercises, some minutes
    python tests/tools/fuzz_checks.py --only mask  # those of some checks

A mutant is a solution with one small change: a constant, a sign, a comparison, an axis, a limit off
by one, a dropped line or call, swapped arguments. For each that passes an input is searched for,
random or at the edge of what the exercise's text allows, on which it differs from the solution; one
that differs must be refused by the check, and one that never does counts as equal. Exit status 1 if
a mutant passes that differs.
"""

import argparse
import ast
import contextlib
import copy
import io
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from exercises import CHECKS, define, exercises
from fuzz_inputs import INPUTS, KNOWN_EQUAL

from bift_utils.labs.core import checks as core

TRIES = {"check_mask_tokens": 20, "check_find_faults": 10}  # more take long
LIMIT = 20.0  # seconds for one mutant in its check
SEARCH = 120.0  # seconds for its comparison with the solution
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt,), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt,),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


def other_constants(value) -> list:
    """Return what stands in for a constant: off by one, another sign, another truth."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, *([-value] if value else [])]
    if isinstance(value, float):
        return [value + 1.0, value * 0.9 + 0.05, *([-value] if value else [])]
    return []


def variants(node: ast.AST) -> Iterator[ast.AST | None]:
    """Yield what may stand in for a node; None drops it (a statement only)."""
    if isinstance(node, ast.Constant):
        for value in other_constants(node.value):
            yield ast.Constant(value)
    elif isinstance(node, ast.Compare):
        for operator in COMPARISONS.get(type(node.ops[0]), ()):
            yield ast.Compare(node.left, [operator(), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BinOp):
        if type(node.op) in OPERATORS:
            yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
        if not isinstance(node.op, ast.Add | ast.Mult):
            yield ast.BinOp(node.right, node.op, node.left)
        yield node.left
        yield node.right
    elif isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
        yield ast.AugAssign(node.target, OPERATORS[type(node.op)](), node.value)
        yield ast.Assign([node.target], node.value)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
        yield from node.values
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.Call):
        for i in range(len(node.args) - 1):
            swapped = [*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]]
            yield ast.Call(node.func, swapped, node.keywords)
        if isinstance(node.func, ast.Attribute):
            yield node.func.value  # the method is not called
        if len(node.args) == 1:
            yield node.args[0]
        if isinstance(node.func, ast.Name) and node.func.id in ("len", "range", "sum"):
            for operator in (ast.Add(), ast.Sub()):
                yield ast.BinOp(node, operator, ast.Constant(1))
        for i in range(len(node.keywords)):
            yield ast.Call(node.func, node.args, node.keywords[:i] + node.keywords[i + 1 :])
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.ctx, ast.Load):
        yield ast.Tuple(node.elts[::-1], node.ctx)
    elif isinstance(node, ast.comprehension):
        for i in range(len(node.ifs)):
            yield ast.comprehension(node.target, node.iter, node.ifs[:i] + node.ifs[i + 1 :], 0)
    if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef | ast.Import):
        yield None


class Exchange(ast.NodeTransformer):
    """Put one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST | None):
        self.old, self.new = old, ast.Pass() if new is None else new

    def visit(self, node):
        return self.new if node is self.old else self.generic_visit(node)


def mutants(solution: str) -> list[str]:
    """Return the sources of all mutants of a solution, each once."""
    count = sum(1 for _ in ast.walk(ast.parse(solution)))
    found = {}
    for place in range(count):
        for which in range(sum(1 for _ in variants(list(ast.walk(ast.parse(solution)))[place]))):
            tree = ast.parse(solution)  # a fresh tree each time: nodes are shared
            old = list(ast.walk(tree))[place]
            new = copy.deepcopy(list(variants(old))[which])
            with contextlib.suppress(ValueError, TypeError, SyntaxError):
                source = ast.unparse(ast.fix_missing_locations(Exchange(old, new).visit(tree)))
                found[source] = None
    found.pop(ast.unparse(ast.parse(solution)), None)
    return list(found)


def changed_line(solution: str, mutant: str) -> str:
    """Return the first line of a mutant that is not in the solution."""
    lines = ast.unparse(ast.parse(solution)).splitlines()
    return next((x.strip() for x in mutant.splitlines() if x not in lines), "a line is missing")


def run_quietly(check: str, function: Callable):
    with contextlib.redirect_stdout(io.StringIO()):
        return CHECKS[check](function)


def behaviour(function: Callable, arguments: tuple):
    """Return what a call gives, what it does to its arguments, and which gradients it passes on."""
    given = copy.deepcopy(arguments)
    leaves = [a for a in given if isinstance(a, torch.Tensor) and a.requires_grad]
    try:
        answer = function(*given)
        first = answer[0] if isinstance(answer, tuple) else answer
        gradients = None
        if leaves:
            gradients = torch.autograd.grad(first.sum(), leaves, allow_unused=True)
    except Exception as error:
        return type(error).__name__
    kept = [a for a in given if isinstance(a, torch.nn.Module) or not callable(a)]
    return normal(answer), normal(gradients), normal(kept)


def normal(value):
    """Return a value in a form in which equal answers are equal, to about 1e-5."""
    if isinstance(value, torch.Tensor):  # where numbers are asked for, a tensor of them will do
        return normal(value.detach().tolist())
    if isinstance(value, torch.nn.Module):
        return normal([*value.state_dict().values(), *(p.grad for p in value.parameters())])
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return f"{value + 0.0:.5g}" if abs(value) > 1e-7 else "0"
    if isinstance(value, list | tuple):
        return tuple(normal(item) for item in value)
    if isinstance(value, dict):
        return tuple((key, normal(item)) for key, item in value.items())
    return value if not hasattr(value, "__dict__") and not isinstance(value, torch.Generator) else 0


def separating(check: str, solution: Callable, mutant: Callable) -> tuple | None:
    """Return an input on which a mutant differs from the solution; None if none was found."""
    arguments: tuple = ()
    try:
        with core.time_limit(SEARCH):
            for seed in range(TRIES.get(check, 300)):
                arguments = INPUTS[check](random.Random(seed))
                right = behaviour(solution, arguments)
                assert not isinstance(right, str), f"{check}: {right} on {arguments}"
                if behaviour(mutant, arguments) != right:
                    return arguments
    except core.TimeUp:  # a mutant that never ends on this input
        return arguments
    return None


def fuzz(check: str, name: str, solution: str, sample: int | None = None) -> tuple:
    """Return how many mutants were tried, how many passed, and those that pass and differ."""
    sources = mutants(solution)
    if sample is not None and sample < len(sources):
        sources = random.Random(check).sample(sources, sample)
    passed, differ = 0, []
    core.TIME_LIMIT, before = LIMIT, core.TIME_LIMIT
    try:
        with tempfile.TemporaryDirectory() as folder:
            right = define(Path(folder), solution, name)
            for source in sources:
                mutant = define(Path(folder), source, name)
                if run_quietly(check, mutant).status != "passed":
                    continue
                passed += 1
                line = changed_line(solution, source)
                if line in KNOWN_EQUAL.get(check, {}):
                    continue
                found = separating(check, right, mutant)
                if found is not None:
                    differ.append((line, found))
    finally:
        core.TIME_LIMIT = before
    return len(sources), passed, differ


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="a part of the name of a check")
    only, total, faults = parser.parse_args().only, [0, 0], 0
    for check, name, _, solution in exercises():
        if only not in check:
            continue
        tried, passed, differ = fuzz(check, name, solution)
        print(f"{check}: {tried} mutants, {passed} pass, {len(differ)} of them differ", flush=True)
        for line, arguments in differ:
            print(f"    {line}\n        differs on {arguments!s:.300}")
        total, faults = [total[0] + tried, total[1] + passed], faults + len(differ)
    share = total[1] / max(total[0], 1)
    print(f"{total[1]} of {total[0]} mutants pass ({share:.1%}); {faults} of them differ.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.exit(main())
