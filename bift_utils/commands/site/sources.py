"""What the pages of the site are made of: notebooks, guides, docstrings, MathJax and the model.

All of it is written into a folder of its own, which Sphinx then reads; the clone is not touched.
"""

import hashlib
import os
import re
import shutil
from importlib import metadata
from pathlib import Path

import bift_utils
from bift_utils.commands.course.colab import unstamp_notebook
from bift_utils.commands.course.notebooks import (
    CourseError,
    find_notebooks,
    notebook_text,
    read_notebook,
    set_source,
    source,
)

PACKAGE = Path(bift_utils.__file__).parent
# the twelve names of the package, in the order in which data flows
NAMES = ("runtime", "data", "masking", "models", "languages", "training", "evaluation", "results",
         "plotting", "labs", "finetune", "commands")  # fmt: skip
GUIDES = {  # path in the clone → page
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "bift_utils/checkpoints/bift-mini/README.md": "model-card.md",
    "notebooks/errata.md": "notebooks/errata.md",
    "notebooks/teaching-guide.md": "notebooks/teaching-guide.md",
}
LINK = re.compile(r"\[([^\[\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
MODEL_FILES = ("model.safetensors", "tokenizer.json", "config.json")
MATHJAX = "sphinx-mathjax-offline"  # carries MathJax 3.2.2 (Apache 2.0), as npm publishes it
MATHJAX_FILES = re.compile(r"/mathjax/(tex-chtml\.js|output/chtml/fonts/woff-v2/.*\.woff)$")
MATHJAX_SHA256 = "3c0a91f2ec90f1313b40cee1bb07f77b32a54923672842f9edce7bcb8dbbdd69"


def write_sources(
    checkout: Path, folder: Path, repository: str | None, branch: str, pdf: bool
) -> None:
    """Write all that Sphinx reads, but `docs/conf.py` and `docs/_static`, into an empty folder.

    Args:
        checkout: a clone of this project.
        folder: where to write.
        repository: OWNER/REPO on GitHub, where links to files that are no page lead; without it
            such links become words.
        branch: the branch that they show.
        pdf: put a link to `pdf/` beside each notebook on the front page.
    """
    notebooks = find_notebooks(checkout / "notebooks")
    pages = {f"docs/{path.name}": path.name for path in sorted((checkout / "docs").glob("*.md"))}
    pages |= {path: page for path, page in GUIDES.items() if (checkout / path).exists()}
    pages |= {f"notebooks/{path.name}": f"notebooks/{path.name}" for path in notebooks.values()}
    files = f"https://github.com/{repository}/blob/{branch}" if repository else None

    for path, page in pages.items():
        if path == "README.md":  # the site has a front page of its own
            continue
        target = folder / page
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith(".ipynb"):
            notebook = prepare_notebook(read_notebook(checkout / path))
            for cell in notebook["cells"]:
                if cell["cell_type"] == "markdown":
                    set_source(cell, move_links(source(cell), checkout, path, pages, files))
            text = notebook_text(notebook)
        else:
            text = (checkout / path).read_text(encoding="utf-8")
            text = move_links(text, checkout, path, pages, files)
            text = text.replace("<!-- the map -->", series_map(notebooks, pdf))
        target.write_text(text, encoding="utf-8", newline="\n")
    write_reference(folder / "reference")
    shutil.copytree(checkout / "docs" / "_static", folder / "_static")  # shown as code on a page


def prepare_notebook(notebook: dict) -> dict:
    """Return a notebook for reading: no stamp for Colab, and each picture has its text.

    A screen reader says the cell's alt text in place of a picture; where a cell has none, what
    `plotting.figure_text` says.
    """
    notebook = unstamp_notebook(notebook)
    for cell in notebook["cells"]:
        pictures = [o["data"] for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
        if pictures:
            texts = ["".join(picture.get("text/plain", "")) for picture in pictures]
            words = cell["metadata"].get("alt") or " ".join(texts)
            cell["metadata"]["mystnb"] = {"image": {"alt": " ".join(words.split())}}
    return notebook


def heading_anchor(title: str) -> str:
    """Return a heading's anchor as Jupyter makes it, so that links work on the site and there."""
    return title.replace(" ", "-")


def move_links(
    text: str, checkout: Path, path: str, pages: dict[str, str], files: str | None
) -> str:
    """Return Markdown whose links to files of the clone lead where these are on the site.

    Args:
        text: what stands in `path`.
        checkout: the clone.
        path: where the text comes from, as seen from the clone.
        pages: path in the clone → page of the site.
        files: address of the clone's files on GitHub, or None; then only the words stay.
    """

    def move(found: re.Match) -> str:
        words, target, place = found.groups(default="")
        there = os.path.normpath(Path(path).parent / target).replace(os.sep, "/")
        if "://" in target or not (checkout / there).exists():
            return found[0]
        if there in pages:
            page = os.path.relpath(pages[there], Path(pages[path]).parent).replace(os.sep, "/")
            return f"[{words}]({page}{place})"
        return f"[{words}]({files}/{there}{place})" if files else words

    return LINK.sub(move, text)


def describe(path: Path) -> tuple[str, str, int]:
    """Return title, question and study time in minutes, as a notebook's first cell says them."""
    first = source(unstamp_notebook(read_notebook(path))["cells"][0])
    title = re.match(r"# (.*)", first)
    question = re.search(r"^\*\*Question\.\*\* (.*)$", first, flags=re.M)
    minutes = re.search(r"\*Time: (\d+) minutes", first)
    if not (title and question and minutes):
        raise CourseError(
            f"The first cell of {path.name} should have a title, a line that begins with "
            "**Question.** and one that begins with *Time: NN minutes."
        )
    return title[1], question[1], int(minutes[1])


def series_map(notebooks: dict[str, Path], pdf: bool) -> str:
    """Return the table of notebooks, as their first cells describe them: question and time."""
    titles = ["notebook", "question", "study time", *(["on paper"] if pdf else [])]
    rows = [titles, ["---"] * len(titles)]
    for path in notebooks.values():
        title, question, minutes = describe(path)
        row = [f"[{title}](notebooks/{path.name})", question, f"{minutes} min"]
        row = [text.replace("|", "\\|") for text in row]  # P(word | the rest) is one cell
        if pdf:
            row.append(f'<a href="pdf/{path.stem}.pdf">PDF</a>')
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write_reference(folder: Path) -> None:
    """Write a page for each of the twelve names: its modules, whose docstrings Sphinx reads."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["| name | what is in it |", "|---|---|"]
    for name in NAMES:
        (folder / f"{name}.rst").write_text(reference_page(name), encoding="utf-8", newline="\n")
        rows.append(f"| [`{name}`]({name}.rst) | {first_sentence(name)} |")
    names = "\n".join(NAMES)
    text = f"# The package\n\n{INTRODUCTION}\n\n" + "\n".join(rows)
    text += f"\n\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    (folder / "index.md").write_text(text, encoding="utf-8", newline="\n")


INTRODUCTION = (
    "`bift_utils` is twelve names, in the order in which data flows; each imports only from the "
    "names above it. What a notebook introduces links to that notebook."
)


def first_sentence(name: str) -> str:
    """Return the first line of the docstring of one of the twelve names."""
    path = PACKAGE / f"{name}.py"
    if not path.exists():
        path = PACKAGE / name / "__init__.py"
    return path.read_text(encoding="utf-8").split('"""')[1].splitlines()[0]


def reference_page(name: str) -> str:
    """Return the page of one of the twelve names, as reStructuredText."""
    lines = [name, "=" * len(name), ""]
    if (PACKAGE / f"{name}.py").exists():
        return "\n".join([*lines, f".. automodule:: bift_utils.{name}", "   :members:", ""])
    lines += [f".. automodule:: bift_utils.{name}", ""]
    for path in sorted((PACKAGE / name).rglob("*.py")):
        if path.name == "__init__.py":
            continue
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        title = f"python -m bift_utils.{module}".removesuffix(".__main__")
        title = title if path.name == "__main__.py" else module
        lines += [title, "-" * len(title), ""]
        lines += [f".. automodule:: bift_utils.{module}", "   :members:", ""]
    return "\n".join(lines)


def write_assets(folder: Path) -> None:
    """Write what the pages load beside `docs/_static`: MathJax with its fonts, and `bift-mini`.

    Raises:
        CourseError: MathJax is not installed, or is not the version that was tried.
    """
    files = sorted(f for f in find_mathjax() if MATHJAX_FILES.search(f"/{f.as_posix()}"))
    contents = [f.read_binary() for f in files]
    found = hashlib.sha256(b"".join(contents)).hexdigest()
    if found != MATHJAX_SHA256:
        raise CourseError(
            f"The files of MathJax have the SHA-256 {found}, expected {MATHJAX_SHA256}; "
            'install the tried version: pip install -c constraints.txt -e ".[docs]"'
        )
    for file, content in zip(files, contents, strict=True):
        target = folder / "mathjax" / file.as_posix().partition("/mathjax/")[2]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    model = folder / "bift-mini"
    model.mkdir(parents=True)
    for name in MODEL_FILES:
        shutil.copy(PACKAGE / "checkpoints" / "bift-mini" / name, model)


def find_mathjax() -> list[metadata.PackagePath]:
    """Return the files of the installed package that carries MathJax."""
    try:
        return metadata.files(MATHJAX) or []
    except metadata.PackageNotFoundError:
        raise CourseError(
            "The site needs Sphinx and MathJax, which are not installed; install the extra: "
            'pip install -c constraints.txt -e ".[docs]"'
        ) from None
