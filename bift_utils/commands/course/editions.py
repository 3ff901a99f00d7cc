"""The two editions made from the notebooks: nbgrader's source, and plain for students."""

import ast
import copy
import re
from pathlib import Path

from bift_utils.commands.course.colab import remove_badge, unstamp_notebook
from bift_utils.commands.course.notebooks import (
    SOLUTION,
    TOPIC,
    CourseError,
    Exercise,
    find_exercises,
    set_source,
    solution_cell,
    source,
)

HIDDEN = """{visible}
### BEGIN HIDDEN TESTS
from bift_utils.commands.course.grading import require_passed

require_passed("{topic}", "{check}", {function})
### END HIDDEN TESTS"""

HAND_IN = """**How you hand in.** What is run again are your functions, the cell under "Setup", and
cells that you add; so use what that cell imports, and no variable of an earlier section. Save this
notebook under its own name, and hand in that file. An exercise counts when its check says "passed";
the menu's *Validate* only asks whether the cells run."""

CONFIG = '''"""Settings of nbgrader for the BIFT labs, from `bift_utils.commands.course`."""

from nbgrader.converters import Autograde

from bift_utils.commands.course.preprocessors import RunWhatIsGraded

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "bift"
# a cleared solution is the `...` of our stubs, which the checks call "not attempted yet"
c.ClearSolutions.code_stub = {"python": "..."}
c.Execute.timeout = 600  # seconds a cell
# a warning on the screen is no mistake: points depend on errors alone
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = "."
c.OverwriteCells.add_missing_cells = True  # a test that was deleted comes back
cleaning = Autograde.class_traits()["sanitize_preprocessors"].default()
c.Autograde.sanitize_preprocessors = [*cleaning, RunWhatIsGraded]
'''


def plain_edition(notebook: dict, stem: str, others: list[str]) -> dict:
    """Return the student edition without grader metadata: stubs stay; solutions and outputs go.

    `others` are the notebooks that lie beside this one; links to anything else become text.
    """
    notebook = remove_badge(copy.deepcopy(notebook))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            _clear(cell)
    _drop_solutions(notebook)
    _mend_links(notebook, {f"{name}.ipynb": f"{name}.ipynb" for name in others})
    return notebook


def course_edition(notebook: dict, stem: str, others: list[str]) -> dict:
    """Return the source version for nbgrader; outputs go, each lab is in a folder of its own.

    Raises:
        CourseError: the notebook has no exercises, or one that is not as it should be.
    """
    notebook = unstamp_notebook(copy.deepcopy(notebook))
    exercises = find_exercises(notebook)
    if not exercises:
        raise CourseError(f"Notebook {stem} has no exercises, so nbgrader has nothing to grade.")
    graded = {index for e in exercises for index in (e.stub, e.check)}
    for i, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            _prepare_code(cell, skip=i not in graded)
    for exercise in exercises:
        _grade(notebook["cells"], exercise)
    _drop_solutions(notebook)
    _lock_exercise_texts(notebook)
    _say_how_to_hand_in(notebook)
    _mend_links(notebook, {f"{name}.ipynb": f"../{name}/{name}.ipynb" for name in others})
    return notebook


def _clear(cell: dict) -> None:
    """Take away what a cell showed, in pictures, words and bands: it would answer predictions."""
    cell.update(outputs=[], execution_count=None)
    cell["metadata"].pop("alt", None)
    set_source(cell, without_bands(source(cell)))


def without_bands(text: str) -> str:
    """Return code whose calls of `report` have lost their bands; a made-up value keeps its own."""
    if "report(" not in text:
        return text
    lines = text.encode().splitlines(keepends=True)
    starts = [sum(map(len, lines[:i])) for i in range(len(lines))]
    cuts = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != "runtime.report":
            continue
        _, value, _, high = node.args
        if not isinstance(value, ast.Constant):
            ends = [(part.end_lineno or 1, part.end_col_offset or 0) for part in (value, high)]
            cuts.append([starts[line - 1] + column for line, column in ends])
    code = b"".join(lines)
    for start, end in sorted(cuts, reverse=True):
        code = code[:start] + code[end:]
    return code.decode()


def _prepare_code(cell: dict, skip: bool) -> None:
    """Clear the outputs; lock the cell that loads the checks, tag what grading need not run."""
    _clear(cell)
    cell["metadata"].pop("tags", None)
    if TOPIC.search(source(cell)):
        cell["metadata"]["nbgrader"] = _metadata("setup", locked=True)
    elif skip:
        cell["metadata"]["tags"] = ["skip-execution"]


def _grade(cells: list[dict], exercise: Exercise) -> None:
    """Make the stub a solution cell and the check a graded one."""
    stub, check = cells[exercise.stub], cells[exercise.check]
    number = exercise.number.replace(".", "-")
    set_source(stub, solution_cell(source(stub), exercise.solution, exercise.function))
    stub["metadata"]["nbgrader"] = _metadata(f"exercise-{number}", solution=True)
    names = {"topic": exercise.topic, "check": exercise.check_name, "function": exercise.function}
    set_source(check, HIDDEN.format(visible=source(check), **names))
    check["metadata"]["nbgrader"] = _metadata(
        f"check-{number}", grade=True, locked=True, points=exercise.points
    )


def _metadata(grade_id: str, grade=False, solution=False, locked=False, points=None) -> dict:
    flags = {"grade": grade, "solution": solution, "locked": locked, "task": False}
    worth = {} if points is None else {"points": points}
    return {"schema_version": 3, "grade_id": grade_id, **flags, **worth}


def _drop_solutions(notebook: dict) -> None:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and SOLUTION.search(source(cell)):
            set_source(cell, SOLUTION.sub("", source(cell)).strip("\n"))
    notebook["cells"] = [cell for cell in notebook["cells"] if source(cell).strip()]


def _lock_exercise_texts(notebook: dict) -> None:
    for cell in notebook["cells"]:
        number = re.search(r"^### Exercise (\S+):", source(cell), flags=re.M)
        if cell["cell_type"] == "markdown" and number:
            name = "text-" + number[1].replace(".", "-")
            cell["metadata"]["nbgrader"] = _metadata(name, locked=True)


def _say_how_to_hand_in(notebook: dict) -> None:
    """Put a locked cell before the one in which the exercises begin."""
    cells = notebook["cells"]
    first = next(i for i, cell in enumerate(cells) if "### Exercise " in source(cell))
    cell = {"cell_type": "markdown", "id": "hand-in", "source": []}
    set_source(cell, HAND_IN)
    cells.insert(first, {**cell, "metadata": {"nbgrader": _metadata("hand-in", locked=True)}})


def _mend_links(notebook: dict, there: dict[str, str]) -> None:
    """Point links to other notebooks to where they are now; without one, the words stay."""

    def mend(found: re.Match) -> str:
        text, target, place = found.groups(default="")
        return f"[{text}]({there[target]}{place})" if target in there else text

    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            links = r"\[([^\]]*)\]\(([\w.-]+\.(?:ipynb|md))(#[^)]*)?\)"
            set_source(cell, re.sub(links, mend, source(cell)))


def files_of_course(notebooks: dict[str, dict]) -> dict[Path, dict | str]:
    """Return path → contents of an nbgrader course; keys of `notebooks` are file stems.

    A notebook without exercises is nothing to grade: it lies beside, in its plain edition.
    """
    labs = {stem: nb for stem, nb in notebooks.items() if find_exercises(nb)}
    if not labs:
        raise CourseError(f"{', '.join(notebooks)} has no exercises: there is nothing to grade.")
    files = files_of_plain({stem: nb for stem, nb in notebooks.items() if stem not in labs})
    files[Path("nbgrader_config.py")] = CONFIG
    for stem, notebook in labs.items():
        path = Path("source", stem, f"{stem}.ipynb")
        files[path] = course_edition(notebook, stem, list(labs))
    return files


def files_of_plain(notebooks: dict[str, dict]) -> dict[Path, dict | str]:
    """Return path → contents of the student edition."""
    return {
        Path(f"{stem}.ipynb"): plain_edition(notebook, stem, list(notebooks))
        for stem, notebook in notebooks.items()
    }
