"""Drive JupyterLab in headless Chromium: a server, a page, and `visit`, which tries a notebook.

Used by `browser.py`. Controls are found by their kind, never by name, so a new widget is moved
without a change here; a control of an unknown kind is reported.
"""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from browser_controls import VIEWS, kind_of, moves_of, name_of

from bift_utils.commands.site.browser import chromium, find_chromium, is_root

START, OPEN, RUN, MOVE = 300, 300, 1800, 60  # seconds until the server, a page, all cells, a move
NOISE: list[tuple[str, str]] = []  # (pattern of a console error that is the lab's own, reason)
SCRIPT = (Path(__file__).parent / "browser_lab.js").read_text(encoding="utf-8")
QUIET = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}


@dataclass
class Visit:
    """What was done in a notebook, and every problem met."""

    cells: int = 0
    figures: int = 0  # static ones: cells with controls that are saved with a figure
    controls: list[str] = field(default_factory=list)
    moves: int = 0
    problems: list[str] = field(default_factory=list)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def lab_server(folder: Path) -> Iterator[tuple[str, str]]:
    """Serve `folder` on this machine alone, behind a fresh token; yield the address and the token.

    The user's own Jupyter settings, kernels and workspaces are left out and left alone.
    """
    with tempfile.TemporaryDirectory() as scratch:
        home, port, token = Path(scratch), free_port(), secrets.token_urlsafe(24)
        overrides = {"@jupyterlab/apputils-extension:notification": QUIET,
                     "@jupyterlab/docmanager-extension:plugin": {"autosave": False}}  # fmt: skip
        (home / "overrides.json").write_text(json.dumps(overrides), encoding="utf-8")
        names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
        environment = {**os.environ, **{name: str(home / name.lower()) for name in names}}
        environment.update(HF_HUB_OFFLINE="1", JUPYTER_TOKEN=token)
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1",
                   f"--port={port}", "--ServerApp.port_retries=0",
                   f"--ServerApp.root_dir={folder}", f"--LabApp.app_settings_dir={home}",
                   "--LabApp.expose_app_in_browser=True"]  # fmt: skip
        if is_root():
            command.append("--allow-root")
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            try:
                wait_for_server(server, f"http://127.0.0.1:{port}", token, home / "log")
                yield f"http://127.0.0.1:{port}", token
            finally:
                server.terminate()  # shuts the kernels down too
                server.wait(timeout=60)


def wait_for_server(server, address: str, token: str, log: Path) -> None:
    """Return once the server answers, and make sure that it answers only to the token."""
    request = urllib.request.Request(f"{address}/api/status")
    request.add_header("Authorization", f"token {token}")
    limit = time.monotonic() + START
    while True:
        try:
            urllib.request.urlopen(request, timeout=5).close()
            break
        except OSError as error:
            if server.poll() is not None or time.monotonic() > limit:
                text = log.read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"JupyterLab did not start ({error}):\n{text}") from error
            time.sleep(0.3)
    try:
        urllib.request.urlopen(f"{address}/api/status", timeout=5).close()
    except urllib.error.HTTPError as error:
        assert error.code in (401, 403), error
    else:
        raise AssertionError("The server answers without its token.")


@contextmanager
def lab_page(browser, address: str, token: str, notebook: str, found: Visit):
    """Open a notebook in a fresh page, its kernel ready; errors of page and console are noted."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()

    def note_console(message):
        known = any(re.search(pattern, message.text) for pattern, _ in NOISE)
        if message.type == "error" and not known:
            found.problems.append(f"console error: {message.text}")

    page.on("console", note_console)
    page.on("pageerror", lambda error: found.problems.append(f"page error: {error}"))
    try:
        page.goto(f"{address}/lab/tree/{notebook}?reset&token={token}")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=OPEN * 1000)
        page.evaluate(SCRIPT)
        page.evaluate("bift.ready()")
        page.wait_for_function("bift.drawn()", timeout=OPEN * 1000)
        yield page
        page.evaluate("bift.shutdown()")
    finally:
        context.close()


def visit(browser, address: str, token: str, notebook: str) -> Visit:
    """Look at a notebook as saved, run all its cells, move all its controls."""
    found = Visit()
    with lab_page(browser, address, token, notebook, found) as page:
        static = page.evaluate("bift.withFigure()")  # what a reader without a kernel sees
        page.evaluate("bift.runAll()")
        page.wait_for_function("bift.ran", timeout=RUN * 1000)
        cells = page.evaluate("bift.cells()")
        found.cells = sum(cell["code"] for cell in cells)
        for i, cell in enumerate(cells):
            found.problems += [f"cell {i} raised {error}" for error in cell["errors"]]
            if cell["code"] and not cell["count"]:
                found.problems.append(f"cell {i} was not run")
        page.evaluate("bift.kernelErrors.length = 0")  # those of cells are reported above
        for i, cell in enumerate(cells):
            if cell["views"] and move_controls(page, i, found):
                found.figures += i in static
                if i not in static:
                    found.problems.append(f"cell {i} has controls, but no saved figure with them")
    return found


def move_controls(page, i: int, found: Visit) -> bool:
    """Move each control of cell `i` there and back; each time the output has to change.

    Returns whether the cell has controls: the view may be no more than a progress bar.
    """
    cell = page.locator(".jp-Notebook .jp-Cell").nth(i)
    cell.scroll_into_view_if_needed()
    cell.locator(VIEWS).first.wait_for(timeout=OPEN * 1000)
    page.evaluate("i => bift.settle(i)", i)
    before = len(found.controls)
    for control in cell.locator(VIEWS).all():
        kind = kind_of(control)
        if kind == "shown":
            continue
        name = f"cell {i}, {kind} “{name_of(control)}”"
        found.controls.append(name)
        if kind == "unknown":
            found.problems.append(f"{name}: no way to move it is known (browser_controls.py)")
        for what, move in moves_of(kind, control):
            problem = try_move(page, i, move)
            found.moves += 1
            if problem:
                found.problems.append(f"{name}: {what}, {problem}")
                break
    moved = len(found.controls) > before
    if not moved and not cell.locator(".widget-hprogress").count():
        found.problems.append(f"cell {i} shows a widget without any control")
    return moved


def try_move(page, i: int, move) -> str | None:
    """Make one move; return what went wrong, or None when figure or text changed."""
    from playwright.sync_api import TimeoutError as TooLate

    problem = None
    old = page.evaluate("i => bift.output(i)", i)
    move()
    try:
        page.wait_for_function(
            "([i, old]) => bift.kernelErrors.length || bift.output(i) !== old",
            arg=[i, old],
            timeout=MOVE * 1000,
        )
    except TooLate:
        problem = f"and neither figure nor text changed within {MOVE} s"
    page.evaluate("i => bift.settle(i)", i)
    errors = page.evaluate("bift.kernelErrors.splice(0)")
    return f"and the kernel raised {errors[0]}" if errors else problem


if __name__ == "__main__":  # does a Chromium start here? `.ci/install_browser` asks
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            with chromium(playwright) as browser:
                print(f"Chromium {browser.version}: {find_chromium(playwright)}")
        except Error as error:
            sys.exit(f"No Chromium starts here: {error.message.splitlines()[0]}")
