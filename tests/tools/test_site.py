"""The site: built without a network, complete, no dead link, and sound in a real browser.

Needs the extra `docs`; what looks at it in a browser also needs `browser` and a Chromium.
"""

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from bift_utils import evaluation, models
from bift_utils.commands.course import colab
from bift_utils.commands.course.notebooks import (
    CourseError,
    find_notebooks,
    notebook_text,
    read_notebook,
)
from bift_utils.commands.site import __main__ as command
from bift_utils.commands.site import sources
from bift_utils.commands.site.browser import chromium, find_chromium, serve
from bift_utils.commands.site.links import find_dead_links

if importlib.util.find_spec("myst_nb") is None:
    pytest.skip(
        'needs the extra docs: pip install -c constraints.txt -e ".[docs]"',
        allow_module_level=True,
    )

ROOT = Path(__file__).parents[2]
NOTEBOOKS = {path.stem: path for path in find_notebooks(ROOT / "notebooks").values()}
WIDGET = "application/vnd.jupyter.widget-view+json"
RESOURCES = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """The words of a page, its pictures, and what it loads."""

    def __init__(self, path: Path):
        super().__init__()
        self.words, self.pictures, self.loads, self.links = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.text = "".join(self.words)

    def handle_data(self, data):
        self.words.append(data)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "img":
            self.pictures.append(found.get("alt"))
        if tag in RESOURCES and found.get(RESOURCES[tag]):
            self.loads.append(found[RESOURCES[tag]])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])


def copy_clone(folder):
    """Copy what the pages are made of, without git's remote: a test may run in a fork on GitHub."""
    for name in ("notebooks", "docs"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("README.md", "CONTRIBUTING.md", "bift_utils/checkpoints/bift-mini/README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as a reader would, in a process of its own."""
    folder = tmp_path_factory.mktemp("site") / "out"
    clone = copy_clone(folder.parent / "clone")
    done = subprocess.run(
        [sys.executable, "-m", "bift_utils.commands.site", str(folder), "--checkout", str(clone)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no dead link" in done.stdout
    return folder


# --- what stands on the pages ---


def outputs_of(path):
    cells = nbformat.read(path, as_version=4).cells
    return [output for cell in cells for output in cell.get("outputs", [])]


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_a_notebook_is_there_as_saved(site, stem):
    page = Page(site / "notebooks" / f"{stem}.html")
    outputs = outputs_of(NOTEBOOKS[stem])
    printed = [line.rstrip() for o in outputs for line in o.get("text", "").splitlines()]
    said = [o.data["text/plain"] for o in outputs if WIDGET in o.get("data", {})]
    assert not [line for line in printed if line not in page.text]
    assert not [line for text in said for line in text.splitlines() if line not in page.text]
    cells = nbformat.read(NOTEBOOKS[stem], as_version=4).cells
    words = [cell.metadata["alt"] for cell in cells if "alt" in cell.metadata]
    assert page.pictures == [" ".join(text.split()) for text in words]
    headings = re.findall(r"^#+ (.*)$", all_markdown(stem), flags=re.M)
    plain = " ".join(page.text.split())
    assert len(headings) > 5
    assert not [h for h in headings if re.split(r"[`$*'\"]", h)[0].strip() not in plain]


def all_markdown(stem):
    cells = nbformat.read(NOTEBOOKS[stem], as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def test_the_front_page_lists_every_notebook_with_its_question(site):
    page = Page(site / "index.html")
    for stem in NOTEBOOKS:
        question = re.search(r"^\*\*Question\.\*\* (.*)$", all_markdown(stem), flags=re.M)[1]
        shown = " ".join(question.replace("*", "").split()).replace("'", "’")
        assert shown in page.text.replace("'", "’")
        assert f"notebooks/{stem}.html" in page.links
    for name in ("notebooks/errata", "notebooks/teaching-guide", "model-card", "contributing"):
        assert f"{name}.html" in page.links


def test_the_reference_holds_every_public_name(site):
    pages = "".join(path.read_text("utf-8") for path in (site / "reference").glob("*.html"))
    missing = []
    for path in sorted(sources.PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"
            if public and ast.get_docstring(node) and f'id="{module}.{node.name}"' not in pages:
                missing.append(f"{module}.{node.name}")
    assert not missing
    assert re.search(r'Introduced in <a [^>]*href="../notebooks/04_pretraining.html"', pages)


def test_no_page_loads_anything_from_elsewhere(site):
    pages = {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}
    assert len(pages) > len(NOTEBOOKS) + len(sources.NAMES)
    for path, page in pages.items():
        assert page.loads and not [u for u in page.loads if "//" in u], path
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)]*", styles)
    formulas = pages[site / "notebooks" / "03_mlm_probability.html"]
    assert any(u.startswith("../_static/mathjax/tex-chtml.js") for u in formulas.loads)


def test_links_lead_somewhere_and_a_dead_one_is_found(site, tmp_path):
    assert find_dead_links(site) == []
    (tmp_path / "a.html").write_text('<h1 id="here">A</h1><a href="b.html#there">b</a>')
    (tmp_path / "b.html").write_text('<p id="there"></p><a href="a.html#here">a</a><a href="#">')
    assert find_dead_links(tmp_path) == []
    (tmp_path / "b.html").write_text('<a href="a.html#her">a</a><img src="c.png"><a href="#x">')
    assert find_dead_links(tmp_path) == [
        "a.html → b.html#there", "b.html → a.html#her", "b.html → c.png", "b.html → #x",
    ]  # fmt: skip


# --- where it lives on GitHub ---


@pytest.fixture
def fork(tmp_path):
    return copy_clone(tmp_path / "fork")


def stamp(fork, repository):
    for path in find_notebooks(fork / "notebooks").values():
        stamped = colab.stamp_notebook(read_notebook(path), path.name, repository)
        path.write_text(notebook_text(stamped), encoding="utf-8", newline="\n")


def test_without_a_repository_nothing_is_promised(site):
    assert not list(site.glob("_sources/*"))
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        ours = r"github\.com/(?!huggingface/)[^\"]*/(?:blob|issues)"  # a source may lie there
        assert not re.search(rf"{ours}|fa-download|Launch on", text), path


def test_with_one_notebooks_can_be_taken_along(fork, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "NAMES", ("runtime",))  # the reference takes longest
    stamp(fork, "mary/bift")
    # a word of a file that is no page becomes a link to it
    guide = fork / "notebooks" / "teaching-guide.md"
    guide.write_text(guide.read_text("utf-8") + "\n[the settings](../docs/conf.py)\n", "utf-8")
    command.build_site(tmp_path / "out", fork, "mary/bift")
    for stem in NOTEBOOKS:
        page = Page(tmp_path / "out" / "notebooks" / f"{stem}.html")
        place = f"mary/bift/blob/main/notebooks/{stem}.ipynb"
        assert f"https://colab.research.google.com/github/{place}" in page.links
        assert f"../_sources/notebooks/{stem}.ipynb" in page.links
        assert not [u for u in page.loads if "//" in u]  # Colab's own badge would be one
        taken = tmp_path / "out" / "_sources" / "notebooks" / f"{stem}.ipynb"
        assert colab.is_stamped(read_notebook(taken), "mary/bift")
    guide = Page(tmp_path / "out" / "notebooks" / "teaching-guide.html")
    assert "https://github.com/mary/bift/blob/main/docs/conf.py" in guide.links


def test_colab_is_offered_only_where_it_works(fork):
    def offered(repository):
        settings = command.repository_settings(fork, repository, "main")
        return "html_theme_options.launch_buttons" in settings

    assert not offered("mary/bift")  # without the install cell a notebook fails there
    stamp(fork, "mary/bift")
    assert offered("mary/bift") and not offered("paul/bift")


# --- what stops a build ---


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A project of one notebook and two pages."""
    monkeypatch.setattr(sources, "NAMES", ())
    folder = tmp_path / "small"
    (folder / "notebooks").mkdir(parents=True)
    shutil.copytree(ROOT / "docs" / "_static", folder / "docs" / "_static")
    shutil.copy(ROOT / "docs" / "conf.py", folder / "docs")
    text = "# 00. A\n\n**Question.** Why?\n\n*Time: 5 minutes.*"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    nbformat.write(notebook, folder / "notebooks" / "00_a.ipynb")
    write_index(folder, "[the notebook](../notebooks/00_a.ipynb#00.-A)")
    return folder


def write_index(folder, text):
    toctree = "```{toctree}\n:glob:\n\nnotebooks/*\nreference/index\n```\n"
    (folder / "docs" / "index.md").write_text(f"# Small\n\n{text}\n\n{toctree}", encoding="utf-8")


def test_a_sound_project_is_built_and_its_folder_not_written_over(small, tmp_path):
    command.build_site(tmp_path / "out", small, None)
    assert "notebooks/00_a.html#a" in Page(tmp_path / "out" / "index.html").links
    with pytest.raises(CourseError, match="exists and is not empty"):
        command.build_site(tmp_path / "out", small, None)


@pytest.mark.parametrize(
    "text, message",
    [
        ("[gone](../notebooks/01_b.ipynb)", "found something wrong with a page"),
        ("[gone](../notebooks/00_a.ipynb#00.-B)", "found something wrong with a page"),
        ('<a href="gone.html">gone</a>', "1 links lead nowhere: index.html → gone.html"),
    ],
)
def test_what_is_wrong_with_a_page_stops_the_build(small, tmp_path, text, message):
    write_index(small, text)
    with pytest.raises(CourseError, match=message):
        command.build_site(tmp_path / "out", small, None)


def test_another_mathjax_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MATHJAX_SHA256", "0" * 64)
    with pytest.raises(CourseError, match="MathJax have the SHA-256 3c0a91f2.*expected 0000"):
        sources.write_assets(tmp_path)


# --- in a browser ---


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
    with sync_api.sync_playwright() as playwright:
        if not find_chromium(playwright):
            pytest.skip("needs a Chromium: bash .ci/install_browser python")
        with chromium(playwright) as browser:
            yield browser


@pytest.fixture(scope="module")
def address(site):
    with serve(site) as address:
        yield address


@pytest.fixture
def visit(browser, address):
    """Return a function that opens a page; complaints and requests to elsewhere fail the test."""
    problems, contexts = [], []

    def open_page(name, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(600_000)
        page.on("console", lambda m: m.type in ("error", "warning") and problems.append(m.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda r: r.url.startswith((address, "data:")) or problems.append(r.url))
        page.on("response", lambda r: r.status < 400 or problems.append(f"{r.status} {r.url}"))
        page.goto(f"{address}/{name}")
        page.evaluate("async () => { await window.MathJax?.startup?.promise; }")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def test_the_front_page_fills_in_a_blank(visit):
    asked = []
    page = visit("")
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.click("text=the two exchanged")
    assert page.inner_text(".ask-send") == "Load the model and ask (10 MB)"
    assert not set(asked) - {"favicon.svg"}  # the browser asks for that when it likes to
    asked.clear()
    text = page.input_value(".ask-text")
    page.click(".ask-send")
    page.wait_for_selector(".ask-answer li")
    files = {"config.json", "model.safetensors", "tokenizer.json"}
    assert set(asked) - {"favicon.svg"} == files and len(asked) <= 4
    model, tokenizer = models.load_model("bift-mini"), models.load_tokenizer("bift-mini")
    expected = evaluation.fill_blank(model, tokenizer, text, top=6)
    assert page.locator(".ask-token").all_inner_texts() == list(expected)
    shares = [f"{100 * share:.1f} %" for share in expected.values()]
    assert page.locator(".ask-share").all_inner_texts() == shares
    widths = page.eval_on_selector_all(".ask-bar", "bars => bars.map((b) => b.clientWidth)")
    assert widths == sorted(widths, reverse=True) and widths[0] > 1.5 * widths[-1]
    page.fill(".ask-text", "no blank")
    page.press(".ask-text", "Enter")
    page.wait_for_function("document.querySelector('.ask-status').textContent.includes('0 blanks')")


def test_the_front_page_writes_blank_by_blank(visit):
    page = visit("")
    page.fill(".ask-text", "a [MASK] [MASK] film .")
    page.click(".ask-send")
    page.click(".ask-one")
    assert page.inner_text(".ask-answer").count("____") == 1
    page.click(".ask-all")
    page.wait_for_function("document.querySelector('.ask-status').textContent.startsWith('No')")
    first = page.inner_text(".ask-answer")
    assert "____" not in first and page.locator(".ask-drawn").count() == 2
    page.click(".ask-again")
    assert page.inner_text(".ask-answer").count("____") == 2


PAGES = ["index", "notebooks/00_start_here", "notebooks/03_mlm_probability", "reference/masking"]
DARK = "() => document.documentElement.dataset.theme"


@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_a_phone_and_follow_the_dark_mode(visit, name):
    page = visit(f"{name}.html", viewport={"width": 390, "height": 844}, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(DARK) == "dark"


def test_formulas_are_set_with_the_fonts_of_the_site(visit):
    page = visit("notebooks/03_mlm_probability.html")
    assert page.locator("mjx-container").count() > 10
    assert page.locator("mjx-merror").count() == 0
    fonts = "() => [...document.fonts].filter((f) => f.status === 'loaded').map((f) => f.family)"
    assert any("MJX" in family for family in page.evaluate(fonts))


def test_the_search_finds_copy_or_doubt(visit):
    page = visit("search.html?q=copy+or+doubt")
    page.wait_for_selector("#search-results li a")
    assert any("03" in found for found in page.locator("#search-results li").all_inner_texts())


def test_on_paper_solutions_are_unfolded_at_the_end(visit):
    page = visit("notebooks/02_masking.html")
    article = "document.querySelector('article.bd-article')"
    before = page.evaluate(f"{article}.innerHTML")
    folded = page.locator("article details").count()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(f"{article}.lastElementChild.className") == "solutions"
    solutions = page.locator(".solutions details")
    assert solutions.count() == len(re.findall("<summary>Solution<", all_markdown("02_masking")))
    assert page.locator("article details[open]").count() == folded > solutions.count() > 0
    assert page.locator(".solutions h3").first.inner_text().startswith("Exercise 02.1")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(f"{article}.innerHTML") == before


def test_a_notebook_is_printed(site, browser, tmp_path):
    """In a process of its own: there can be one Playwright in each."""
    print_one = f"""
from pathlib import Path
from bift_utils.commands.site.browser import print_pages
print_pages(Path({str(site)!r}), ["notebooks/00_start_here.html"], Path({str(tmp_path)!r}, "pdf"))
"""
    done = subprocess.run([sys.executable, "-c", print_one], capture_output=True, text=True)
    assert browser and done.returncode == 0, done.stderr
    written = (tmp_path / "pdf" / "00_start_here.pdf").read_bytes()
    assert written.startswith(b"%PDF") and written.count(b"/Subtype /Image") >= 5
