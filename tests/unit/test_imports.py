"""The house: twelve names, and each imports only from the names above it."""

import ast
import importlib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import bift_utils
from bift_utils.commands.site.sources import NAMES

PACKAGE = Path(bift_utils.__file__).parent
CONTENTS = NAMES[1:9]  # folders whose __init__ is their table of contents
FILES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
         for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}  # fmt: skip


def imported(file):
    """Return the files of this package that a file imports, wherever it does."""
    nodes = list(ast.walk(ast.parse(FILES[file].read_text(encoding="utf-8"))))
    assert not [n for n in nodes if isinstance(n, ast.ImportFrom) and n.level], "write whole names"
    names = [
        f"{n.module}.{a.name}" for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names
    ]
    names += [alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names]
    ours = [name.removeprefix("bift_utils.") for name in names if name.startswith("bift_utils.")]
    return {name if name in FILES else name.rpartition(".")[0] or name for name in ours}


def test_each_name_imports_only_from_the_names_above_it():
    assert {file.split(".")[0] for file in FILES} == set(NAMES)
    for file in FILES:
        place = NAMES.index(file.split(".")[0])
        for other in imported(file):
            top = other.split(".")[0]
            assert top == NAMES[place] or top in NAMES[:place], f"{file} imports {other}"


def test_the_files_of_a_folder_form_no_circle():
    TopologicalSorter({file: imported(file) & set(FILES) for file in FILES}).prepare()


def test_labs_import_no_other_lab():
    for file in FILES:
        for other in imported(file):
            if file.startswith("labs.") and other.startswith("labs."):
                assert other.split(".")[1] in (file.split(".")[1], "core"), f"{file}: {other}"


@pytest.mark.parametrize("folder", CONTENTS)
def test_a_folder_begins_with_its_table_of_contents(folder):
    tree = ast.parse((PACKAGE / folder / "__init__.py").read_text(encoding="utf-8"))
    assert all(isinstance(n, ast.Expr | ast.ImportFrom | ast.Assign) for n in tree.body)
    module = importlib.import_module(f"bift_utils.{folder}")
    names = {alias.name for n in tree.body if isinstance(n, ast.ImportFrom) for alias in n.names}
    assert set(module.__all__) == names and ast.get_docstring(tree)


def test_nothing_else_re_exports():
    for path in PACKAGE.rglob("__init__.py"):
        if path.parent.name not in CONTENTS or path.parent.parent != PACKAGE:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert not [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("file", FILES)
def test_public_names_are_documented(file):
    for node in ast.parse(FILES[file].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node) or node.name == "main", f"{file}.{node.name}"
