"""Compiled values: what `compile_value` makes, and how each kind is evaluated."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from durable.descriptor.expressions.context import Context
from durable.descriptor.expressions.functions.arguments import Arguments, Function, Refusal
from durable.descriptor.expressions.paths import Reference
from durable.descriptor.expressions.values import UNDEFINED, TooLarge, check_items, check_length
from durable.errors import DescriptorError

Path = tuple[str | int, ...]
"""Where in the document something stands: keys and indices, outermost first."""


def path_text(path: Path) -> str:
    """A path as people read it.

    Example:
        >>> path_text(("graphs", 0, "activities", "a1"))
        'graphs[0].activities.a1'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class Expression(ABC):
    """A value of the mapping language, compiled; frozen, and safe to share."""

    __slots__ = ()

    @abstractmethod
    def evaluate(self, context: Context) -> object:
        """The value in these surroundings, `UNDEFINED` where there is none.

        Inside objects what is undefined is left out, inside arrays it is null, as in JSON. What
        comes back may be part of the context's data: read it, do not change it.

        Raises `DescriptorError` when a function cannot work with its arguments.
        """

    @property
    def is_constant(self) -> bool:
        """Whether it is a literal, the same in all surroundings."""
        return False


@dataclass(frozen=True, slots=True)
class Literal(Expression):
    """A value that stands for itself."""

    value: object

    def evaluate(self, context: Context) -> object:  # noqa: ARG002 - the same everywhere
        """The value; a copy where it could be changed."""
        is_container = isinstance(self.value, (list, dict))
        return copy.deepcopy(self.value) if is_container else self.value

    @property
    def is_constant(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, slots=True)
class Lookup(Expression):
    """A reference."""

    reference: Reference

    def evaluate(self, context: Context) -> object:
        """What the context resolves it to."""
        return context.lookup(self.reference)


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """A function; as a value of its own it is called without arguments."""

    name: str
    function: Function
    at: Path

    def evaluate(self, context: Context) -> object:
        """Its result without arguments."""
        return self.apply((), context)

    def apply(self, values: tuple[object, ...], context: Context) -> object:
        """Its result with these arguments."""
        try:
            result = self.function(Arguments(values, context))
            if isinstance(result, str):
                check_length(len(result))
            elif isinstance(result, (list, dict)):
                check_items(len(result))
        except (Refusal, TooLarge) as refusal:
            raise self._cannot(str(refusal)) from refusal
        except RecursionError as error:
            raise self._cannot("a value is nested too deeply") from error
        except (ValueError, OverflowError, MemoryError) as error:
            # Of numbers that Python does not convert, for one: data never breaks an engine.
            raise self._cannot(f"{type(error).__name__}: {error}") from error
        return result

    def _cannot(self, why: str) -> DescriptorError:
        where = f"{path_text(self.at)}: " if self.at else ""
        return DescriptorError(f"{where}{{@{self.name}}} cannot do this: {why}")


@dataclass(frozen=True, slots=True)
class Template(Expression):
    """An object with expressions in it."""

    items: Mapping[str, Expression]

    def evaluate(self, context: Context) -> dict[str, object]:
        """The object, without the keys whose value is undefined."""
        result: dict[str, object] = {}
        for key, expression in self.items.items():
            if (value := expression.evaluate(context)) is not UNDEFINED:
                result[key] = value
        return result


@dataclass(frozen=True, slots=True)
class Listing(Expression):
    """An array with expressions in it."""

    items: tuple[Expression, ...]

    def evaluate(self, context: Context) -> object:
        """The array, with null for what is undefined."""
        values = (item.evaluate(context) for item in self.items)
        return [None if value is UNDEFINED else value for value in values]
