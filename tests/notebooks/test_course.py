"""The course edition grades as it should, and the student edition gives nothing away."""

import ast
import copy
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bift_utils.commands.course import __main__ as course
from bift_utils.commands.course import colab
from bift_utils.commands.course.editions import (
    CONFIG,
    course_edition,
    plain_edition,
    without_bands,
)
from bift_utils.commands.course.grading import require_passed
from bift_utils.commands.course.notebooks import (
    HEADING,
    CourseError,
    find_exercises,
    find_notebooks,
    notebook_text,
    read_notebook,
    set_source,
    solution_cell,
    source,
)
from bift_utils.labs.core import checks as core
from bift_utils.labs.core.checks import CheckResult
from bift_utils.labs.joint_training import checks as joint_training
from bift_utils.labs.masking import checks as masking_checks
from bift_utils.masking import tokens as masking

ROOT = Path(__file__).parents[2]
STEMS = [path.stem for path in find_notebooks(ROOT / "notebooks").values()]
NOTEBOOKS = {stem: read_notebook(ROOT / "notebooks" / f"{stem}.ipynb") for stem in STEMS}
LABS = {stem: notebook for stem, notebook in NOTEBOOKS.items() if find_exercises(notebook)}
LAB = "06_joint_training"  # the lightest one to grade
EXERCISES = [
    pytest.param(stem, exercise, id=exercise.number)
    for stem, notebook in LABS.items()
    for exercise in find_exercises(notebook)
]
needs_nbgrader = pytest.mark.skipif(
    importlib.util.find_spec("nbgrader") is None,
    reason='needs nbgrader: pip install -c constraints.txt -e ".[grading]"',
)


def text_of(notebook):
    return "\n".join(map(source, notebook["cells"]))


def by_grade_id(notebook):
    named = [cell for cell in notebook["cells"] if "nbgrader" in cell["metadata"]]
    return {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in named}


def define(folder, text, space):
    """Run a cell from a file, so that a check can read it as it reads a notebook cell."""
    path = folder / f"cell{len(space)}.py"
    path.write_text(text, encoding="utf-8")
    exec(compile(text, str(path), "exec"), space)


# --- what the notebooks hold ---


def test_every_lab_has_its_exercises():
    assert set(LABS) == set(STEMS) - {"00_start_here"}
    for stem, notebook in LABS.items():
        numbers = [exercise.number for exercise in find_exercises(notebook)]
        assert numbers == [f"{stem.split('_')[0]}.{k}" for k in range(1, len(numbers) + 1)]


def test_points_are_the_difficulty():
    points = [exercise.points for exercise in find_exercises(NOTEBOOKS["02_masking"])]
    headings = HEADING.finditer(text_of(NOTEBOOKS["02_masking"]))
    assert points == [int(heading[4]) for heading in headings] == [3, 4]


@pytest.mark.parametrize("stem", STEMS)
def test_reading_and_writing_changes_no_byte(stem):
    path = ROOT / "notebooks" / f"{stem}.ipynb"
    assert notebook_text(read_notebook(path)) == path.read_text(encoding="utf-8")


# --- a solution cell ---


def test_a_solution_stands_in_the_body_of_its_stub():
    stub = 'def f(x):\n    """Double."""\n    ...'
    solution = "import math\n\n\ndef f(x):\n    # twice\n    return math.ceil(2 * x)\n"
    cell = solution_cell(stub, solution, "f")
    assert cell.splitlines()[:3] == ["def f(x):", '    """Double."""', "    ### BEGIN SOLUTION"]
    assert cell.splitlines()[3] == "    import math" and cell.endswith("    ### END SOLUTION")
    space = {}
    exec(cell, space)
    assert space["f"](1.2) == 3
    helped = "def f(x):\n    return twice(x)\n\n\ndef twice(x):\n    return 2 * x\n"
    exec(solution_cell(stub, helped, "f"), space := {})
    assert space["f"](2) == 4


@pytest.mark.parametrize(
    "stub, solution",
    [
        ("def f(x):\n    ...", "def f(y):\n    return y"),
        ("def f(x):\n    y = x\n    ...", "def f(x):\n    return x"),
        ("def f(x):\n    return 1", "def f(x):\n    return x"),
        ("def f(x):\n    ...", "def g(x):\n    return x"),
    ],
)
def test_a_stub_that_does_not_fit_its_solution_is_refused(stub, solution):
    with pytest.raises(CourseError, match=r"The stub of f should be|no function f"):
        solution_cell(stub, solution, "f")


def test_an_exercise_that_is_not_whole_is_refused():
    notebook = copy.deepcopy(NOTEBOOKS[LAB])
    exercise = find_exercises(notebook)[-1]
    notebook["cells"][exercise.check]["source"] = ["pass"]
    with pytest.raises(CourseError, match="Not every exercise"):
        find_exercises(notebook)
    notebook = copy.deepcopy(NOTEBOOKS[LAB])
    del notebook["cells"][exercise.check + 1 :]
    with pytest.raises(CourseError, match="has no heading, stub, topic or solution"):
        find_exercises(notebook)


# --- the student edition ---


@pytest.mark.parametrize("stem", STEMS)
def test_the_student_edition_keeps_all_but_solutions_and_outputs(stem):
    plain = plain_edition(NOTEBOOKS[stem], stem, STEMS)
    assert "<summary>Solution" not in text_of(plain) and "nbgrader" not in notebook_text(plain)
    code, ours = (
        [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        for notebook in (plain, NOTEBOOKS[stem])
    )
    assert [source(cell) for cell in code] == [without_bands(source(cell)) for cell in ours]
    assert not [cell for cell in code if cell["outputs"] or "alt" in cell["metadata"]]
    for exercise in find_exercises(NOTEBOOKS[stem]):
        assert f"### Exercise {exercise.number}: {exercise.title}" in text_of(plain)
        assert exercise.solution not in text_of(plain)
    assert text_of(plain).count("<details>") == text_of(plain).count("</details>")


def test_no_band_answers_a_prediction_before_the_cell_is_run():
    text = """x = "é"; runtime.report("a (é)", f(x, 1)[0], 0.1, 0.2)
print(1)
runtime.report(
    "b", other["b"], 0.5,
    1e-3,
)
runtime.report("made up", 0.9, 0.4, 0.6)"""
    assert (
        without_bands(text)
        == """x = "é"; runtime.report("a (é)", f(x, 1)[0])
print(1)
runtime.report(
    "b", other["b"],
)
runtime.report("made up", 0.9, 0.4, 0.6)"""
    )
    made = text_of(plain_edition(NOTEBOOKS["02_masking"], "02_masking", STEMS))
    code = [source(c) for c in NOTEBOOKS["02_masking"]["cells"] if c["cell_type"] == "code"]
    nodes = [node for text in code for node in ast.walk(ast.parse(text))]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    calls = [call for call in calls if ast.unparse(call.func) == "runtime.report"]
    assert len(calls) > 5 and made.count("runtime.report(") == len(calls)
    for call in calls:
        low, high = (ast.unparse(end) for end in call.args[2:])
        assert f"{low}, {high})" not in made


@pytest.mark.parametrize("edition", [plain_edition, course_edition])
def test_a_stamp_does_not_lead_students_to_the_solutions(edition):
    stamped = colab.stamp_notebook(NOTEBOOKS[LAB], f"{LAB}.ipynb", "mary/bift")
    made = edition(stamped, LAB, STEMS)
    assert not colab.BADGE.search(text_of(made))
    if edition is course_edition:
        assert made == edition(NOTEBOOKS[LAB], LAB, STEMS)


def test_a_link_to_a_section_still_leads_there():
    cell = {"cell_type": "markdown", "metadata": {}, "source": ["[s](06_joint_training.ipynb#6.3)"]}
    notebook = {"cells": [{**cell, "source": ["# title"]}, cell]}
    made = plain_edition(notebook, "05", [LAB])
    assert source(made["cells"][1]) == "[s](06_joint_training.ipynb#6.3)"


def test_links_lead_only_to_what_is_there():
    two = ["02_masking", LAB]
    here = text_of(plain_edition(NOTEBOOKS["00_start_here"], "00_start_here", two))
    assert "(02_masking.ipynb)" in here and "(errata.md)" not in here
    there = text_of(course_edition(NOTEBOOKS[LAB], LAB, two))
    assert "00 Start here" in there and "(00_start_here.ipynb)" not in there
    three = [*two, "03_mlm_probability"]
    there = text_of(course_edition(NOTEBOOKS["02_masking"], "02_masking", three))
    assert "](../03_mlm_probability/03_mlm_probability.ipynb)" in there


# --- the course edition, without nbgrader ---


@pytest.mark.parametrize("stem", LABS)
def test_the_course_edition_is_whole(stem):
    made = course_edition(NOTEBOOKS[stem], stem, STEMS)
    assert "<summary>Solution" not in text_of(made)
    cells = by_grade_id(made)
    assert len(cells) == 2 + 3 * len(find_exercises(NOTEBOOKS[stem]))
    exercises = [i for i, cell in enumerate(made["cells"]) if "### Exercise " in source(cell)]
    assert made["cells"][exercises[0] - 1] is cells["hand-in"]
    for name, cell in cells.items():
        flags, kind = cell["metadata"]["nbgrader"], name.split("-")[0]
        assert flags["solution"] == (kind == "exercise")
        assert flags["grade"] == (kind == "check") == ("points" in flags)
        assert flags["locked"] == (kind != "exercise")
    for cell in made["cells"]:
        if cell["cell_type"] == "code":
            run = "skip-execution" not in cell["metadata"].get("tags", [])
            assert run == ("nbgrader" in cell["metadata"])
            assert not cell["outputs"] and "alt" not in cell["metadata"]


def test_a_notebook_without_exercises_is_no_lab():
    with pytest.raises(CourseError, match="00_start_here has no exercises"):
        course_edition(NOTEBOOKS["00_start_here"], "00_start_here", STEMS)


@pytest.mark.parametrize("stem, exercise", EXERCISES)
def test_hidden_tests_admit_the_solution_and_not_the_stub(tmp_path, stem, exercise):
    """The cells that grading runs need nothing else from the notebook."""
    cells = by_grade_id(course_edition(NOTEBOOKS[stem], stem, STEMS))
    number = exercise.number.replace(".", "-")
    checks = importlib.import_module(f"bift_utils.labs.{exercise.topic}.checks")
    for given in (cells[f"exercise-{number}"], NOTEBOOKS[stem]["cells"][exercise.stub]):
        space = {"torch": torch, "checks": checks}
        define(tmp_path, source(given), space)
        if given is cells[f"exercise-{number}"]:
            exec(source(cells[f"check-{number}"]), space)
        else:
            with pytest.raises(AssertionError, match="not attempted yet"):
                exec(source(cells[f"check-{number}"]), space)


def test_a_check_that_was_written_over_is_not_believed(monkeypatch):
    passed = CheckResult("06.2", "passed")
    monkeypatch.setattr(joint_training, "check_decaying_weight", lambda function: passed)
    monkeypatch.setattr(joint_training, "run_check", lambda *given: passed)
    with pytest.raises(AssertionError, match=r"06\.2: failed"):
        require_passed("joint_training", "check_decaying_weight", lambda t, a, b, n: a)


def test_a_core_that_was_written_over_is_not_believed(monkeypatch):
    passed = CheckResult("06.2", "passed")
    monkeypatch.setattr(core, "run_check", lambda *given: passed)
    with pytest.raises(AssertionError, match=r"06\.2: failed"):
        require_passed("joint_training", "check_decaying_weight", lambda t, a, b, n: a)


def test_random_exercises_are_graded_on_other_draws_too(capsys):
    """A masker that is right for the seeds of the visible check alone."""
    seen = set()

    def records(ids, config, generator):
        seen.add(generator.initial_seed())
        return masking.mask_tokens(ids, config, generator)

    assert masking_checks.check_mask_tokens(records).status == "passed"
    known = frozenset(seen)

    def by_heart(ids, config, generator):
        if generator.initial_seed() in known:
            return masking.mask_tokens(ids, config, generator)
        return ids.clone(), torch.full_like(ids, -100)

    assert masking_checks.check_mask_tokens(by_heart).status == "passed"
    with pytest.raises(AssertionError, match="Nothing was selected"):
        require_passed("masking", "check_mask_tokens", by_heart)
    before = masking_checks.make_generator(1).initial_seed()
    assert before in known, "the seeds are put back"


# --- the command ---


def test_the_command_writes_both_editions(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # not in a clone: that of the package is taken
    course.main(["plain", "--plain", "--notebooks", "02", "00", "02"])
    assert sorted(os.listdir("plain")) == ["00_start_here.ipynb", "02_masking.ipynb"]
    assert "02_masking\n" in capsys.readouterr().out  # nothing to grade, no points
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    course.main(["made"])
    said = capsys.readouterr().out
    assert "02_masking (7 points)" in said and "00_start_here," in said
    assert sorted(os.listdir("made/source")) == sorted(LABS)
    assert sorted(os.listdir("made")) == ["00_start_here.ipynb", "nbgrader_config.py", "source"]
    for stem in LABS:
        assert os.listdir(f"made/source/{stem}") == [f"{stem}.ipynb"]
    ast.parse(Path("made/nbgrader_config.py").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["full"], "full exists and is not empty; name a new folder"),
        (["full/file"], "full/file exists and is not empty"),
        (["new", "--notebooks", "02", "77"], "There is no notebook 77; there are 00, "),
        (["new", "--notebooks", "00"], "00_start_here has no exercises: there is nothing to grade"),
        ([str(ROOT / "notebooks" / "new")], "lies in the notebooks folder"),
        ([str(ROOT / "notebooks")], "lies in the notebooks folder"),
        (["new", "--checkout", "full"], "There are no notebooks in full"),
        (["--colab", "mary"], "'mary' is not OWNER/REPO: write the two names"),
        (["--colab", "https://github.com/mary/bift"], "is not OWNER/REPO"),
        (["--colab", "mary/bift/tree/main"], "is not OWNER/REPO"),
        (["new", "--colab", "mary/bift"], "Give one of OUT, --colab OWNER/REPO and --no-colab"),
        ([], "Give one of OUT"),
    ],
)
def test_odd_input_gets_one_sentence(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("kept")
    with pytest.raises(SystemExit) as stopped:
        course.main(arguments)
    said = str(stopped.value.code).replace(os.sep, "/")
    assert said.startswith("error: ") and message in said and "\n" not in said
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "file"], "nothing was written"


def test_a_missing_nbgrader_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r'pip install -c constraints.txt -e "\.\[grading\]"'):
        course.main([str(tmp_path / "new")])
    course.main([str(tmp_path / "new"), "--plain"])  # needs none


# --- the course edition, with nbgrader ---


@needs_nbgrader
@pytest.mark.parametrize("stem", LABS)
def test_the_release_version_is_the_student_edition(stem):
    """After nbgrader has cleared solutions and hidden tests, the code is ours again."""
    import nbformat
    from nbgrader import preprocessors
    from traitlets.config import Config

    made = nbformat.reads(notebook_text(course_edition(NOTEBOOKS[stem], stem, STEMS)), 4)
    config, resources = Config(), {}
    config.ClearSolutions.code_stub = {"python": "..."}
    assert 'code_stub = {"python": "..."}' in CONFIG
    for name in ("LockCells", "ClearSolutions", "CheckCellMetadata", "ClearHiddenTests"):
        made, resources = getattr(preprocessors, name)(config=config).preprocess(made, resources)
    nbformat.validate(made)
    ours = plain_edition(NOTEBOOKS[stem], stem, STEMS)
    code = [source(cell) for cell in ours["cells"] if cell["cell_type"] == "code"]
    assert [cell.source for cell in made.cells if cell.cell_type == "code"] == code


RIGHT = {
    exercise.number: exercise.solution for exercise in find_exercises(NOTEBOOKS[LAB])
}  # the folded solutions
WARNS = RIGHT["06.1"].replace("):\n", "):\n    __import__('warnings').warn('to stderr')\n", 1)
GAMMA = "def my_decaying_weight(update, first, last, decay_updates):\n    return first"
RAISES = "def my_uncertainty_loss(mlm, task, log_variances):\n    raise KeyError(mlm)"
FAKED = """from types import SimpleNamespace
checks.check_uncertainty_loss = lambda function: SimpleNamespace(status="passed")
def my_uncertainty_loss(mlm, task, log_variances):
    return 0, 0"""


def answer(notebook, answers):
    cells = by_grade_id(notebook)
    for number, text in answers.items():
        set_source(cells[f"exercise-{number.replace('.', '-')}"], text)
    return notebook


def tamper(notebook):
    """Edit a test and its points, have another one skipped, and write over its check."""
    answer(notebook, {"06.2": RIGHT["06.2"], "06.3": FAKED})
    cells = by_grade_id(notebook)
    set_source(cells["check-06-1"], "pass")
    cells["check-06-1"]["metadata"]["nbgrader"]["points"] = 50
    cells["check-06-3"]["metadata"]["tags"] = ["skip-execution"]
    return notebook


def delete_checks(notebook):
    answer(notebook, RIGHT)
    kept = [cell for name, cell in by_grade_id(notebook).items() if name.startswith("check")]
    notebook["cells"] = [cell for cell in notebook["cells"] if cell not in kept]
    return notebook


SUBMISSIONS = {  # student: what is handed in, points for 06.1 to 06.3
    "full": (lambda nb: answer(nb, {**RIGHT, "06.1": WARNS}), [3, 2, 3]),
    "empty": (lambda nb: nb, [0, 0, 0]),
    "wrong": (lambda nb: answer(nb, {**RIGHT, "06.2": GAMMA, "06.3": RAISES}), [3, 0, 0]),
    "tampered": (tamper, [0, 2, 0]),
    "deleted": (delete_checks, [3, 2, 3]),
}


def nbgrader(folder, *arguments):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # for alembic
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=folder, capture_output=True, text=True, env={**os.environ, "PATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


@needs_nbgrader
def test_submissions_get_the_points_that_they_deserve(tmp_path):
    from nbgrader.api import Gradebook

    course.main([str(tmp_path / "course"), "--notebooks", "06"])
    folder = tmp_path / "course"
    nbgrader(folder, "generate_assignment", LAB)
    released = folder / "release" / LAB / f"{LAB}.ipynb"
    for student, (hand_in, _) in SUBMISSIONS.items():
        path = folder / "submitted" / student / LAB / f"{LAB}.ipynb"
        path.parent.mkdir(parents=True)
        notebook = hand_in(json.loads(released.read_text(encoding="utf-8")))
        path.write_text(notebook_text(notebook), encoding="utf-8")
    nbgrader(folder, "autograde", LAB)
    found = {}
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        for student in SUBMISSIONS:
            grades = book.find_submission_notebook(LAB, LAB, student).grades
            assert sum(grade.max_score for grade in grades) == 8
            found[student] = [g.auto_score for g in sorted(grades, key=lambda grade: grade.name)]
    assert found == {student: points for student, (_, points) in SUBMISSIONS.items()}


# --- the teaching guide ---

GUIDE = (ROOT / "notebooks" / "teaching-guide.md").read_text(encoding="utf-8")


def test_the_guide_names_every_exercise_and_invents_none():
    rows = re.findall(r"^\| (\d\db?\.\d) (.+?) \| (.+) \|$", GUIDE, flags=re.M)
    ours = [(e.number, e.title) for notebook in LABS.values() for e in find_exercises(notebook)]
    assert [(number, title) for number, title, _ in rows] == ours
    assert all(len(mistake) > 20 for *_, mistake in rows)
    headings = re.findall(r"^### Exercise (.+?): ", "\n".join(map(text_of, LABS.values())), re.M)
    assert headings == [number for number, _ in ours]


def test_the_guide_sends_a_teacher_to_sections_that_there_are():
    texts = "\n".join(map(text_of, NOTEBOOKS.values()))
    sections = re.findall(r"section (\d?\d\.\d+)", GUIDE, flags=re.I)
    assert sections and not [s for s in sections if f"## {s} " not in texts]
