"""The event loop that a command runs on: asyncio's own, or uvloop's."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum

from durable.errors import ConfigurationError
from durable.runtime.interrupts import is_interrupt
from durable.telemetry.logs import logger


class EventLoop(StrEnum):
    """Which event loop."""

    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


def run(main: Coroutine[object, object, None], on: EventLoop) -> None:
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
    begun: list[asyncio.Task[object]] = []
    with asyncio.Runner(loop_factory=factory) as runner:
        try:
            runner.run(_noted(main, begun))
        except (SystemExit, KeyboardInterrupt) as error:
            _go_on(runner.get_loop(), begun[0], error)


async def _noted(main: Coroutine[object, object, None], begun: list[asyncio.Task[object]]) -> None:
    """Run the command, and note as which task."""
    begun.extend(task for task in [asyncio.current_task()] if task is not None)
    await main


def _go_on(
    loop: asyncio.AbstractEventLoop,
    main: asyncio.Task[object],
    error: SystemExit | KeyboardInterrupt,
) -> None:
    """Let the loop go on that a task left by `sys.exit()`, unless that was the command itself.

    A task that user code started may do so: that is its own failure, and whoever awaits it gets it.
    The same goes for `KeyboardInterrupt`, but for Ctrl-C.
    """
    while not main.done() and not is_interrupt(error):
        logger.error(
            "a task ended by %r; the process goes on: raise an exception of your own instead",
            error,
            exc_info=error,
        )
        try:
            loop.run_until_complete(main)
        except (SystemExit, KeyboardInterrupt) as another:
            error = another
        else:
            return
    raise error


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


async def first_of(*waited: Awaitable[object]) -> None:
    """Return when the first is done; the others are cancelled."""
    tasks = [asyncio.ensure_future(one) for one in waited]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
