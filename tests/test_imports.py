"""Imports go one way: each module imports only from the levels above it."""

import ast
from pathlib import Path

import pytest

import bift_utils

PACKAGE = Path(bift_utils.__file__).parent
LEVELS = {
    "figure_text": -1,
    "runtime": 0,
    "forward_backward": 0,
    "synthetic": 0,
    "modeling": 0,
    "plotting": 0,
    "table_files": 0,
    "result_rows": 0,
    "data": 1,
    "losses": 1,
    "sharing": 1,
    "calibration": 1,
    "flops": 0,
    "figures": 1,
    "loading": 1,
    "baselines": 2,
    "masking": 2,
    "history": 2,
    "schedules": 2,
    "global_batch": 2,
    "inspection": 2,
    "loss_zoo": 2,
    "exporting": 2,
    "tables": 2,
    "capitals": 3,
    "corpus": 3,
    "evaluation": 3,
    "resuming": 3,
    "masking_zoo": 3,
    "training": 4,
    "own_texts": 4,
    "run_report": 4,
    "run_state": 4,
    "finetune_options": 4,
    "finetuning": 5,
    "oracle": 4,
    "context": 4,
    "token_head": 4,
    "grid_results": 4,
    "evidence": 4,
    "gradients": 5,
    "grid": 5,
    "label_runs": 5,
    "exact_grid": 6,
    "label_efficiency": 6,
    "label_results": 7,
    "exact_results": 7,
    "known_joint": 5,
    "widgets": 5,
    "checks": 6,
    "pretraining": 7,
    "pooling_study": 7,
    "study": 7,
    "finetune": 7,
    "course": 7,
}
SAME_LEVEL = {("synthetic", "forward_backward")}  # one part of a whole
FILES = {}  # module name to its files; `checks` is a package with one file a notebook
for path in sorted(PACKAGE.rglob("*.py")):
    name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if name != "__init__":
        FILES.setdefault(name, []).append(path)
MODULES = sorted(FILES)


def imported(module):
    """Return the names of the modules of this package that a module imports, wherever it does."""
    names = set()
    for node in (node for tree in trees(module) for node in ast.walk(tree)):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "write absolute imports"
            if node.module == "bift_utils":
                names |= {alias.name for alias in node.names}
            elif node.module.startswith("bift_utils."):
                names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("bift_utils.")}
    return names - {module}


def trees(module):
    return [ast.parse(path.read_text(encoding="utf-8")) for path in FILES[module]]


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module):
    assert module in LEVELS, f"give {module} a level"
    for other in imported(module):
        allowed = LEVELS[other] < LEVELS[module] or (module, other) in SAME_LEVEL
        assert allowed, f"{module} (level {LEVELS[module]}) imports {other} ({LEVELS[other]})"


def test_commands_are_imported_by_no_module():
    assert not [m for m in MODULES if any(LEVELS[other] == 7 for other in imported(m))]


def test_nothing_is_re_exported():
    for path in PACKAGE.rglob("__init__.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        assert not [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_documented(module):
    for node in (node for tree in trees(module) for node in tree.body):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node) or node.name == "main", f"{module}.{node.name}"
