"""What the README's commands install is locked, and the public CI also tries other releases."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
COMMANDS = {
    extra: line.strip()
    for line in (ROOT / "README.md").read_text("utf-8").splitlines()
    for extra in re.findall(r"install -e '\.\[(\w+)\]'", line)
}


def pins(extra: str, python: str) -> dict[str, str]:
    """The versions that a command installs with a Python version on Linux, by name."""
    found = {}
    for line in (ROOT / f"constraints-{extra}.txt").read_text("utf-8").splitlines():
        if not line.strip() or line.strip().startswith("#"):
            continue
        pin = Requirement(line)
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), line
        assert pin.url is None, line
        holds = {"python_version": python, "python_full_version": f"{python}.0"}
        if pin.marker is None or pin.marker.evaluate(holds | {"sys_platform": "linux"}):
            assert pin.name not in found, line
            found[pin.name] = str(pin.specifier)[2:]
    return found


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("extra", ["local", "dev"])
def test_what_a_command_installs_is_pinned(extra: str, python: str) -> None:
    """Each requirement, the build's too, has one exact release that pyproject.toml allows."""
    locked = pins(extra, python)
    project = PROJECT["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"][extra],
        *PROJECT["build-system"]["requires"],
        *PROJECT["dependency-groups"]["build"],
    ]
    for text in wanted:
        requirement = Requirement(text)
        version = locked[requirement.name.lower()]
        assert requirement.specifier.contains(version, prereleases=True), text


@pytest.mark.parametrize("extra", ["local", "dev"])
def test_the_readme_installs_by_its_lock(extra: str) -> None:
    """Each command names its lock, for packages and for the build, and is run again after it."""
    command = COMMANDS[extra]
    lock = f"constraints-{extra}.txt"
    assert f"PIP_CONSTRAINT={lock} PIP_BUILD_CONSTRAINT={lock} python3 -m pip" in command
    assert f"[ .venv/{extra} -nt {lock} ]" in command


def test_the_group_of_tools_is_the_extra() -> None:
    """Who installs by PEP 735 gets what the README's command installs."""
    assert PROJECT["dependency-groups"]["dev"] == PROJECT["project"]["optional-dependencies"]["dev"]


def test_the_public_ci_tries_what_users_may_have() -> None:
    """Each supported Python with each Postgres, the newest releases and the lowest have a run."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    jobs = workflow["jobs"]
    assert jobs.keys() == {"lint", "tests", "coverage", "newest", "lowest"}
    classifiers = {
        c.rpartition(" ")[2] for c in PROJECT["project"]["classifiers"] if "Python :: 3." in c
    }
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert set(matrix["python"]) == classifiers == set(PYTHONS)
    assert matrix["postgres"] == ["14", "15", "16", "17", "18"]


def test_the_public_ci_lints_once_and_measures_coverage_once() -> None:
    """What does not depend on Python's or Postgres's version is not done fifteen times."""
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))["jobs"]
    runs = {name: "\n".join(s.get("run", "") for s in job["steps"]) for name, job in jobs.items()}
    assert [name for name, run in runs.items() if ".ci/lint" in run] == ["lint"]
    assert ".ci/run" in runs["tests"]
    assert jobs["tests"]["env"]["LINT"] == "no"
    assert [n for n, run in runs.items() if "--cov=durable --cov-fail-under=90" in run] == [
        "coverage"
    ]
