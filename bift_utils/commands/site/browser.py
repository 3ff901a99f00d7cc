"""A headless Chromium, a server for plain files, and pages printed as PDF (extra `browser`)."""

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAPER = {
    "format": "A4",
    "margin": {"top": "16mm", "bottom": "18mm", "left": "15mm", "right": "15mm"},
    "display_header_footer": True,
    "header_template": "<span></span>",
    "footer_template": (
        '<div style="width: 100%; font-size: 8px; text-align: center">'
        '<span class="title"></span> · <span class="pageNumber"></span></div>'
    ),
}


def find_chromium(playwright) -> str | None:
    """Return the path of the one in BIFT_CHROMIUM, of Playwright's own, or of the system's."""
    own = playwright.chromium.executable_path
    named = os.environ.get("BIFT_CHROMIUM") or (own if Path(own).exists() else None)
    return named or next(filter(None, map(shutil.which, CHROMIUM)), None)


def is_root() -> bool:
    """Say whether this process may do everything, where there is such a thing."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


@contextmanager
def chromium(playwright) -> Iterator:
    """Yield a headless Chromium."""
    options = "--disable-gpu --no-first-run --disable-background-networking --disable-sync"
    options += " --disable-component-update --disable-quic"
    if is_root():
        options += " --no-sandbox"  # Chromium's sandbox refuses root
    browser = playwright.chromium.launch(
        executable_path=find_chromium(playwright), args=options.split()
    )
    try:
        yield browser
    finally:
        browser.close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the files of a folder on this machine alone; yield the address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def print_pages(site: Path, pages: Sequence[str], folder: Path) -> None:
    """Print pages of a built site as PDF files of the same names, formulas and figures included."""
    from playwright.sync_api import sync_playwright

    folder.mkdir()
    with serve(site) as address, sync_playwright() as playwright, chromium(playwright) as browser:
        for page_name in pages:
            page = browser.new_page()
            page.set_default_timeout(600_000)  # milliseconds
            page.goto(f"{address}/{page_name}")
            page.evaluate("async () => { await window.MathJax?.startup?.promise; }")
            page.pdf(path=folder / f"{Path(page_name).stem}.pdf", **PAPER)
            page.close()
