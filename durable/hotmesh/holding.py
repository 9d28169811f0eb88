"""A step of an engine that holds its event loop: after a limit the process is no member any more.

Its transaction is ended, too, so that others take up the message at once, and know that it was not
finished: they apply it alone, and count that. See `durable.engine.interpreter`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from durable.engine.interpreter import Interpreter
from durable.engine.steps.graph_road import GraphRoad
from durable.runtime.watchdog import Watchdog
from durable.streams.membership import Membership
from durable.telemetry.logs import logger

STEP_MAX = 10.0  # seconds for which a step may compute: below what a transaction may stand idle
IN_MEMORY = 0  # the backend of a step that has not begun its transaction
GIVING_UP = 10.0  # seconds that an engine whose loop is held takes to free what its process holds


class Holding:
    """Implements `durable.runtime.watchdog.Watched` for the engine of one process."""

    def __init__(self, interpreter: Interpreter, road: GraphRoad, membership: Membership) -> None:
        self._interpreter = interpreter
        self._road = road
        self._membership = membership
        self._watchdog = Watchdog(self, STEP_MAX)

    def start(self) -> None:
        """Begin to watch the running loop."""
        self._watchdog.start()

    def stop(self) -> None:
        """Watch no more."""
        self._watchdog.stop()

    def busy(self) -> bool:
        """Whether a step is being applied, or taken in memory."""
        return self._interpreter.applying is not None or self._road.walking

    def key(self, loop: asyncio.AbstractEventLoop) -> tuple[object, ...]:
        """The step, or another task."""
        return (self._road.walking, id(asyncio.current_task(loop)))

    def name(self, loop: asyncio.AbstractEventLoop) -> str:
        """What runs, for people."""
        ours = self._held(loop) is not None
        return "a step of a graph" if ours else "something on the event loop"

    def parting(
        self, loop: asyncio.AbstractEventLoop, limit: float, stack: str
    ) -> Callable[[], None] | None:
        """Leave membership and end the step's transaction; None where it is no step."""
        backend = self._held(loop)
        if backend is None:
            return None

        async def end(connection: Any) -> None:
            await self._membership.end_transaction(connection, backend)

        def part() -> None:
            logger.critical(
                "a step of a graph has held the event loop for %g s: this process is no member any"
                " more, until its loop goes on; what it holds is done by others, and its messages"
                " are counted. It stands at\n%s", limit, stack,
            )  # fmt: skip
            self._interpreter.parted = backend != IN_MEMORY
            self._membership.give_up(0, "{}", GIVING_UP, end)

        return part

    def _held(self, loop: asyncio.AbstractEventLoop) -> int | None:
        """The backend of the step that runs on the loop in this moment, None when there is none."""
        if self._road.walking:
            return IN_MEMORY
        applying = self._interpreter.applying
        if applying is None or applying[0] is not asyncio.current_task(loop):
            return None
        return applying[1].backend
