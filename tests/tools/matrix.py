"""The same notebooks everywhere: run them as saved, under one condition after the other.

`python tests/tools/matrix.py` lists the conditions; with `read-only place+one-thread` behind it, it
runs two of them, the second made of two, on copies of the project, whole notebooks with nbval, and
prints a row of a table for each.
Exit status 1 if one fails. `--python` takes another environment, with the lowest or the newest
versions; `… matrix.py lowest` prints the lower ends of the ranges as constraints.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from planting import ROOT, copy_project

PLACE = "ein Ordner, 文件夹 & şube"
CONDITIONS = {  # name to environment
    "plain": {},
    "one-thread": {"OMP_NUM_THREADS": "1"},
    "two-threads": {"OMP_NUM_THREADS": "2"},
    "older-processor": {  # other instructions, so other roundings
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
    "place": {},  # spaces and letters beyond ASCII in the path
    "read-only": {},  # nobody may write into the checkout
    "turkish": {"LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "tr", "TZ": "Asia/Kathmandu"},
    "plain-c": {"LC_ALL": "C", "TZ": "Pacific/Chatham"},
}


def lowest() -> str:
    """Return the lower end of each range of the package and of its tests; torch as it is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["test"], *extras["minilm"]]
    found = (re.match(r"([\w-]+)[>=]=([\d.]+)", requirement) for requirement in wanted)
    return "\n".join(f"{name}=={version}" for name, version in map(re.Match.groups, found)
                     if name != "torch")  # fmt: skip


def lock(root: Path) -> list[str]:
    """Take away all rights to write; return the command that makes them count for root, too."""
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    as_root = getattr(os, "geteuid", lambda: 1)() == 0
    return ["setpriv", "--bounding-set=-dac_override"] if as_root else []


def unlock(root: Path) -> None:
    """Give the owner the right to write back, so that the copy can be removed."""
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)


def has_locale(python: str, environment: dict) -> bool:
    """Return whether the machine knows the language that the environment asks for."""
    ask = [python, "-c", "import locale; locale.setlocale(locale.LC_ALL, '')"]
    return subprocess.run(ask, env=environment, capture_output=True).returncode == 0


def run(condition: str, names: list[str], python: str, scratch: Path) -> tuple[bool, str, float]:
    """Run notebooks of a copy under a condition; return (passed, last line or failure, seconds)."""
    parts = condition.split("+")
    asked = {name: value for part in parts for name, value in CONDITIONS[part].items()}
    root = copy_project(scratch / (PLACE if "place" in parts else "copy"))
    home = scratch / "home"
    home.mkdir()
    inherited = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    environment = {
        **inherited, **asked, "PYTHONPATH": str(root), "HOME": str(home),
        "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(home), "IPYTHONDIR": str(home / "ipython"),
    }  # fmt: skip
    if "LC_ALL" in asked and not has_locale(python, environment):
        return False, f"this machine has no {asked['LC_ALL']}", 0.0
    paths = [
        f"notebooks/{path.name}"
        for path in sorted(root.glob("notebooks/*.ipynb"))
        if not names or path.name.split("_")[0] in names
    ]
    if not paths:
        return False, f"no notebook begins with {' or '.join(names)}", 0.0
    before = lock(root) if "read-only" in parts else []
    command = [*before, python, "-m", "pytest", "-q", "--no-header", *paths]
    start = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, errors="replace"
        )
    finally:
        unlock(root)
    failed = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - |$)", done.stdout, flags=re.M)
    summary = re.findall(r"\d+ (?:passed|failed|error)[^\n]*", done.stdout)
    said = ", ".join(failed) or (summary or done.stderr.strip().splitlines())[-1]
    if done.returncode:
        log = Path(tempfile.gettempdir(), f"matrix-{condition}.log")
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
    return done.returncode == 0, said, time.monotonic() - start


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "conditions", nargs="*", help=f"of {', '.join(CONDITIONS)}, or some with +; or: lowest"
    )
    parser.add_argument("--times", type=int, default=1, help="how often each (default: 1)")
    parser.add_argument("--notebooks", nargs="*", default=[], metavar="NN", help="such as 01 03")
    parser.add_argument("--python", default=sys.executable, help="of another environment")
    options = parser.parse_args(arguments)
    if options.conditions == ["lowest"]:
        print(lowest())
        return 0
    unknown = {part for name in options.conditions for part in name.split("+")} - set(CONDITIONS)
    if unknown or not options.conditions:
        parser.error(f"give one or more of {', '.join(CONDITIONS)}, not {sorted(unknown)}")
    passed = True
    print("| condition | verdict | what pytest said | time |\n|---|---|---|---|", flush=True)
    for condition in options.conditions:
        for _ in range(options.times):
            scratch = Path(tempfile.mkdtemp())
            ok, said, seconds = run(condition, options.notebooks, options.python, scratch)
            shutil.rmtree(scratch, ignore_errors=True)
            verdict = "passed" if ok else "**FAILED**"
            print(f"| {condition} | {verdict} | {said} | {seconds:.0f} s |", flush=True)
            passed &= ok
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
