"""Notebooks as their JSON, and the exercises that stand in them.

An exercise is a heading `### Exercise ID.k: title (m minutes, difficulty d of 5)`, a stub, a cell
that calls its check, and a folded solution. Nothing but the standard library is needed, and a
notebook that is read and written again is the same, byte for byte. A notebook's id is NN, or NNb
for a companion.
"""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

HEADING = re.compile(
    r"^### Exercise (\d\db?\.\d+): (.+?) \((\d+) minutes, difficulty ([1-5]) of 5\)$", re.M
)
SOLUTION = re.compile(r"<details>\s*<summary>Solution</summary>\n(.*?)</details>\n*", re.S)
CHECK = re.compile(r"checks\.(check_\w+)\((\w+)\)")
TOPIC = re.compile(r"^from bift_utils\.labs\.(\w+) import (?:\w+, )*checks\b", re.M)


def find_notebooks(folder: Path) -> dict[str, Path]:
    """Return id → path of the notebooks in a folder, in reading order: 03, 03b, 04."""
    return {path.stem.split("_")[0]: path for path in sorted(folder.glob("[0-9][0-9]*_*.ipynb"))}


class CourseError(Exception):
    """Raised with one sentence for whoever called the command."""


@dataclass(frozen=True)
class Exercise:
    """One exercise: where its cells stand, what is called, and what it is worth.

    `stub` and `check` are the indices of the two cells, `topic` the folder of `bift_utils.labs`
    that holds the check, and `points` is the difficulty, 1 to 5.
    """

    number: str
    title: str
    points: int
    topic: str
    check_name: str
    function: str
    stub: int
    check: int
    solution: str


def read_notebook(path: Path) -> dict:
    """Return a notebook as its JSON object."""
    return json.loads(path.read_text(encoding="utf-8"))


def notebook_text(notebook: dict) -> str:
    """Return the file contents of a notebook, laid out as Jupyter writes them."""
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def source(cell: dict) -> str:
    """Return the text of a cell as one string."""
    return "".join(cell["source"])


def set_source(cell: dict, text: str) -> None:
    """Replace the text of a cell."""
    cell["source"] = text.splitlines(keepends=True)


def find_exercises(notebook: dict) -> list[Exercise]:
    """Return the exercises of a notebook in their order.

    Raises:
        CourseError: a heading without a check, or a check without heading, stub or solution.
    """
    cells = notebook["cells"]
    topics = [found for cell in cells for found in TOPIC.findall(source(cell))]
    exercises, heading, stub = [], None, None
    for i, cell in enumerate(cells):
        text = source(cell)
        if cell["cell_type"] == "markdown":
            heading = next(reversed(list(HEADING.finditer(text))), heading)
        elif found := CHECK.search(text):
            solution = next(filter(None, map(_solution, cells[i:])), None)
            if heading is None or stub is None or solution is None or not topics:
                raise CourseError(f"The check {found[1]} has no heading, stub, topic or solution.")
            number, title, _, difficulty = heading.groups()
            check, function = found.groups()
            exercises.append(
                Exercise(
                    number, title, int(difficulty), topics[0], check, function, stub, i, solution
                )
            )
        else:
            stub = i
    headings = re.findall(r"^### Exercise (\S+):", "\n".join(map(source, cells)), flags=re.M)
    if headings != [exercise.number for exercise in exercises]:
        raise CourseError(f"Not every exercise of {headings} has one check and a full heading.")
    return exercises


def _solution(cell: dict) -> str | None:
    folded = SOLUTION.search(source(cell)) if cell["cell_type"] == "markdown" else None
    code = re.search(r"```python\n(.*?)```", folded[1], re.S) if folded else None
    return code[1] if code else None


def solution_cell(stub: str, solution: str, function: str) -> str:
    """Return the stub with the solution, between nbgrader's marks, where its `...` stands.

    What stands before the function in the solution (imports, helpers) moves into the body, so that
    taking the marked region out and writing `...` gives the stub again.

    Raises:
        CourseError: the two do not have the same signature, or the stub is more than `...`.
    """
    given, wanted = _function(stub, function), _function(solution, function)
    hole = given.body[-1]
    same = ast.dump(given.args) == ast.dump(wanted.args)
    rest = [node for node in given.body[:-1] if not _is_text(node)]
    if not same or rest or given.decorator_list or ast.unparse(hole) != "...":
        raise CourseError(
            f"The stub of {function} should be the signature of its solution, a docstring and `...`"
        )
    lines, stub_lines = solution.splitlines(), stub.splitlines()
    body = [node for node in wanted.body if not _is_text(node)]
    before, after = lines[: wanted.lineno - 1], lines[wanted.end_lineno :]
    moved = [f"    {line}" if line else "" for line in (*before, *after)]
    while moved and not moved[-1]:
        moved.pop()
    inside = [*moved, *lines[body[0].lineno - 1 : wanted.end_lineno]]
    marked = ["    ### BEGIN SOLUTION", *_single_blanks(inside), "    ### END SOLUTION"]
    return "\n".join([*stub_lines[: hole.lineno - 1], *marked, *stub_lines[hole.end_lineno :]])


def _function(text: str, name: str) -> ast.FunctionDef:
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise CourseError(f"There is no function {name} in:\n{text}")


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _single_blanks(lines: list[str]) -> list[str]:
    return [line for i, line in enumerate(lines) if line or (i and lines[i - 1])]
