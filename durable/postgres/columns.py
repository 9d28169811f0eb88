"""Rows that one statement takes: a dataclass for each kind, a Postgres type for each field.

    @dataclass(frozen=True, slots=True)
    class FactRow:
        run_id: BigInt
        name: Text | None

A statement takes the rows of a kind as one array for each column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Annotated, Any, get_args, get_type_hints
from uuid import UUID


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

    Example:
        >>> @dataclass(frozen=True)
        ... class Mark:
        ...     run_id: BigInt
        ...     place: Integer | None
        ...     note: object = None
        >>> columns_of(Mark)
        {'run_id': 'bigint', 'place': 'integer'}
    """
    return {
        name: column.type
        for name, hint in _hints(kind)
        for part in (hint, *get_args(hint))
        for column in getattr(part, "__metadata__", ())
        if isinstance(column, Column)
    }


def _hints(kind: type) -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(kind, include_extras=True)
    for one in fields(kind):
        yield one.name, hints[one.name]
    for name, value in vars(kind).items():
        if isinstance(value, property) and value.fget is not None:
            yield name, get_type_hints(value.fget, include_extras=True).get("return")
