"""Rows that one statement takes: a dataclass for each kind, a Postgres type for each field.

    @dataclass(frozen=True, slots=True)
    class FactRow:
        run_id: BigInt
        name: Text | None

A statement takes the rows of a kind as one array for each column.
"""

from __future__ import annotations

import re
import sys
from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated, get_args
from uuid import UUID

from durable.errors import InternalError

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Column:
    """Marks a field, or a property, as a column of this Postgres type."""

    type: str


BigInt = Annotated[int, Column("bigint")]
Integer = Annotated[int, Column("integer")]
SmallInt = Annotated[int, Column("smallint")]
Float = Annotated[float, Column("float8")]
Boolean = Annotated[bool, Column("boolean")]
Text = Annotated[str, Column("text")]
Bytes = Annotated[bytes, Column("bytea")]
Uuid = Annotated[UUID, Column("uuid")]
Timestamp = Annotated[datetime, Column("timestamptz")]


def columns_of(kind: type) -> Mapping[str, str]:
    """The columns of a kind of row, each with its Postgres type.

    Args:
        kind: a dataclass. A field or property whose annotation names no column is none.

    Raises:
        InternalError: an annotation spells its column out.

    Example:
        >>> @dataclass(frozen=True)
        ... class Mark:
        ...     run_id: BigInt
        ...     place: Integer | None
        ...     note: object = None
        >>> columns_of(Mark)
        {'run_id': 'bigint', 'place': 'integer'}
    """
    names = ChainMap(*(vars(sys.modules[one.__module__]) for one in kind.__mro__))
    return {name: found[0] for name, hint in _hints(kind) if (found := list(_types(hint, names)))}


def _hints(kind: type) -> Iterator[tuple[str, object]]:
    for one in fields(kind):
        yield one.name, one.type
    for name, value in vars(kind).items():
        if isinstance(value, property):
            yield name, value.fget.__annotations__.get("return")


def _types(hint: object, names: Mapping[str, object]) -> Iterator[str]:
    """The types that an annotation names. Text is not evaluated, which takes ten times as long."""
    if isinstance(hint, str) and "Annotated[" in hint:
        raise InternalError(f"give {hint} a name, such as Uuid: a row's annotations are not run")
    parts = (
        map(names.get, _WORD.findall(hint)) if isinstance(hint, str) else (hint, *get_args(hint))
    )
    for part in parts:
        for mark in getattr(part, "__metadata__", ()):
            if isinstance(mark, Column):
                yield mark.type
