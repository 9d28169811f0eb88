r"""Loads `.sql` files: one named block per operation, prefixed by a comment that says why.

    -- name: start_runs
    -- Why it is as it is.
    insert into durable.jobs ...

Parameters have names: see `parameters`. The files name the schema `durable`; `Statements` puts the
namespace in its place when it loads them, after `schema_name` has proved it an identifier. So a
block that takes values only can be run by hand: `psql` replaces `:member` after `\set member 7`.

    -- include: ranks(name = ranks; kind = w.msg_type = 'turn')

stands for the text of `ranks.sql` beside the file, with `:name` and `:kind` replaced by these
texts; `-- include: durable.store/cancellation(…)` names the package of a file that stands in the
`sql` of another room. (A function would be called for each row, and two revisions could not have
their own.)
`:for_runs` is no parameter, but the list of the kinds of messages that are for runs of functions;
indexes are over the others, and Postgres takes one only where a statement names the same list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

from durable.errors import ConfigurationError, InternalError
from durable.postgres.parameters import Parameters, RowKind, replace
from durable.protocol.messages import FOR_RUNS

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)
_INCLUDE = re.compile(r"^ *-- include: (?:([\w.]+)/)?(\w+)\((.*)\)(,?) *$", re.MULTILINE)
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
_CONSTANTS = MappingProxyType({"for_runs": "(" + ", ".join(f"'{kind}'" for kind in FOR_RUNS) + ")"})
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


def _included(folder: Traversable, found: re.Match[str]) -> str:
    """The text that an include stands for."""
    package, name, texts, comma = found.groups()
    if package is not None:
        folder = resources.files(package).joinpath("sql")
    text = folder.joinpath(f"{name}.sql").read_text(encoding="utf-8").strip()
    text = _INCLUDE.sub(partial(_included, folder), text)
    given = dict(part.strip().split(" = ", 1) for part in texts.split(";") if texts)
    taken = set()

    def put(name: str, field: str | None) -> str:
        if name in given and field is None:
            taken.add(name)
            return given[name]
        return f":{name}" if field is None else f":{name}.{field}"

    text = replace(text, put)
    if unknown := given.keys() - taken:
        raise InternalError(f"{name}.sql has no :{', :'.join(sorted(unknown))}")
    return text + comma


def _constant(name: str, field: str | None) -> str:
    """What a name stands for that is the same in every statement; the name itself, if it is not."""
    if name in _CONSTANTS and field is None:
        return _CONSTANTS[name]
    return f":{name}" if field is None else f":{name}.{field}"


class SqlFile:
    """A `.sql` file of a package, and the kinds of rows that its statements take.

    Args:
        package: where it is.
        path: from there.
        rows: by the name that the statements give them, the dataclass of these rows.
    """

    def __init__(self, package: str, path: str, /, **rows: type) -> None:
        self.package = package
        self.path = path
        self.rows: Mapping[str, type] = MappingProxyType(rows)

    def load(self, schema: str) -> Statements:
        """Its statements, for one schema."""
        return Statements(self, schema)


class Statements:
    """The named blocks of a `.sql` file, for one schema.

    `statements["claim"]` is the text of a block; `statements.bind("claim", member=…)` is the text
    and its arguments, as `fetch` and `execute` take them:

        rows = await database.fetch(*statements.bind("claim", member=member, limit=10))

    Raises:
        InternalError: a name in the text stands for nothing, or a column is used by no block.
    """

    def __init__(self, file: SqlFile, schema: str) -> None:
        self._file = file.path
        self._blocks = {
            name: (in_schema(text, schema), parameters)
            for name, (text, parameters) in _parsed(file).items()
        }

    def __getitem__(self, name: str) -> str:
        return self._block(name)[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._blocks)

    def names(self, name: str) -> frozenset[str]:
        """The parameters that a block takes."""
        return self._block(name)[1].names

    def bind(self, name: str, /, **values: object) -> tuple[Any, ...]:
        """The text of a block, and its arguments in the order of their numbers.

        Args:
            name: of the block.
            values: for each of its parameters a value, or the rows of a kind.

        Raises:
            InternalError: there is no such block, or it takes other parameters.
        """
        text, parameters = self._block(name)
        return text, *parameters.arguments(values)

    def _block(self, name: str) -> tuple[str, Parameters]:
        try:
            return self._blocks[name]
        except KeyError:
            raise InternalError(f"{self._file} has no block named {name!r}") from None


@lru_cache(maxsize=64)
def _parsed(file: SqlFile) -> Mapping[str, tuple[str, Parameters]]:
    """The blocks of a file, which is the same for every schema: read once in a process."""
    package = resources.files(file.package)
    folder = package.joinpath(file.path.rpartition("/")[0])
    text = package.joinpath(file.path).read_text(encoding="utf-8")
    text = replace(_INCLUDE.sub(partial(_included, folder), text), _constant)
    parts = _NAME.split(text)
    kinds = {name: RowKind.of(name, kind) for name, kind in file.rows.items()}
    blocks = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        parameters = Parameters(f"{file.path}: {name}", body.strip().rstrip(";"), kinds)
        blocks[name] = _CALLED.sub(_qualified, parameters.text), parameters
    for name, kind in kinds.items():
        used = set[str]().union(*(p.used.get(name, ()) for _, p in blocks.values()))
        if idle := kind.types.keys() - used:
            raise InternalError(
                f"{file.path} writes no {', '.join(sorted(idle))} of :{name}: name the column "
                f"in a statement, or take it out of {kind.kind.__name__}"
            )
    return MappingProxyType(blocks)
