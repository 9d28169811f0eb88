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
# What our statements call; a test knows whether this is all. They say where it is found: on a
# session that is not ours to set, a function that fits better could be in its search path.
_CALLED = re.compile(
    r"(?<![\w.\"$])(?:aclexplode|array_agg|array_append|array_cat|array_length|array_remove|avg|bit_xor"
    r"|bool_and|bool_or|cardinality|clock_timestamp|count|current_database|current_setting|date_bin"
    r"|encode|format|gen_random_uuid|generate_series|hashtextextended|host|inet_server_addr|json\w+"
    r"|left|length|lower|lpad|make_interval|max|md5|min|nextval|percentile_cont|pg_\w+|power|quote_ident"
    r"|repeat|replace|right|round|row_number|set_config|split_part|starts_with|statement_timestamp|string_agg"
    r"|strpos|substr|sum|to_char|to_hex|to_json|to_jsonb|to_regclass|to_regnamespace|to_timestamp|unnest"
    r"|upper)\("
)
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


def _qualified(call: re.Match[str]) -> str:
    """A call with its function's schema; `unnest` of several arrays is syntax, and has none."""
    if call[0] == "unnest(" and _has_several(call.string, call.end()):
        return call[0]
    return f"pg_catalog.{call[0]}"


def _has_several(text: str, begin: int) -> bool:
    depth = 1
    for character in text[begin:]:
        depth += (character in "([") - (character in ")]")
        if depth == 0:
            return False
        if depth == 1 and character == ",":
            return True
    return False


class Statements:
    """The named blocks of one `.sql` file, for one schema; `statements["claim"]` is its text."""

    def __init__(self, package: str, file: str, schema: str) -> None:
        text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
        parts = _NAME.split(in_schema(_CALLED.sub(_qualified, text), schema))
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
