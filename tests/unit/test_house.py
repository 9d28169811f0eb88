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
SQL = re.compile(r"^\s*(select|insert|update|delete|create|alter|drop|with)\s+\S", re.IGNORECASE)


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
    """No statement reads a clock that a test cannot move, but for the beats of members."""
    text = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
    own = ("0001_runs.sql", "0008_bound_functions.sql")  # the two that define durable.now()
    if path.name not in (*own, "members.sql", "migrate.sql"):
        assert not re.search(
            r"(?<!durable\.)\b(now\(\)|statement_timestamp|clock_timestamp|current_timestamp)", text
        )


def test_rooms_below_the_front_door_export_nothing() -> None:
    """A room's `__init__` is its sign: a docstring and nothing else."""
    for path in PACKAGE.rglob("__init__.py"):
        if path.parent != PACKAGE:
            assert len(ast.parse(path.read_text(encoding="utf-8")).body) <= 1, path
