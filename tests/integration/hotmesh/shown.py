"""Which tests there are, for tables that say what is shown by which."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

TESTS = Path(__file__).parents[2]


def missing(table: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The tests that a table names ("file::test", the file below `tests`) and that do not exist."""
    named = sorted({test for tests in table.values() for test in tests})
    return [test for test in named if not _exists(*test.split("::"))]


def _exists(file: str, name: str) -> bool:
    path = TESTS / file
    if not path.is_file():
        return False
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        node.name == name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
