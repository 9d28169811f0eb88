"""Exceptions that no code of a run awaited, reported as asyncio does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from durable.replay.tasks import Gone
from durable.runtime.interrupts import is_interrupt
from durable.telemetry.logs import logger

Handler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]


class ExceptionReports:
    """Reports by the handler that user code has set, else by the log.

    Args:
        label: the run's name, for people.
    """

    def __init__(self, label: str) -> None:
        self.handler: Handler | None = None
        self._label = label

    def log(self, context: dict[str, Any]) -> None:
        """Log an exception with what asyncio says of it."""
        exc: BaseException | None = context.get("exception")
        details = "".join(
            f"\n{key}: {value!r}" for key, value in sorted(context.items())
            if key not in {"message", "exception"}
        )  # fmt: skip
        info = None if exc is None else (type(exc), exc, exc.__traceback__)
        message = context.get("message") or "unhandled exception"
        logger.error("%s: %s%s", self._label, message, details, exc_info=info)

    def report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Call the handler of `loop`, or its default."""
        if _is_gone(context.get("exception")):
            return
        if self.handler is None:
            loop.default_exception_handler(context)
            return
        try:
            self.handler(loop, context)
        except BaseException as exc:  # a handler's own fault must not end the run
            if is_interrupt(exc):
                raise
            loop.default_exception_handler(
                {"message": "the exception handler failed", "exception": exc, "context": context}
            )


def _is_gone(exc: BaseException | None) -> bool:
    if isinstance(exc, BaseExceptionGroup):
        return all(_is_gone(inner) for inner in exc.exceptions)
    return isinstance(exc, Gone)
