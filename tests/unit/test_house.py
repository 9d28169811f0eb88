"""The rules of the house that no linter of `.ci/lint` knows: sizes, names, exports, SQL, clocks."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import durable

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "durable"
SOURCES = sorted(PACKAGE.rglob("*.py"))
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
ROOM_NAMES_BANNED = {
    "utils",
    "common",
    "helpers",
    "types",
    "models",
    "base",
    "core",
    "manager",
    "services",
}
SQL = re.compile(
    r"^\s*(select|insert|update|delete|create|alter|drop|with)\s+[^\s-]", re.IGNORECASE
)


def test_all_is_what_the_front_door_imports() -> None:
    """`durable.__all__` is sorted, and names what checkers see imported there and nothing else."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 0
        for alias in node.names if str(node.module).startswith("durable.")
    }  # fmt: skip
    assert list(durable.__all__) == sorted(seen)
    for name, module in seen.items():
        assert getattr(durable, name) is getattr(importlib.import_module(str(module)), name)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short(path: Path) -> None:
    """No file is longer than 500 lines, and none bears a name that says nothing."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES_MAX
    assert path.stem not in ROOM_NAMES_BANNED


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_functions_are_short(path: Path) -> None:
    """No function is longer than 70 lines, its docstring included."""
    long = [
        f.name for f in functions(path) if (f.end_lineno or 0) - f.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_every_test_says_what_it_proves() -> None:
    """Each test, of every suite, has a docstring."""
    silent = [
        f"{path.relative_to(ROOT)}: {f.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for f in functions(path)
        if f.name.startswith("test_") and not ast.get_docstring(f)
    ]
    assert silent == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_sql_in_python_and_no_global(path: Path) -> None:
    """SQL stands in `.sql` files; no function rebinds a module's name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body and isinstance(node.body[0], ast.Expr)
    }  # fmt: skip
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Global)
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ):
            assert not SQL.match(node.value), node.value


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.sql")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_sql_reads_the_injectable_clock(path: Path) -> None:
    """No statement reads a clock that a test cannot move, but where it judges members by beats."""
    text = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
    own = ("0001_runs.sql", "0008_bound_functions.sql")  # the two that define durable.now()
    beats = ("edits.sql", "members.sql", "paused.sql", "quorum.sql")
    if path.name not in (*own, *beats, "migrate.sql"):
        assert not re.search(
            r"(?<!durable\.)\b(now\(\)|statement_timestamp|clock_timestamp|current_timestamp)", text
        )


def test_rooms_below_the_front_door_export_nothing() -> None:
    """A room's `__init__` is its sign: a docstring and nothing else."""
    for path in PACKAGE.rglob("__init__.py"):
        if path.parent != PACKAGE:
            assert len(ast.parse(path.read_text(encoding="utf-8")).body) <= 1, path


CLASS_LINES_MAX, PUBLIC_METHODS_MAX, PARAMETERS_MAX = 300, 20, 6
FACES = {"HotMesh", "Virtual", "Client", "Handle", "Worker"}  # what users call, in few lines each


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many there are, the object itself left out."""
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in {"self", "cls"}])


def methods(node: ast.ClassDef) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions of a class."""
    return [f for f in node.body if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef)]


def too_large(path: Path) -> Iterator[str]:
    """Classes of a file that are several things, and functions that take too much."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    exempt = {id(f) for node in classes if node.name in FACES for f in methods(node)}
    for node in classes:
        lines = (node.end_lineno or 0) - node.lineno + 1
        public = [f for f in methods(node) if not f.name.startswith("_")]
        if node.name not in FACES and (lines > CLASS_LINES_MAX or len(public) > PUBLIC_METHODS_MAX):
            yield f"{path.stem}.{node.name}"
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if parameters(function) > PARAMETERS_MAX and id(function) not in exempt:
            yield f"{path.stem}.{function.name}()"


def test_no_class_is_several_things() -> None:
    """At most 300 lines and 20 public methods a class, and six parameters a function."""
    assert [name for path in SOURCES for name in too_large(path)] == []
