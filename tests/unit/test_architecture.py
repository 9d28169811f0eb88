"""The architecture's own claims are true: contracts bite, rooms list their modules, words exist."""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

import durable
from durable.cli.program import program

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "durable"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
    "contracts"
]
ROOMS = sorted(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)
# A word after "durable." that is code for users, and a command after "durable " in backquotes.
NAMED = re.compile(r"\bdurable\.([a-z_]\w*)\(")
COMMAND = re.compile(r"`durable ([a-z]+)\b")
MODULES = {path.stem for path in PACKAGE.rglob("*.py")} | {room.name for room in ROOMS}


def texts(path: Path) -> Iterator[str]:
    """Every literal text of a file, docstrings and parts of f-strings included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_contract_forbids_what_somebody_imports() -> None:
    """A contract that names a module nobody imports could not be broken, and would hold nothing."""
    graph = grimp.build_graph("durable", include_external_packages=True, cache_dir=None)
    idle = []
    for contract in CONTRACTS:
        for module in contract.get("forbidden_modules", ()):
            inside = {m for m in graph.modules if m == module or m.startswith(f"{module}.")}
            importers = {i for m in inside for i in graph.find_modules_that_directly_import(m)}
            if not importers - inside:
                idle.append((contract["name"], module))
    assert idle == []


def imported(tree: ast.AST) -> Iterator[str]:
    """The top-level names of what is imported below a node."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_every_import_is_declared() -> None:
    """What a module needs is required; what a function imports may be of an extra for users."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    owners = metadata.packages_distributions()

    def named(requirements: Iterable[str]) -> set[str]:
        return {canonicalize_name(Requirement(text).name) for text in requirements}

    required, command = named(project["dependencies"]), named(extras["cli"])
    users = {
        name
        for extra, texts in extras.items()
        if extra not in ("dev", "docs")
        for name in named(texts)
    }
    missing = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        here = path.relative_to(PACKAGE).parts[0]
        allowed = required | (command if here == "cli" else set())
        late = {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for name in imported(node)
        }
        for name in set(imported(tree)) - sys.stdlib_module_names - {"durable"}:
            found = {canonicalize_name(owner) for owner in owners.get(name, (name,))}
            if not found & (allowed | users if name in late else allowed):
                missing.append((str(path.relative_to(ROOT)), name))
    assert missing == []


def test_the_embedded_launcher_needs_the_standard_library_alone() -> None:
    """It imports nothing of durable and of anybody else, so that it can be a package of its own."""
    graph = grimp.build_graph("durable", include_external_packages=True, cache_dir=None)
    own = {m for m in graph.modules if m.startswith("durable.postgres.embedded")}
    imported = {i for m in own for i in graph.find_modules_directly_imported_by(m)} - own
    assert {i for i in imported if i.partition(".")[0] not in sys.stdlib_module_names} == set()


@pytest.mark.parametrize("room", ROOMS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_rooms_sign_lists_its_modules(room: Path) -> None:
    """The docstring of a package names each of its modules, and none that is gone."""
    sign = ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8"))) or ""
    modules = {p.stem for p in room.glob("*.py")} - {"__init__"}
    modules |= {p.name for p in room.iterdir() if (p / "__init__.py").exists()}
    assert {m for m in modules if not re.search(rf"(?<![\w.]){m}(?!\w)", sign)} == set()
    assert set(re.findall(r"^- `(\w+)`", sign, re.MULTILINE)) <= modules


def test_errors_and_the_readme_advise_only_what_exists() -> None:
    """Each `durable.name()` and `durable command` that a text or the README names is there."""
    commands = set(get_command(program).commands)  # type: ignore[attr-defined]
    unknown = []
    pages = [(p, text) for p in sorted(PACKAGE.rglob("*.py")) for text in texts(p)]
    pages.append((ROOT / "README.md", (ROOT / "README.md").read_text("utf-8")))
    for path, text in pages:
        where = str(path.relative_to(ROOT))
        names = set(NAMED.findall(text)) - set(durable.__all__) - MODULES
        unknown += [(where, name) for name in names]
        unknown += [(where, word) for word in set(COMMAND.findall(text)) - commands]
    assert unknown == []


@functools.cache
def defined() -> set[str]:
    """Every class of the package, and every `Class.name` of its methods, fields and constants."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ClassDef):
                continue
            names.add(node.name)
            for part in node.body:
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                    names.add(f"{node.name}.{part.name}")
                elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                    names.add(f"{node.name}.{part.target.id}")
    return names


@pytest.mark.parametrize("page", sorted((ROOT / "docs/design").glob("*.md")), ids=lambda p: p.stem)
def test_design_pages_name_files_and_classes_that_exist(page: Path) -> None:
    """Each file and each `Class.method` in backquotes of a design page is in the repository."""
    files = [path for top in (PACKAGE, ROOT / "tests", ROOT / "benchmarks", ROOT / "examples")
             for path in top.rglob("*")]  # fmt: skip
    existing = {f"/{path.relative_to(ROOT)}" for path in files}
    known = defined()
    gone = []
    for quoted in re.findall(r"`([^`\n]+)`", page.read_text("utf-8")):
        if re.fullmatch(r"[\w./]+\.(py|sql)|(durable|tests)/[\w/]+/", quoted):
            if not any(path.endswith(f"/{quoted.rstrip('/')}") for path in existing):
                gone.append(quoted)
        elif named := re.fullmatch(r"(?:[a-z_]\w*\.)*([A-Z]\w*[a-z]\w*\.[a-z_]\w*)(\(\))?", quoted):
            if named[1] not in known:
                gone.append(quoted)
        elif module := re.fullmatch(r"([a-z_]\w*(?:\.[a-z_]\w*)*)\.([A-Z]\w*)", quoted):
            room = f"/durable/{module[1].removeprefix('durable.').replace('.', '/')}"
            if module[2] not in known or not ({room, f"{room}.py"} & existing):
                gone.append(quoted)
    assert gone == []


def test_facts_are_written_in_two_places() -> None:
    """Only the engine's steps, and an end that comes from outside, add to a history."""
    writers = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.sql")
        if re.search(r"insert into durable\.history\b", path.read_text("utf-8"))
    }
    assert writers == {"engine/steps/sql/commits.sql", "store/sql/jobs.sql"}


# What people look for by its name, and how files and signs spell it.
LOOKED_FOR = {
    "throttle": "throttles?",
    "claim": "claims?",
    "retry decision": "retry|retries|retry decisions?",
    "cancel": "cancels?|cancellations?",
    "heartbeat": "heartbeats?",
    "eviction": "evictions?",
    "takeover": "takeovers?",
    "roll call": "roll calls?",
    "sweep": "sweeps?|sweeper",
    "early signal": "early signals?",
}


def is_found(spelling: str) -> bool:
    """Whether a file has the name, or exactly one room's sign has the word."""
    stems = {path.stem for path in PACKAGE.rglob("*") if path.suffix in (".py", ".sql")}
    if any(re.fullmatch(spelling, stem.replace("_", " ")) for stem in stems):
        return True
    signs = [ast.get_docstring(ast.parse((r / "__init__.py").read_text("utf-8"))) for r in ROOMS]
    return sum(bool(re.search(rf"\b({spelling})\b", s or "", re.IGNORECASE)) for s in signs) == 1


@pytest.mark.parametrize("word", LOOKED_FOR)
def test_what_people_look_for_is_found_by_its_name(word: str) -> None:
    """`ls` and the signs of the rooms lead to each mechanism."""
    assert is_found(LOOKED_FOR[word])
