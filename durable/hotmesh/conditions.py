"""Conditions on entity documents: checked here, compared by Postgres; never a part of SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from durable.errors import ConfigurationError, StateError
from durable.protocol.documents import Path, steps_of
from durable.protocol.graphs import Data
from durable.protocol.json_values import compact_json, plain

OPERATORS: Final = ("=", "!=", ">", ">=", "<", "<=", "in", "like")
VALUES_MAX = 1_000  # of "in"


@dataclass(frozen=True, slots=True)
class Condition:
    """What is at a path of the document, compared with a value."""

    path: tuple[str, ...]
    operator: str
    value: Any

    @property
    def is_nested(self) -> bool:
        """Whether the path leads through objects only, as far as it shows."""
        return not any(step.lstrip("-").isdigit() for step in self.path)


def condition(path: Path, value: object, operator: str = "=") -> Condition:
    """A condition that is well formed.

    Raises `ConfigurationError` for an unknown operator, and a value or path that it cannot have.

    Example:
        >>> condition("customer.age", 18, ">=")
        Condition(path=('customer', 'age'), operator='>=', value=18)
    """
    operator = str(operator).strip().lower()
    if operator not in OPERATORS:
        raise ConfigurationError(
            f"{operator!r:.100} is no operator; there are {', '.join(OPERATORS)}"
        )
    try:
        steps = tuple(plain(str(step), "the field") for step in steps_of(path))
    except StateError as error:
        raise ConfigurationError(f"a condition's field: {error}") from error
    kept = plain(value, f"the value of the condition on {path!r:.100}")
    if operator == "in" and (not isinstance(kept, list) or len(kept) > VALUES_MAX):
        raise ConfigurationError(f"'in' takes a list of at most {VALUES_MAX:,} values")
    if operator == "like" and not isinstance(kept, str):
        raise ConfigurationError("'like' takes text, with % for any characters and _ for one")
    if operator in (">", ">=", "<", "<=") and (
        isinstance(kept, bool) or not isinstance(kept, str | int | float)
    ):
        raise ConfigurationError(f"{operator!r} compares numbers or texts, not {kept!r:.100}")
    return Condition(steps, operator, kept)


def conditions(given: Data | Iterable[object]) -> list[Condition]:
    """Conditions that must all hold: a dict of equal values, or a list of (path, operator, value).

    Raises `ConfigurationError` for what is neither.

    Example:
        >>> conditions({"paid": True}) + conditions([("total", ">", 9.5)])
        [Condition(path=('paid',), operator='=', value=True), \
Condition(path=('total',), operator='>', value=9.5)]
    """
    if isinstance(given, Mapping):
        named = cast("Mapping[str, object]", given)
        return [condition(path, value) for path, value in named.items()]
    found = []
    for one in given:
        if not isinstance(one, list | tuple) or len(one) != 3:  # noqa: PLR2004 - as it says
            raise ConfigurationError(
                f'a condition is a triple such as ("total", ">", 5), and is {one!r:.100}'
            )
        found.append(condition(one[0], one[2], one[1]))
    return found


def parts(wanted: Iterable[Condition]) -> tuple[str, ...]:
    """JSON objects of which a fitting document contains one; none when no condition helps.

    An index finds what contains an object: all that must be equal makes one, with each of the
    values of the first "in".

    Example:
        >>> parts(conditions([("a.b", "=", 1), ("c", "in", ["x", "y"])]))
        ('{"c":"x","a":{"b":1}}', '{"c":"y","a":{"b":1}}')
    """
    nested = [c for c in wanted if c.is_nested]
    equal = [(c.path, c.value) for c in nested if c.operator == "="]
    among = next((c for c in nested if c.operator == "in"), None)
    if among is None:
        return (compact_json(_object(equal)),) if equal else ()
    return tuple(compact_json(_object([(among.path, v), *equal])) for v in among.value)


def _object(fields: Iterable[tuple[tuple[str, ...], object]]) -> dict[str, object]:
    """One object that has all of these; of two that do not go together, the first."""
    built: dict[str, object] = {}
    for path, value in fields:
        place = built
        for step in path[:-1]:
            inner = place.setdefault(step, {})
            if not isinstance(inner, dict):
                break
            place = inner
        else:
            place.setdefault(path[-1], value)
    return built
