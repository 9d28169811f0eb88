"""The SQL files of the package, as its modules declare them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import durable
from durable.postgres.sql import SqlFile, Statements

ROOT = Path(str(durable.__file__)).parent


def modules() -> Iterator[ModuleType]:
    """Every module that declares a file, or binds statements."""
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "SqlFile(" in text or ".bind(" in text:
            yield import_module(".".join(path.relative_to(ROOT.parent).with_suffix("").parts))


def files_of(module: ModuleType) -> list[SqlFile]:
    """The files that a module declares or takes from another."""
    return [value for value in vars(module).values() if isinstance(value, SqlFile)]


@cache
def sql_files() -> dict[tuple[str, str], SqlFile]:
    """All files, by package and path."""
    return {(file.package, file.path): file for one in modules() for file in files_of(one)}


def load(package: str, path: str, schema: str) -> Statements:
    """The statements of a file, with the rows that it is declared with."""
    return sql_files()[package, path].load(schema)
