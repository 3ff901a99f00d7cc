"""Settings of the site, for Sphinx; `python -m bift_utils.commands.site OUT` builds with them.

What depends on the clone (its address on GitHub, where the files of the model and of MathJax lie)
is given by the command.
"""

import re

project = "BIFT"
author = "BIFT contributors"
project_copyright = "2026, BIFT contributors. MIT licence"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]

# --- notebooks and Markdown ---
nb_execution_mode = "off"  # as saved: pytest runs them and compares every cell
nb_merge_streams = True
# an explorer without a kernel shows the text that is saved beside it; its figure comes next
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
myst_heading_slug_func = "bift_utils.commands.site.sources.heading_anchor"


# --- formulas: MathJax comes with the site ---
mathjax_path = "mathjax/tex-chtml.js"

# --- the reference: docstrings ---
default_role = "literal"  # docstrings write `code` with one backtick
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_mock_imports = ["nbgrader"]  # of the extra `grading`, which the site does not need
napoleon_numpy_docstring = False
add_module_names = False
toc_object_entries_show_parents = "hide"


def link_notebook(app, what, name, obj, options, lines: list[str]) -> None:
    """Turn "Introduced in notebook 04" at the end of a docstring into a link to that notebook."""
    pages = {}
    for page in app.env.found_docs:
        if notebook := re.match(r"notebooks/(\d\db?)_", page):
            pages[notebook[1]] = page
    for i, line in enumerate(lines):
        found = re.search(r"\bIntroduced in notebook (\d\db?)\b", line)
        if found and found[1] in pages:
            link = f"Introduced in :doc:`notebook {found[1]} </{pages[found[1]]}>`"
            lines[i] = line.replace(found[0], link)


# --- how it looks ---
html_theme = "sphinx_book_theme"
html_title = "BIFT: bidirectional fine-tuning, taught by measuring"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
html_js_files = ["print.js"]
html_copy_source = False  # nothing to download before a repository is named
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "use_download_button": False,
    "navbar_persistent": [],  # the search is in the sidebar already
}
html_context = {"default_mode": "auto"}  # dark where the reader's system is


def setup(app):
    app.connect("autodoc-process-docstring", link_notebook)
