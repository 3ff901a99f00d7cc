"""Nothing is unpickled, fetched, or run that the reader did not ask for."""

import ast
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
CODE = sorted((ROOT / "bift_utils").rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
UNPICKLERS = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}


def trees():
    """Yield (name, syntax tree) of all code of the package and the notebooks."""
    for path in CODE:
        yield path.name, ast.parse(path.read_text(encoding="utf-8"))
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                yield f"{path.name}, {cell.id}", ast.parse(cell.source)


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_nothing_is_unpickled():
    loads = 0
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names}
                names |= {(getattr(node, "module", None) or "").split(".")[0]}
                assert not names & UNPICKLERS, name
        for call in calls(tree):
            safe = {"torch.load": ("weights_only", "True"), "numpy.load": ("allow_pickle", "False")}
            if ast.unparse(call.func) in safe:
                loads += 1
                option, value = safe[ast.unparse(call.func)]
                options = {word.arg: ast.unparse(word.value) for word in call.keywords}
                assert options.get(option) == value, name
    assert loads  # otherwise this test looks at nothing


def test_no_code_comes_with_a_model_and_none_is_made_of_text():
    for name, tree in trees():
        for call in calls(tree):
            options = {word.arg for word in call.keywords}
            assert not options & {"trust_remote_code", "shell"}, name
            assert ast.unparse(call.func) not in ("eval", "exec", "os.system", "os.popen"), name


def first_word(node: ast.expr) -> str:
    """Return the name that a command begins with: of a list its first entry, of a call its name."""
    if isinstance(node, ast.List) and node.elts:
        return first_word(node.elts[0])
    if isinstance(node, ast.Starred):
        return first_word(node.value)
    return ast.unparse(node.func if isinstance(node, ast.Call) else node)


def test_no_notebook_opens_a_shell():
    """Another Python may be started; anything else would depend on what the machine has."""
    cells = [(name, tree) for name, tree in trees() if ".ipynb" in name]
    python = {"sys.executable"}  # and the names of commands that begin with it, in reading order
    for name, tree in cells:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                returned = [part.value for part in node.body if isinstance(part, ast.Return)]
                if returned and first_word(returned[0]) in python:
                    python.add(node.name)
            elif isinstance(node, ast.Assign) and first_word(node.value) in python:
                python.add(ast.unparse(node.targets[0]))
        for call in calls(tree):
            if ast.unparse(call.func) in ("subprocess.run", "subprocess.Popen"):
                assert first_word(call.args[0]) in python, name


def test_jupyter_keeps_its_token_and_stays_on_this_machine():
    texts = [path.read_text(encoding="utf-8") for path in ROOT.rglob("*.md")
             if ".venv" not in path.parts]  # fmt: skip
    texts += [(ROOT / "environment.yml").read_text(encoding="utf-8")]
    starts = [line for text in texts for line in text.splitlines() if "jupyter lab" in line]
    assert starts
    for line in starts:
        assert not re.search(r"--ip|token|password|allow.origin|0\.0\.0\.0", line)


def test_this_process_has_no_network(monkeypatch, tmp_path):
    monkeypatch.setenv("BIFT_NETWORK_LOG", str(tmp_path / "log"))
    for ask in (
        lambda: socket.create_connection(("192.0.2.1", 80), timeout=1),
        lambda: socket.getaddrinfo("example.org", 443),
    ):
        with pytest.raises(OSError, match="The tests have no network"):
            ask()
    assert len((tmp_path / "log").read_text(encoding="utf-8").splitlines()) == 2
    with socket.socket() as server, socket.socket() as client:  # this machine may be asked
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())


def test_what_this_process_starts_has_none_either(tmp_path):
    code = "import socket; socket.create_connection(('example.org', 80), timeout=1)"
    environment = {**os.environ, "BIFT_NETWORK_LOG": str(tmp_path / "log")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert b"The tests have no network" in done.stderr
    assert "example.org" in (tmp_path / "log").read_text(encoding="utf-8")
