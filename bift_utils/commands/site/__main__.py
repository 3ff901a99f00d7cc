"""Build the site: the notebooks as saved, guides, a reference, and the model on the front page.

`python -m bift_utils.commands.site OUT` writes plain files that any static server can show
(`python -m http.server -d OUT`). No network is needed, neither to build nor to read. Where git's
remote names a repository on GitHub, pages link to it, and a notebook can be downloaded; it can be
opened on Colab once `python -m bift_utils.commands.course --colab` has put the install cell in.
With `--pdf` each notebook is printed too, which needs the extra `browser` and a Chromium. Needs the
extra `docs`. Run it in a clone of the repository.
"""

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path

from bift_utils.commands.course.__main__ import find_checkout
from bift_utils.commands.course.colab import find_repository, is_stamped, stamp_notebook
from bift_utils.commands.course.notebooks import (
    CourseError,
    find_notebooks,
    notebook_text,
    read_notebook,
)
from bift_utils.commands.site.browser import print_pages
from bift_utils.commands.site.links import find_dead_links
from bift_utils.commands.site.sources import write_assets, write_sources


def build_site(
    output: Path, checkout: Path, repository: str | None, branch: str = "main", pdf: bool = False
) -> None:
    """Write the site into a new or empty folder; a warning of Sphinx or a dead link is an error.

    Raises:
        CourseError: Sphinx is not installed, the folder is not empty, or something is wrong
            with a page.
    """
    if importlib.util.find_spec("myst_nb") is None:
        raise CourseError(
            "The site needs Sphinx and MyST-NB, which are not installed; install the extra: "
            'pip install -c constraints.txt -e ".[docs]"'
        )
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise CourseError(f"{output} exists and is not empty; name a new folder.")
    with tempfile.TemporaryDirectory(prefix="bift-site-") as name:
        sources, assets = Path(name, "sources"), Path(name, "assets")
        write_sources(checkout, sources, repository, branch, pdf)
        write_assets(assets)
        settings: dict = {"html_static_path": [str(checkout / "docs" / "_static"), str(assets)]}
        if repository:
            settings |= repository_settings(checkout, repository, branch)
        run_sphinx(sources, checkout / "docs", output, Path(name, "doctrees"), settings)
    if repository:
        write_downloads(output, checkout, repository, branch)
    if pdf:
        notebooks = find_notebooks(checkout / "notebooks").values()
        pages = [f"notebooks/{path.stem}.html" for path in notebooks]
        print_pages(output, pages, output / "pdf")
    dead = find_dead_links(output)
    if dead:
        raise CourseError(f"{len(dead)} links lead nowhere: " + "; ".join(dead))


def repository_settings(checkout: Path, repository: str, branch: str) -> dict:
    """Return the settings of Sphinx that show where a clone lives on GitHub."""
    options = {
        "repository_url": f"https://github.com/{repository}",
        "repository_branch": branch,
        "use_repository_button": True,
        "use_issues_button": True,
        "use_download_button": True,
    }
    notebooks = find_notebooks(checkout / "notebooks").values()
    if all(is_stamped(read_notebook(path), repository) for path in notebooks):
        options["launch_buttons"] = {"colab_url": "https://colab.research.google.com"}
    settings: dict = {f"html_theme_options.{name}": value for name, value in options.items()}
    return {**settings, "html_copy_source": True}


def run_sphinx(sources: Path, settings: Path, output: Path, cache: Path, overrides: dict) -> None:
    """Let Sphinx write the pages of a folder of sources."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            sources, settings, output, cache, "html",
            confoverrides=overrides, status=None, warning=sys.stderr, warningiserror=True,
        )  # fmt: skip
        app.build()
    (output / ".nojekyll").touch()  # GitHub Pages would leave out the folders with an underscore
    if app.statuscode:
        raise CourseError("Sphinx has found something wrong with a page; it says what above.")


def write_downloads(output: Path, checkout: Path, repository: str, branch: str) -> None:
    """Put the notebooks as they run anywhere, with their install cell, where the buttons lead."""
    for path in find_notebooks(checkout / "notebooks").values():
        stamped = stamp_notebook(read_notebook(path), path.name, repository, branch)
        target = output / "_sources" / "notebooks" / path.name
        target.write_text(notebook_text(stamped), encoding="utf-8", newline="\n")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bift_utils.commands.site", description=__doc__)
    parser.add_argument("output", metavar="OUT", type=Path, help="new folder to write")
    parser.add_argument("--branch", default="main", help="branch that links to GitHub show")
    parser.add_argument("--pdf", action="store_true", help="print each notebook as a PDF, too")
    parser.add_argument("--checkout", type=Path, help="clone to use, if not this folder")
    options = parser.parse_args(arguments)
    try:
        checkout = find_checkout(options.checkout)
        repository = find_repository(checkout)
        build_site(options.output, checkout, repository, options.branch, options.pdf)
    except CourseError as error:
        sys.exit(f"error: {error}")
    files = [path for path in options.output.rglob("*") if path.is_file()]
    pages = sum(path.suffix == ".html" for path in files)
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{options.output}: {pages} pages, {size:.0f} MB, no dead link")


if __name__ == "__main__":
    main()
