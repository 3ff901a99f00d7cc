"""Badges and the install cell for the notebooks and README of a fork on GitHub, from one place.

Stamping takes the old stamp off first, so it can be repeated, and with another address.
"""

import copy
import re
import subprocess
from pathlib import Path

from bift_utils.commands.course.notebooks import CourseError, set_source, source

BADGE = re.compile(r"\[!\[Open In Colab\]\([^)]*\)\]\(https://colab\.research\.google\.com/[^)]*\)")
IMAGE = "https://colab.research.google.com/assets/colab-badge.svg"
TEXT = "The next cell installs the package `bift_utils` on Colab; elsewhere it does nothing."
INSTALL = """import importlib.util, subprocess, sys

if importlib.util.find_spec("bift_utils") is None:
    package = "git+https://github.com/{repository}@{branch}"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package], check=True)
    importlib.invalidate_caches()"""
# git@github.com:mary/bift.git, https://github.com/mary/bift, with a token or without
GITHUB = r"(?:(?:https|ssh)://(?:[^@/]+@)?|git@)github\.com[:/]([^/]+/[^/]+?)(?:\.git)?/?"
HEAD = "<!-- this repository -->"  # above the line that names it in the README
IDS = ("colab-text", "colab-install")


def check_repository(repository: str) -> str:
    """Return OWNER/REPO if it is one, or raise."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}", repository):
        raise CourseError(
            f"{repository!r} is not OWNER/REPO: write the two names on GitHub, as in mary/bift."
        )
    return repository


def name_repository(given: str, checkout: Path) -> str:
    """Return the given OWNER/REPO, or without one that of git's remote.

    Raises:
        CourseError: it is not OWNER/REPO, or neither names one.
    """
    repository = given or find_repository(checkout)
    if not repository:
        raise CourseError(
            "Git's remote `origin` names no repository on GitHub; write --colab OWNER/REPO."
        )
    return check_repository(repository)


def find_repository(checkout: Path) -> str | None:
    """Return the OWNER/REPO that a clone came from on GitHub, as git's remote says; else None."""
    if not (checkout / ".git").exists():  # git would look in the folders around it
        return None
    command = ["git", "-C", str(checkout), "remote", "get-url", "origin"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:  # no git
        return None
    address = re.fullmatch(GITHUB, done.stdout.strip())
    return check_repository(address[1]) if done.returncode == 0 and address else None


def badge(repository: str, branch: str, name: str) -> str:
    """Return the Markdown of the button that opens notebooks/NAME on Colab."""
    page = f"https://colab.research.google.com/github/{repository}/blob/{branch}/notebooks/{name}"
    return f"[![Open In Colab]({IMAGE})]({page})"


def stamp_notebook(notebook: dict, name: str, repository: str, branch: str = "main") -> dict:
    """Return the notebook with its badge under the title and the install cell after it.

    The cells keep counting 1…n, as saved after one clean run.
    """
    notebook = unstamp_notebook(notebook)
    title = notebook["cells"][0]
    first, _, rest = source(title).partition("\n")
    set_source(title, f"{first}\n\n{badge(repository, branch, name)}\n{rest}")
    text = {"cell_type": "markdown", "id": IDS[0], "metadata": {}}
    set_source(text, TEXT)
    _shift_counts(notebook, 1)
    install: dict = {"cell_type": "code", "id": IDS[1], "metadata": {}, "outputs": []}
    install["execution_count"] = 1
    set_source(install, INSTALL.format(repository=repository, branch=branch))
    notebook["cells"][1:1] = [text, install]
    return notebook


def unstamp_notebook(notebook: dict) -> dict:
    """Return the notebook without badge and install cell; one without a stamp is returned as is."""
    notebook = remove_badge(copy.deepcopy(notebook))
    if any(cell.get("id") == IDS[1] for cell in notebook["cells"]):
        notebook["cells"] = [cell for cell in notebook["cells"] if cell.get("id") not in IDS]
        _shift_counts(notebook, -1)
    return notebook


def is_stamped(notebook: dict, repository: str) -> bool:
    """Say whether a notebook installs the package from this repository when it is opened there."""
    cells = [cell for cell in notebook["cells"] if cell.get("id") == IDS[1]]
    return bool(cells) and f"github.com/{repository}@" in source(cells[0])


def remove_badge(notebook: dict) -> dict:
    """Take the badge off the title, in place, and return the notebook."""
    title = notebook["cells"][0]
    if BADGE.search(source(title)):
        set_source(title, re.sub(r"\n" + BADGE.pattern + r"\n", "", source(title), count=1))
    return notebook


def _shift_counts(notebook: dict, step: int) -> None:
    for cell in notebook["cells"]:
        for counted in (cell, *cell.get("outputs", [])):
            if counted.get("execution_count"):
                counted["execution_count"] += step


def stamp_readme(text: str, repository: str, branch: str = "main") -> str:
    """Return the README with a badge after the first link to each notebook in a table row.

    Under its title stand whether the tests passed, and the address of the site.
    """

    def add(found: re.Match) -> str:
        return f"{found[0]} {badge(repository, branch, found[1])}"

    owner, _, name = repository.partition("/")
    tests = f"https://github.com/{repository}/actions/workflows/tests.yml"
    head = (
        f"[![tests]({tests}/badge.svg?branch={branch})]({tests}) "
        f"[Read it as a site](https://{owner.lower()}.github.io/{name}/)"
    )
    title, _, rest = unstamp_readme(text).partition("\n")
    return re.sub(
        r"(?<=^\| )\[[^\]]*\]\(notebooks/([\w.-]+\.ipynb)\)",
        add,
        f"{title}\n\n{HEAD}\n{head}\n{rest}",
        flags=re.M,
    )


def unstamp_readme(text: str) -> str:
    """Return the README without badges and addresses."""
    return re.sub(" " + BADGE.pattern, "", re.sub(rf"\n{HEAD}\n.*\n", "", text, count=1))
