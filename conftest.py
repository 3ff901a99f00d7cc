"""What every run needs, of a single notebook too: the network is cut, notebooks are measured."""

import os
import sys
from pathlib import Path

# before any library reads them: no hub, no progress bars
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
sys.path.insert(0, str(Path(__file__).parent / "tests" / "unit"))
sys.path.insert(0, str(Path(__file__).parent / "tests" / "notebooks"))
sys.path.insert(0, str(Path(__file__).parent / "tests" / "tools"))

import budgets
import offline
from budgets import pytest_addoption  # noqa: F401 (a hook)


def pytest_configure(config):
    budgets.pytest_configure(config)
    config.pluginmanager.register(offline.Offline(), "offline")
