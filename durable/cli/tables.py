"""Tables for people: within the width of a terminal, in full anywhere else.

On a terminal a cell that does not fit is folded, so that nothing is lost, and states have colours.
In a pipe or a file there is neither folding nor colour, and a row is one line. The text of cells is
made harmless before it comes here: see `durable.telemetry.terminal`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from durable.telemetry.terminal import shown, shown_lines

Part = str | Table
"""A text, which a terminal breaks as it likes (a command can be copied from it), or a table."""

_WITHOUT_END: Final = 1_000_000  # columns: what is no terminal has no width
_COLOURS: Final = {
    "running": "cyan", "suspended": "yellow", "completed": "green", "failed": "red",
    "cancelled": "magenta", "terminated": "magenta",
}  # fmt: skip


def columns(*titles: str, whole: Iterable[str] = ()) -> Table:
    """An empty table; of the columns in `whole` no cell is ever folded."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title in whole, min_width=len(title))
    return table


def timeline() -> Table:
    """An empty table of what happened: revision, time since the start, kind, name, end."""
    table = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(justify="right", min_width=6, no_wrap=True)
    table.add_column(min_width=14, no_wrap=True)
    table.add_column(min_width=9, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    return table


def state_cell(state: str) -> Text:
    """A run's state, in its colour."""
    return Text(state, style=_COLOURS.get(state, ""))


def laid_out(parts: Iterable[Part], stream: TextIO) -> str:
    """The parts as text for a stream.

    Args:
        parts: texts and tables, each of which begins a line.
        stream: where it is to be printed, which decides on width and colour.
    """
    is_terminal = stream.isatty()
    console = Console(
        file=stream,
        force_terminal=is_terminal,
        width=None if is_terminal else _WITHOUT_END,
        markup=False,
        emoji=False,
        highlight=False,
    )
    return "\n".join(
        shown_lines(part) if isinstance(part, str) else _rendered(console, part) for part in parts
    )


@contextmanager
def status(stream: TextIO) -> Iterator[Callable[[str], None]]:
    """Within: what to call with a text that replaces the one before, beside something that turns.

    Args:
        stream: a terminal. Its line is empty again at the end.
    """
    console = Console(file=stream, markup=False, emoji=False, highlight=False)
    with console.status("") as turning:
        yield lambda text: turning.update(Text(shown(text)))


def _rendered(console: Console, table: Table) -> str:
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip(" ") for line in captured.get().rstrip("\n").split("\n"))
