"""The rows of a pipe, compiled.

The values of one row are the arguments of the function that begins the next. A nested pipe
between two rows takes the values of the row before it (its own first function gets them); the
next row takes one value from each nested pipe instead. A reduction stands where a nested pipe can.
The pipe's result is the first value of its last row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from durable.descriptor.expressions.context import Context
from durable.descriptor.expressions.expression import Call, Expression, Path, path_text
from durable.descriptor.expressions.functions.arguments import describe
from durable.descriptor.expressions.functions.object_ import enumerable
from durable.descriptor.expressions.functions.object_integrity import plain
from durable.descriptor.expressions.values import UNDEFINED, TooLarge, check_whole
from durable.errors import DescriptorError

MOST_WORK = 100_000_000  # items and characters that a reduction copies, in all its outputs


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
    """A pipe: rows, and nested pipes and reductions between them."""

    rows: tuple[Row | Pipe | Reduction, ...]

    def evaluate(self, context: Context) -> object:
        """The first value of the last row."""
        result = plain(self.run((), context))
        if isinstance(result, (list, dict)):
            try:
                check_whole(result)
            except TooLarge as error:
                raise DescriptorError(f"the result of a pipe is too large: {error}") from error
        return result

    def run(self, values: tuple[object, ...], context: Context) -> object:
        """The result when a function in the first row is given these values."""
        collected: tuple[object, ...] = ()
        for row in self.rows:
            if isinstance(row, (Pipe, Reduction)):
                collected = (*collected, row.run(values, context))
            else:
                values, collected = row.run(collected or values, context), ()
        last = collected or values
        return last[0] if last else UNDEFINED


@dataclass(frozen=True, slots=True)
class Reduction:
    """`@reduce`: a pipe that is run for each item of a collection.

    Attributes:
        body: its result is `{$output}` for the next item, and in the end the result of all.
        at: where it stands, for messages.
    """

    body: Pipe
    at: Path

    def run(self, values: tuple[object, ...], context: Context) -> object:
        """The last output; the values from above are the collection and the first output."""
        collection = values[0] if values else UNDEFINED
        output = values[1] if len(values) > 1 else UNDEFINED
        work = 0
        for index, (key, item) in enumerate(self._items(collection)):
            variables = {
                "$input": collection, "$output": output, "$item": item, "$key": key,
                "$index": index,
            }  # fmt: skip
            output = self.body.run(values, context.within(variables))
            work += len(output) if isinstance(output, (str, list, dict)) else 1
            if work > MOST_WORK:
                raise DescriptorError(
                    f"{path_text(self.at)}: what it gathers is too much to go through it for each"
                    " of so many items"
                )
        return output

    def _items(self, collection: object) -> Iterable[tuple[str, object]]:
        if isinstance(collection, (list, tuple)):
            return ((str(index), item) for index, item in enumerate(collection))
        if isinstance(collection, dict):
            return enumerable(collection).items()
        raise DescriptorError(
            f"{path_text(self.at)}: it goes through an array or an object, "
            f"not through {describe(collection)}"
        )
