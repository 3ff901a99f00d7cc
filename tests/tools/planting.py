"""What `faults.py` needs to plant a fault in a copy of the project, and to see who notices."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).parent / "faults.toml"
LEFT_OUT = (".git", ".venv", "__pycache__", ".ipynb_checkpoints", "*.egg-info", "build", "dist")
TOO_LONG = 900  # seconds for each file; what hangs is caught too

CAUGHT, NOT_CAUGHT, NOT_RUN, NO_FIT = "caught by", "**NOT CAUGHT**", "not run", "**DOES NOT FIT**"


@dataclass(frozen=True)
class Fault:
    """What goes wrong, in which file, the right text and the wrong one, and who should notice."""

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]

    def planted(self, root: Path) -> str:
        """Return the text of the file in the copy `root` with the fault in it.

        Raises:
            ValueError: the right text does not stand exactly once in the file.
        """
        text = (root / self.file).read_text(encoding="utf-8")
        if text.count(self.right) != 1:
            raise ValueError(
                f"The fault “{self.name}” replaces text that stands {text.count(self.right)} times "
                f"in {self.file}; expected once. Mend its entry in faults.toml."
            )
        return text.replace(self.right, self.wrong)

    def paths(self) -> list[str]:
        """Return the tests concerned, as paths; a test file may lie in any folder of `tests/`.

        Raises:
            ValueError: no file, or more than one, has the name of a test.
        """
        found = []
        for name in self.tests:
            files = list(ROOT.glob(name if name.endswith(".ipynb") else f"tests/*/test_{name}.py"))
            if len(files) != 1:
                raise ValueError(
                    f"The fault “{self.name}” names the test “{name}”, and {len(files)} files have "
                    "that name; expected one. Mend its entry in faults.toml."
                )
            found.append(files[0].relative_to(ROOT).as_posix())
        return found


def read_faults(path: Path = LIST) -> list[Fault]:
    """Return the faults of the list, in its order."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["fault"]
    return [Fault(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def copy_project(folder: Path) -> Path:
    """Copy what the tests need; return the copy."""
    return Path(shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT)))


def run_tests(root: Path, paths: list[str]) -> str:
    """Run pytest on a copy; return a verdict: CAUGHT and by what, NOT_RUN and why, or NOT_CAUGHT.

    A test that is skipped because an extra is missing might have noticed: that is no verdict on
    the fault.
    """
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # a mended file must not meet a stale cache
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rfEs", "--no-header", *paths]
    limit = TOO_LONG * len(paths)
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return f"{CAUGHT} the clock: nothing within {limit} s"
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", done.stdout, flags=re.M)
    nothing_ran = done.returncode == 5  # whole files were skipped
    if done.returncode in (1, 2) and failed:  # a fault that cannot be imported stops pytest with 2
        return f"{CAUGHT} `{failed[1].split('/')[-1]}`"
    if done.returncode != 0 and not nothing_ran:
        raise RuntimeError(f"pytest could not run {paths}:\n{done.stdout[-2000:]}{done.stderr}")
    skipped = re.search(
        r"^SKIPPED .*(could not import|needs the extra|needs nbgrader)", done.stdout, flags=re.M
    )
    if skipped or nothing_ran or " passed" not in done.stdout:
        return f"{NOT_RUN}: needs an extra that is not installed"
    return NOT_CAUGHT


def check_baseline(root: Path, paths: Iterable[str]) -> None:
    """Stop unless everything passes without a fault: else nothing would be shown by a failure."""
    said = run_tests(root, sorted(set(paths)))
    if said.startswith(CAUGHT):
        sys.exit(f"Without any fault {said.removeprefix(CAUGHT)} fails; mend that first.")


def try_fault(root: Path, fault: Fault) -> str:
    """Plant one fault in a copy, run the tests concerned, mend the copy; return the verdict."""
    file = root / fault.file
    before = file.read_bytes()
    try:
        file.write_text(fault.planted(root), encoding="utf-8")
        return run_tests(root, fault.paths())
    except ValueError as error:
        return f"{NO_FIT}: {error}"
    finally:
        file.write_bytes(before)
