"""What holds the event loop of a mesh: it is named, and a step given up after a limit.

A step that computes without end keeps its transaction open, and its member beats on. So a thread
ends the transaction by the member's own connection, and frees what the member has, as of one that
died: what it was applying alone counts that. See `durable.engine.interpreter`. A callback is only
named: it may block for as long as it likes, and its attempt is its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from durable.hotmesh.engine_loop import GraphEngine
from durable.hotmesh.served_topics import ServedTopics
from durable.runtime.watchdog import Watchdog
from durable.store.membership import Membership
from durable.telemetry.logs import logger

STEP_MAX = 10.0  # seconds for which a step may compute: below what a transaction may stand idle
IN_MEMORY = 0  # the backend of a step that has not begun its transaction
GIVING_UP = 10.0  # seconds that it may take to free what the process holds


class LoopWatch:
    """Watches the loop of one mesh; implements `durable.runtime.watchdog.Watched`.

    Args:
        membership: that of the mesh.
        topics: the worker loops of its process.
        engine: what applies its messages; None where others do.
    """

    def __init__(
        self, membership: Membership, topics: ServedTopics, engine: GraphEngine | None
    ) -> None:
        self._membership = membership
        self._topics = topics
        self._engine = engine
        self._watchdog = Watchdog(self, STEP_MAX)

    def start(self) -> None:
        """Begin to watch the running loop."""
        self._watchdog.start()

    def stop(self) -> None:
        """Watch no more."""
        self._watchdog.stop()

    @property
    def advice(self) -> str:
        """What to do about it."""
        return "have a callback compute or block in a thread (asyncio.to_thread)"

    def busy(self) -> bool:
        """Whether a step is being taken, or a callback runs."""
        engine = self._engine
        if engine is not None and (engine.local.walking or engine.interpreter.applying is not None):
            return True
        return self._topics.busy()

    def key(self, loop: asyncio.AbstractEventLoop) -> tuple[object, ...]:
        """The step, or the task."""
        return (self._backend(loop), id(asyncio.current_task(loop)))

    def name(self, loop: asyncio.AbstractEventLoop) -> str:
        """What runs, for people."""
        if self._backend(loop) is not None:
            return "a step of a graph"  # of which message is known once it is applied alone
        task = asyncio.current_task(loop)
        for loop_of_topic in self._topics:
            taken = loop_of_topic.of_task(task)
            if taken is not None:
                return f"the callback of topic {taken.topic!r} (job {taken.jid})"
        return "something on the event loop"

    def remedy(
        self, loop: asyncio.AbstractEventLoop, limit: float, stack: str
    ) -> Callable[[], None] | None:
        """Give membership and the step's transaction up; None where it is no step."""
        backend = self._backend(loop)
        if backend is None:
            return None

        def act() -> None:
            logger.critical(
                "a step of a graph has held the event loop for %g s: this process is no member any"
                " more, until its loop goes on, and others do what it holds. It stands at\n%s",
                limit, stack,
            )  # fmt: skip
            self._membership.give_up(0, "{}", GIVING_UP, backend)

        return act

    def _backend(self, loop: asyncio.AbstractEventLoop) -> int | None:
        """The backend of the step that runs on the loop in this moment, None when there is none."""
        if self._engine is None:
            return None
        if self._engine.local.walking:
            return IN_MEMORY
        applying = self._engine.interpreter.applying
        if applying is None or applying[0] is not asyncio.current_task(loop):
            return None
        return applying[1].backend
