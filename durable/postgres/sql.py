"""Loads `.sql` files: one named block per operation, prefixed by a comment that says why.

    -- name: start_runs
    -- Why it is as it is.
    insert into durable.jobs ...

The files name the schema `durable`, so that they can be run by hand; `Statements` puts the
namespace in its place when it loads them, after `schema_name` has proved it an identifier.
"""

from __future__ import annotations

import re
from importlib import resources

from durable.errors import ConfigurationError, InternalError

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)
_SCHEMA = re.compile(r"\bdurable\.(?=[a-z_])")
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,39}")


def schema_name(namespace: str) -> str:
    """The namespace, proved to be a plain lower-case identifier of at most 40 characters.

    Raises `ConfigurationError` for anything else: it becomes part of SQL text.
    """
    if not _IDENTIFIER.fullmatch(namespace) or namespace.startswith("pg_"):
        raise ConfigurationError(
            f"namespace {namespace!r} cannot be a schema name: use lower-case letters, digits and "
            "underscores, at most 40, not beginning with a digit or 'pg_'"
        )
    return namespace


def in_schema(text: str, schema: str) -> str:
    """The SQL text with the schema `durable` replaced by `schema`.

    Within literals too: `nextval('durable.ids')` names the sequence by one.
    """
    return _SCHEMA.sub(f'"{schema_name(schema)}".', text)


class Statements:
    """The named blocks of one `.sql` file, for one schema; `statements["claim"]` is its text."""

    def __init__(self, package: str, file: str, schema: str) -> None:
        text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
        parts = _NAME.split(in_schema(text, schema))
        self._blocks = {
            name: body.strip().rstrip(";")
            for name, body in zip(parts[1::2], parts[2::2], strict=True)
        }
        self._file = file

    def __getitem__(self, name: str) -> str:
        try:
            return self._blocks[name]
        except KeyError:
            raise InternalError(f"{self._file} has no block named {name!r}") from None
