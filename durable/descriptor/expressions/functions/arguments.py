"""What a pipe function is given, and how it refuses what it cannot work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from durable.descriptor.expressions.context import Context
from durable.descriptor.expressions.values import (
    UNDEFINED,
    is_number,
    to_integer,
    to_number,
    to_text,
)


class Refusal(Exception):
    """A function cannot work with its arguments; where JavaScript would throw."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The values of the row above, with JavaScript's rule that a missing argument is undefined.

    The values belong to others: a function copies what it would change.
    """

    values: tuple[object, ...]
    context: Context

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> object:
        return self.values[index] if index < len(self.values) else UNDEFINED

    def given(self, index: int) -> bool:
        """Whether the argument is there and not undefined."""
        return self[index] is not UNDEFINED

    def number(self, index: int) -> float:
        """The argument as JavaScript's `Number()` reads it."""
        return to_number(self[index])

    def integer(self, index: int, default: float = 0.0) -> float:
        """The argument as an integer (or infinity), the default when it is undefined."""
        return to_integer(self[index]) if self.given(index) else default

    def text(self, index: int) -> str:
        """The argument as JavaScript's `String()` writes it."""
        return to_text(self[index])

    def own_text(self) -> str:
        """The text on which the function works: the first argument, not converted."""
        if isinstance(value := self[0], str):
            return value
        raise Refusal(f"it works on text, not on {describe(value)}")

    def own_array(self) -> list[object]:
        """The array on which the function works: a copy of the first argument."""
        if isinstance(value := self[0], (list, tuple)):
            return list(value)
        raise Refusal(f"it works on an array, not on {describe(value)}")

    def own_number(self) -> float:
        """The number on which the function works: the first argument, not converted."""
        if is_number(value := self[0]):
            return to_number(value)
        raise Refusal(f"it works on a number, not on {describe(value)}")


Function = Callable[[Arguments], object]


def describe(value: object) -> str:
    """What a value is, for messages; never its content, which may be secret."""
    if value is UNDEFINED:
        return "undefined (is the path right?)"
    if value is None:
        return "null"
    names = {bool: "a boolean", str: "text", list: "an array", tuple: "an array", dict: "an object"}
    return names.get(type(value), "an object" if isinstance(value, dict) else "a number")
