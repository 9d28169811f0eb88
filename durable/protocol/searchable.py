"""Searchable attributes of a run: named texts, numbers and booleans by which runs are found.

They are few and small; what has structure belongs into the entity document.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from durable.errors import PayloadError, StateError

Value = str | int | float | bool

NAME_MAX = 100  # characters
TEXT_MAX = 2_000  # characters: an index has to hold it
DIGITS_MAX = 1_000  # of a whole number
COUNT_MAX = 1_000  # attributes of one run


def attribute(name: object, value: object) -> Value:
    """The value, proved to be one that an attribute of this name may have.

    Raises `PayloadError` for a name or a value that is none.

    Example:
        >>> attribute("customer", "ann")
        'ann'
    """
    if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX or not storable(name):
        raise PayloadError(
            f"an attribute's name is text of 1 to {NAME_MAX} characters, and is {name!r:.120}"
        )
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(value) > TEXT_MAX:
            raise PayloadError(
                f"attribute {name!r} has {len(value):,} characters, and {TEXT_MAX:,} is the most:"
                " put it into the entity document, and search by something shorter"
            )
        if not storable(value):
            raise PayloadError(f"attribute {name!r} has a character that Postgres cannot keep")
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int) and value.bit_length() < DIGITS_MAX * math.log2(10):
        return value
    raise PayloadError(
        f"attribute {name!r} must be text, a boolean or a finite number, and is {value!r:.100}:"
        " what has structure belongs into the entity document"
    )


def storable(text: str) -> bool:
    """Whether Postgres can keep the text: no NUL, no half of a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


class Attributes:
    """The searchable attributes of one run: named texts, numbers and booleans.

    In a workflow, `durable.attributes()` gives them. What is done to them is done at once, and on
    disk together with the turn that did it.

    Example:
        >>> found = Attributes({"tries": 1})
        >>> found.incr("tries"), found.mult("price", 2.5), found.get("lacks")
        (2, 2.5, None)
    """

    __slots__ = ("_guard", "_values", "changed")

    def __init__(
        self, values: Mapping[str, object] | None = None, guard: Callable[[], None] | None = None
    ) -> None:
        self._values: dict[str, Value] = {}
        self._guard: Callable[[], None] | None = None
        self.changed = False
        self.set(values or {})
        self._guard = guard
        self.changed = False

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __repr__(self) -> str:
        return f"Attributes({self._values!r})"

    def __len__(self) -> int:
        return len(self._values)

    def as_dict(self) -> dict[str, Value]:
        """All of them."""
        return dict(self._values)

    def get(self, name: str, default: object = None) -> Any:
        """The value, or the default."""
        return self._values.get(name, default)

    def mget(self, *names: str) -> list[Any]:
        """The values of these, None for those that are not there."""
        return [self._values.get(name) for name in names]

    def set(self, values: Mapping[str, object] | None = None, /, **more: Value | None) -> int:
        """Set all of these, or none when one is refused; None removes. How many are new.

        Raises `PayloadError` for what is no text, number or boolean, `StateError` when there would
        be too many.
        """
        self._check()
        checked = {
            n: None if v is None else attribute(n, v) for n, v in {**(values or {}), **more}.items()
        }
        after = {**self._values, **checked}
        kept = {name: value for name, value in after.items() if value is not None}
        if len(kept) > COUNT_MAX:
            raise StateError(
                f"a run has at most {COUNT_MAX} attributes, and this would make it {len(kept)}:"
                " put what is not searched for into the entity document"
            )
        fresh = len(kept.keys() - self._values.keys())
        self.changed = self.changed or bool(checked)
        self._values = kept
        return fresh

    def delete(self, *names: str) -> int:
        """Remove these; how many there were."""
        self._check()
        found = [name for name in dict.fromkeys(names) if name in self._values]
        for name in found:
            del self._values[name]
        self.changed = self.changed or bool(found)
        return len(found)

    def incr(self, name: str, by: float = 1) -> int | float:
        """Add to a number, 0 where there is none; the sum."""
        return self._put(name, added(self._number(name, 0), by, f"attribute {name!r}"))

    def mult(self, name: str, by: float) -> int | float:
        """Multiply a number, 1 where there is none; the product."""
        return self._put(name, multiplied(self._number(name, 1), by, f"attribute {name!r}"))

    def _check(self) -> None:
        if self._guard is not None:
            self._guard()

    def _number(self, name: str, default: int) -> int | float:
        return number(self._values.get(name, default), f"attribute {name!r}")

    def _put(self, name: str, value: float) -> int | float:
        self.set({name: value})
        return value


def number(value: object, what: str) -> int | float:
    """The value, proved to be a number; raises `StateError`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise StateError(f"{what} is not a number: {value!r:.100}")
    return value


def added(value: float, by: object, what: str) -> int | float:
    """The sum, as one calculates on paper: 0.1 and 0.2 are 0.3.

    Raises `StateError` for a value that is not a number, or has no finite sum.
    """
    other = number(by, f"what is added to {what}")
    if isinstance(value, int) and isinstance(other, int):
        return value + other
    return _finite(_decimal(value, what) + _decimal(other, what), what)


def multiplied(value: float, by: object, what: str) -> int | float:
    """The product, as `added`."""
    other = number(by, f"the factor of {what}")
    if isinstance(value, int) and isinstance(other, int):
        return value * other
    return _finite(_decimal(value, what) * _decimal(other, what), what)


def _decimal(value: float, what: str) -> Decimal:
    if isinstance(value, float) and not math.isfinite(value):
        raise StateError(f"{what} cannot be calculated with {value!r}: JSON holds finite numbers")
    return Decimal(repr(value))


def _finite(value: Decimal, what: str) -> float:
    result = float(value)
    if not math.isfinite(result):
        raise StateError(f"{what} would become too large for a number")
    return result
