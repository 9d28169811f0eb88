"""A table of programs for the loop, and how a program gets into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from durable.protocol.facts import Fact

Script = Sequence[tuple[float, Fact]]


@dataclass(frozen=True)
class Case:
    """A program, what it returns, and the commands it issues (None: not compared)."""

    program: Callable[[], Any]
    result: Any
    commands: tuple[str, ...] | None = None
    script: Script = ()


class Cases(dict[str, Case]):
    """Programs by name."""

    def case(
        self, result: Any, *commands: str, script: Script = ()
    ) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
        """Put the decorated program into the table."""

        def put(program: Callable[[], Any]) -> Callable[[], Any]:
            self[program.__name__] = Case(program, result, commands or None, script)
            return program

        return put
