"""Heartbeats: a long activity says that it is alive, and learns that it has been stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar


class Heart:
    """Of one attempt, made by the worker that runs it.

    Args:
        clock: seconds that only grow.

    Attributes:
        last: when it last beat, by `clock`.
        stopped: the attempt was cancelled, or has timed out.
    """

    __slots__ = ("_clock", "last", "stopped")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.last = clock()
        self.stopped = False

    def beat(self) -> None:
        """The attempt is alive; raises `asyncio.CancelledError` when it has been stopped."""
        self.last = self._clock()
        if self.stopped:
            raise asyncio.CancelledError("this attempt was cancelled, or has timed out")


HEART: ContextVar[Heart | None] = ContextVar("durable_heart", default=None)


def heartbeat() -> None:
    """Say, from within an activity, that it is alive: at least once per `heartbeat_timeout`.

    It writes nothing, so it may be called in every turn of a loop. An attempt that was cancelled,
    or has timed out, gets `asyncio.CancelledError` from it: the only way in which a plain (not
    async) activity learns of that. Outside of a worker, as in a unit test, it does nothing.

    Example:
        >>> def resize(paths: list[str]) -> None:
        ...     for path in paths:
        ...         heartbeat()
    """
    heart = HEART.get()
    if heart is not None:
        heart.beat()
