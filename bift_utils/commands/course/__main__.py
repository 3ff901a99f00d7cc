"""Make a course from the notebooks, or prepare a fork for Colab.

`python -m bift_utils.commands.course OUT` writes an nbgrader course: a solution cell and a graded
cell with hidden tests for each exercise; its points are its difficulty. With `--plain` it writes a
student edition without grader metadata. `--colab` stamps "Open in Colab" badges and the cell that
installs the package into the notebooks and the README of a fork, whose name on GitHub git's remote
tells, or `--colab OWNER/REPO`; `--no-colab` takes them off. Run it in a clone of the repository.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

import bift_utils
from bift_utils.commands.course import colab, editions
from bift_utils.commands.course.notebooks import (
    CourseError,
    find_exercises,
    find_notebooks,
    notebook_text,
    read_notebook,
)


def find_checkout(given: Path | None) -> Path:
    """Return the folder that holds `notebooks/`: the one given, this one, or the package's."""
    places = [given] if given else [Path.cwd(), Path(bift_utils.__file__).parent.parent]
    for place in places:
        if find_notebooks(place / "notebooks"):
            return place
    raise CourseError(
        f"There are no notebooks in {places[0] / 'notebooks'}; run this in a clone of the "
        "repository, or name one with --checkout."
    )


def choose_notebooks(checkout: Path, wanted: list[str] | None) -> dict[str, dict]:
    """Return stem → notebook for the ids in `wanted`, or for all of them."""
    paths = find_notebooks(checkout / "notebooks")
    for name in wanted or []:
        if name not in paths:
            raise CourseError(f"There is no notebook {name}; there are {', '.join(paths)}.")
    chosen = sorted(set(wanted)) if wanted else paths
    return {paths[name].stem: read_notebook(paths[name]) for name in chosen}


def check_course_folder(output: Path, checkout: Path) -> None:
    """Raise unless OUT is a new or empty folder outside of the notebooks."""
    notebooks = (checkout / "notebooks").resolve()
    if notebooks in (output.resolve(), *output.resolve().parents):
        raise CourseError(f"{output} lies in the notebooks folder; name a folder outside of it.")
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise CourseError(f"{output} exists and is not empty; name a new folder.")


def write_edition(output: Path, checkout: Path, wanted: list[str] | None, plain: bool) -> None:
    """Write one of the two editions; nothing is written before all of it is made."""
    check_course_folder(output, checkout)
    if not plain and importlib.util.find_spec("nbgrader") is None:
        raise CourseError(
            "The course edition needs nbgrader, which is not installed; install the extra: "
            'pip install -c constraints.txt -e ".[grading]"'
        )
    notebooks = choose_notebooks(checkout, wanted)
    files = (editions.files_of_plain if plain else editions.files_of_course)(notebooks)
    for path, content in files.items():
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else notebook_text(content)
        (output / path).write_text(text, encoding="utf-8", newline="\n")
    points = {stem: sum(e.points for e in find_exercises(nb)) for stem, nb in notebooks.items()}
    worth = {stem: "" if plain or not n else f" ({n} points)" for stem, n in points.items()}
    print(f"{output}: " + ", ".join(f"{stem}{said}" for stem, said in worth.items()))


def stamp_checkout(checkout: Path, repository: str | None, branch: str) -> None:
    """Stamp all notebooks and the README of a checkout, or unstamp them where it is None.

    An empty `repository` means the one that git's remote names.
    """
    if repository is not None:
        repository = colab.name_repository(repository, checkout)
    for path in find_notebooks(checkout / "notebooks").values():
        notebook = read_notebook(path)
        if repository:
            notebook = colab.stamp_notebook(notebook, path.name, repository, branch)
        else:
            notebook = colab.unstamp_notebook(notebook)
        path.write_text(notebook_text(notebook), encoding="utf-8", newline="\n")
    readme = checkout / "README.md"
    text = colab.unstamp_readme(readme.read_text(encoding="utf-8"))
    if repository:
        text = colab.stamp_readme(text, repository, branch)
    readme.write_text(text, encoding="utf-8", newline="\n")
    print(f"{checkout}: " + (f"stamped for {repository}" if repository else "stamps removed"))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bift_utils.commands.course", description=__doc__
    )
    parser.add_argument("output", metavar="OUT", type=Path, nargs="?", help="new folder to write")
    parser.add_argument("--notebooks", nargs="+", metavar="NN", help="02 03 03b …; all by default")
    parser.add_argument("--plain", action="store_true", help="student edition without grading")
    parser.add_argument(
        "--colab", metavar="OWNER/REPO", nargs="?", const="", help="stamp this clone of a fork"
    )
    parser.add_argument("--no-colab", action="store_true", help="take the stamps off")
    parser.add_argument("--branch", default="main", help="branch that the badges open")
    parser.add_argument("--checkout", type=Path, help="clone to use, if not this folder")
    options = parser.parse_args(arguments)
    tasks = [options.output is not None, options.colab is not None, options.no_colab]
    try:
        if sum(tasks) != 1:
            raise CourseError("Give one of OUT, --colab OWNER/REPO and --no-colab.")
        checkout = find_checkout(options.checkout)
        if options.output is None:
            stamp_checkout(checkout, options.colab, options.branch)
        else:
            write_edition(options.output, checkout, options.notebooks, options.plain)
    except CourseError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
