"""Callbacks that users subscribe with: to ends of jobs, and to messages of the quorum."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Protocol

from durable.protocol.graphs import Output
from durable.telemetry.logs import logger


class Subscriber(Protocol):
    """Gets a topic, and a job or a message as plain data; it may be async."""

    def __call__(self, topic: str, message: Output, /) -> Awaitable[None] | None:
        """Take note of it."""
        ...


async def call_subscriber(
    subscriber: Subscriber, topic: str, message: Output, subject: str
) -> None:
    """Call one, and wait for it. Its failure is its own: it is logged, naming the `subject`."""
    task = asyncio.ensure_future(_called(subscriber, topic, message))
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a subscriber of %s failed: %s", subject, error, exc_info=error)


async def _called(subscriber: Subscriber, topic: str, message: Output) -> None:
    result = subscriber(topic, message)
    if inspect.isawaitable(result):
        await result
