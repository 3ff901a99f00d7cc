"""A pytest plugin: the tests run with the network cut, and a run that asks for it fails."""

import importlib.util
import os
import tempfile
from pathlib import Path

GUARD = Path(__file__).parent / "network_guard"


def cut_the_network() -> Path:
    """Guard this process and all that it will start; return the file of what was refused."""
    handle, name = tempfile.mkstemp(prefix="network-", suffix=".log")
    os.close(handle)
    os.environ["BIFT_NETWORK_LOG"] = name
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(GUARD), *([known] if known else [])])
    # by its path: another `sitecustomize` may be loaded already
    spec = importlib.util.spec_from_file_location("network_guard", GUARD / "sitecustomize.py")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return Path(name)


class Offline:
    """The hooks: note at the end what was asked for, and fail then."""

    def __init__(self):
        self.log = cut_the_network()

    def pytest_sessionfinish(self, session):
        self.asked = sorted(set(self.log.read_text(encoding="utf-8").splitlines()))
        if self.asked and session.exitstatus == 0:
            session.exitstatus = 1

    def pytest_terminal_summary(self, terminalreporter):
        for asked in self.asked:
            terminalreporter.line(f"NETWORK: a test asked for {asked}", red=True)

    def pytest_unconfigure(self):
        self.log.unlink(missing_ok=True)
