"""Named parameters of a statement: found in its text, numbered, and put in order for a call.

- `:member`: a value.
- `:facts.run_id`: one column of rows, as an array: `$7::bigint[]`.
- `:facts.*`: all their columns, as arrays; `:facts`: the names of these columns, so that
  `unnest(:facts.*) as f(:facts)` is the rows as a table.

Literals, comments, casts and slices of arrays are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any

from durable.errors import InternalError
from durable.postgres.columns import columns_of

# Each part begins with a character of its own, by which the engine finds it: ten times as fast.
_TOKEN = re.compile(
    r"""
    [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
    | --[^\n]* | /\*.*?\*/ | \$(?P<tag>[a-z_]*)\$.*?\$(?P=tag)\$
    | ::
    | :(?<![\w\]):]:)(?P<name>[a-z_]\w*)(?:\.(?P<field>\w+|\*))?
    """,
    re.VERBOSE | re.DOTALL,
)
_QUALIFIED = re.compile(r"\.(\w+)")
_NUMBER = re.compile(r"\$\d+")


def replace(text: str, name: Callable[[str, str | None], str]) -> str:
    """The text with each parameter replaced by what `name(name, field)` gives for it.

    Example:
        >>> replace("select :a::text, ':b', :c.d", lambda name, field: f"<{name} {field}>")
        "select <a None>::text, ':b', <c d>"
    """
    return _TOKEN.sub(
        lambda found: found[0] if found["name"] is None else name(found["name"], found["field"]),
        text,
    )


def _parameters(text: str) -> tuple[str, list[tuple[str, str | None]]]:
    """The text without literals, comments and parameters, and these parameters."""
    found: list[tuple[str, str | None]] = []

    def note(match: re.Match[str]) -> str:
        if match["name"] is not None:
            found.append((match["name"], match["field"]))
        return " "

    return _TOKEN.sub(note, text), found


@dataclass(frozen=True, slots=True)
class RowKind:
    """The rows of a name: their class, and the Postgres types of their columns."""

    name: str
    kind: type
    types: Mapping[str, str]

    @classmethod
    def of(cls, name: str, kind: type) -> RowKind:
        """The kind that a dataclass describes."""
        return cls(name, kind, columns_of(kind))

    def columns(self, field: str, where: str) -> list[str]:
        """What a field, or `*`, stands for. Raises `InternalError` where there is none."""
        if field == "*":
            return list(self.types)
        if field not in self.types:
            raise InternalError(
                f"{where} takes :{self.name}.{field}, but {self.kind.__name__} has no such column: "
                f"it has {', '.join(self.types)}"
            )
        return [field]


class Parameters:
    """The parameters of one statement: `text` with numbers for names, and arguments in that order.

    Args:
        where: the file and block, for errors.
        text: of the statement.
        kinds: the rows that it may take.

    Raises:
        InternalError: a name stands for rows and for a value, or a field is not there.
    """

    def __init__(self, where: str, text: str, kinds: Mapping[str, RowKind]) -> None:
        self._where = where
        self._kinds = kinds
        self.used: dict[str, set[str]] = {}
        code, found = _parameters(text)
        if number := _NUMBER.search(code):
            raise InternalError(f"{where} takes {number[0]}: parameters have names, as in :member")
        values = list(dict.fromkeys(name for name, _ in found if name not in kinds))
        columns = self._columns(found, set(_QUALIFIED.findall(code)))
        order: list[tuple[str, str | None]] = [(name, None) for name in values]
        self._values = _picker(values)
        self._rows = []
        for name, some in columns.items():
            chosen = [column for column in kinds[name].types if column in some]
            order += [(name, column) for column in chosen]
            self._rows.append((name, _columns(chosen), ((),) * len(chosen)))
        self._numbers = {parameter: number for number, parameter in enumerate(order, start=1)}
        self.names = frozenset((*values, *columns))
        self._count = len(self.names)
        self.text = replace(text, self._number)

    def _columns(
        self, found: Iterable[tuple[str, str | None]], qualified: set[str]
    ) -> dict[str, set[str]]:
        """The columns that the statement takes, by rows; `used`: those that it uses."""
        columns: dict[str, set[str]] = {}
        for name, field in found:
            kind = self._kinds.get(name)
            if kind is None and field is not None:
                raise InternalError(
                    f"{self._where} takes :{name}.{field}, but is given no rows {name!r}"
                )
            if kind is not None:
                some = set() if field is None else set(kind.columns(field, self._where))
                columns.setdefault(name, set()).update(some)
                used = some & qualified if field == "*" else some
                self.used.setdefault(name, set()).update(used)
        if unread := [f":{name}" for name, some in columns.items() if not some]:
            raise InternalError(
                f"{self._where} reads no column of {', '.join(unread)}: these are rows"
            )
        return columns

    def _number(self, name: str, field: str | None) -> str:
        if name not in self._kinds:
            return f"${self._numbers[name, None]}"
        types = self._kinds[name].types
        if field is None:
            return ", ".join(types)
        return ", ".join(
            f"${self._numbers[name, column]}::{types[column]}[]"
            for column in self._kinds[name].columns(field, self._where)
        )

    def arguments(self, values: Mapping[str, object]) -> Sequence[object]:
        """The arguments by number. Raises `InternalError` for a missing or an unknown name."""
        if len(values) != self._count:
            raise self._mismatch(values)
        try:
            found = self._values(values)
            if not self._rows:
                return found
            together = [*found]
            for name, columns, empty in self._rows:
                rows = values[name]
                together.extend(columns(rows) if rows else empty)
        except KeyError:
            if values.keys() == self.names:
                raise  # of a row's property
            raise self._mismatch(values) from None
        return together

    def _mismatch(self, values: Mapping[str, object]) -> InternalError:
        return InternalError(
            f"{self._where} takes {_listed(self.names)}: "
            f"missing {_listed(self.names - values.keys())}, "
            f"unknown {_listed(values.keys() - self.names)}"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f":{name}" for name in sorted(names)) or "nothing"


def _picker(names: list[str]) -> Callable[[Mapping[str, object]], tuple[object, ...]]:
    """What takes these values, in this order."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)


def _columns(names: list[str]) -> Callable[[Any], Any]:
    """What makes rows columns, in this order."""
    get = attrgetter(*names)
    if len(names) == 1:
        return lambda rows: (list(map(get, rows)),)
    return lambda rows: zip(*map(get, rows), strict=True)
