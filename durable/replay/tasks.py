"""Tasks and futures that a set puts in the same order in every process.

`asyncio.wait`, `as_completed` and `TaskGroup` keep tasks in sets and walk over them. By default an
object's hash is its address, so that walk, and with it the order of commands, would differ from one
process to the next. Here the hash is the number of creation within the run. The run's seed stands
in the high bits: the interpreter keeps all tasks of a process in one registry, and a thousand first
tasks of a thousand runs must not all collide there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from durable.replay.call_sites import NOWHERE, Site
from durable.replay.outside_access import OutsideAccess

_NUMBER_BITS = 24
_FUTURE = 1 << _NUMBER_BITS
_SEED_SHIFT = _NUMBER_BITS + 1
_SEED_MASK = (1 << 36) - 1


class Gone(BaseException):
    """Raised where a run that has ended, or is being evicted, tries to issue a command.

    Private: it leaves user code by way of its `finally` blocks and is never reported.
    """


def keys_of(seed: int) -> tuple[int, int]:
    """The first hash of a run's tasks and of its futures, from the run's seed."""
    high = (seed & _SEED_MASK) << _SEED_SHIFT
    return high, high | _FUTURE


class RunFuture(asyncio.Future[Any]):
    """A future whose hash is fixed by the order of creation."""

    key: int

    def __hash__(self) -> int:
        return self.key

    def set_result(self, result: object) -> None:
        """Settle it; from outside of the run's turn that ends the run instead."""
        loop: Any = self.get_loop()
        if loop.is_own_turn():
            super().set_result(result)
        else:
            loop.reached(OutsideAccess("a result for a future", self))

    def set_exception(self, exception: type | BaseException, /) -> None:
        """Likewise."""
        loop: Any = self.get_loop()
        if loop.is_own_turn():
            super().set_exception(exception)
        else:
            loop.reached(OutsideAccess("an exception for a future", self))


class RunTask(asyncio.Task[Any]):
    """A task whose hash is fixed by the order of creation; `site` is where it was created."""

    def __init__(
        self,
        coroutine: Coroutine[object, object, object],
        key: int,
        site: Site = NOWHERE,
        **options: Any,
    ) -> None:
        # The registry of all tasks, filled by the base class, asks for the hash already.
        self.key = key
        self.site = site
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self.key
