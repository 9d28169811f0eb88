"""The rows of a pipe, compiled.

The values of one row are the arguments of the function that begins the next. A nested pipe
between two rows takes the values of the row before it (its own first function gets them); the
next row takes one value from each nested pipe instead. The pipe's result is the first value of
its last row.
"""

from __future__ import annotations

from dataclasses import dataclass

from durable.expressions.context import Context
from durable.expressions.expression import Call, Expression, collect
from durable.expressions.functions.shields import plain
from durable.expressions.paths import Reference
from durable.expressions.values import UNDEFINED


@dataclass(frozen=True, slots=True)
class Row:
    """One row: perhaps a function, and the cells beside it."""

    function: Call | None
    cells: tuple[Expression, ...]

    def run(self, values: tuple[object, ...], context: Context) -> tuple[object, ...]:
        """The function's result on the values from above, if there is a function, and the cells."""
        cells = tuple(cell.evaluate(context) for cell in self.cells)
        return cells if self.function is None else (self.function.apply(values, context), *cells)


@dataclass(frozen=True, slots=True)
class Pipe(Expression):
    """A pipe: rows, and nested pipes between them."""

    rows: tuple[Row | Pipe, ...]

    def evaluate(self, context: Context) -> object:
        """The first value of the last row."""
        return plain(self.run((), context))

    def run(self, values: tuple[object, ...], context: Context) -> object:
        """The result when a function in the first row is given these values."""
        collected: tuple[object, ...] = ()
        for row in self.rows:
            if isinstance(row, Pipe):
                collected = (*collected, row.run(values, context))
            else:
                values, collected = row.run(collected or values, context), ()
        last = collected or values
        return last[0] if last else UNDEFINED

    @property
    def references(self) -> tuple[Reference, ...]:
        """Those of all rows."""
        parts: list[Expression] = []
        for row in self.rows:
            parts.extend([row] if isinstance(row, Pipe) else row.cells)
        return collect(parts)
