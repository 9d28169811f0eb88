"""The async generators of a run, which are closed when it ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Iterator
from types import AsyncGeneratorType

SWEPT_EVERY = 64  # finished ones are removed each time so many have begun


class OpenGenerators:
    """The generators that a run has begun.

    They are held until its end: otherwise the garbage collector would choose when the `finally`
    clauses run.
    """

    def __init__(self) -> None:
        self._open: dict[int, AsyncGeneratorType[object, object]] = {}

    def add(self, generator: AsyncGenerator[object, object]) -> None:
        """Hold a generator that begins: Python's hook."""
        assert isinstance(generator, AsyncGeneratorType)  # noqa: S101 - by the hook's contract
        self._open[id(generator)] = generator
        if len(self._open) % SWEPT_EVERY == 0:
            self._open = {k: g for k, g in self._open.items() if g.ag_frame is not None}

    def closings(self) -> Iterator[Coroutine[object, object, None]]:
        """Coroutines that close the generators that wait; all are forgotten."""
        generators, self._open = list(self._open.values()), {}
        for generator in generators:
            if generator.ag_frame is not None and not generator.ag_running:
                yield _aclose(generator)

    def clear(self) -> None:
        """Forget them all."""
        self._open.clear()


async def _aclose(generator: AsyncGenerator[object, object]) -> None:
    await generator.aclose()


def ignore_dropped(_: AsyncGenerator[object, object]) -> None:
    """Python's hook for a generator that is collected, which happens after the run only."""
