"""The event loop that a command runs on: asyncio's own, or uvloop's."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

from durable.errors import ConfigurationError


class EventLoop(StrEnum):
    """Which event loop."""

    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


def run(main: Coroutine[Any, Any, None], on: EventLoop) -> None:
    """Run a coroutine to its end, as `asyncio.run` does.

    Raises `ConfigurationError` when uvloop is asked for and is not installed.

    Example:
        >>> async def hello() -> None:
        ...     print("hello")
        >>> run(hello(), EventLoop.ASYNCIO)
        hello
    """
    try:
        factory = _factory(on)
    except ConfigurationError:
        main.close()
        raise
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


def _factory(on: EventLoop) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if on is EventLoop.ASYNCIO:
        return None
    try:
        made: Callable[[], asyncio.AbstractEventLoop]
        made = importlib.import_module("uvloop").new_event_loop
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "--loop uvloop needs a package that is not installed: "
            "pip install 'durable-postgres[uvloop]'"
        ) from error
    return made
