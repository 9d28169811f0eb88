"""The loop that applies what is due for an app: woken by others, by timers, once a second."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from durable.engine.interpreter import Interpreter
from durable.engine.steps.local_path import LocalPath
from durable.engine.timers import Timers
from durable.hotmesh.paced_loop import PacedLoop
from durable.hotmesh.profiles import described_policy
from durable.postgres.errors import Conflict
from durable.protocol.codes import FAILED, OK
from durable.protocol.graphs import Output
from durable.protocol.retry import RetryPolicy
from durable.runtime.supervision import Broken, Tasks
from durable.store.pacing import Pace

SOON = 0.005  # seconds until messages are looked at again that another engine held


@dataclass(frozen=True, slots=True)
class GraphEngine:
    """What applies the messages of an app in one process.

    Attributes:
        interpreter: applies what is claimed.
        timers: says when the next timer is due.
        local: steps jobs in memory, where this process does their work too.
        pace: how fast this engine may claim.
        retry: the policy of work that has none.
    """

    interpreter: Interpreter
    timers: Timers
    local: LocalPath
    pace: Pace
    retry: RetryPolicy


class EngineLoop:
    """The loop of one engine.

    Args:
        app_id: whose messages it applies.
        engine: what applies them.
        wake: set when there is something to apply.
        on_broken: called when the loop cannot go on.
    """

    topic: str | None = None

    def __init__(
        self, app_id: str, engine: GraphEngine, wake: asyncio.Event, on_broken: Broken
    ) -> None:
        self.pace = engine.pace
        self._app_id = app_id
        self._engine = engine
        name = f"the engine of app {app_id!r}"
        self._loop = PacedLoop(name, Tasks(name, on_broken), engine.pace, self._once, wake)

    def wake(self, _payload: str = "") -> None:
        """There is something to apply."""
        self._loop.woken.set()

    def start(self) -> None:
        """Begin."""
        self._loop.start()

    async def stop(self) -> None:
        """Stop; a step in flight is rolled back or done, never half."""
        await self._loop.stop()

    async def settled(self) -> None:
        """Return once what is being claimed and applied now is committed."""
        await self._loop.settled()
        await self._engine.local.settled()

    def profile(self) -> Output:
        """What only this process knows of the engine."""
        applied, dead_lettered = (
            self._engine.interpreter.applied,
            self._engine.interpreter.dead_lettered,
        )
        counts = {str(code): n for code, n in ((OK, applied), (FAILED, dead_lettered)) if n}
        retry = described_policy(self._engine.retry)
        return {"counts": counts, "error_count": dead_lettered, "retry": retry}

    async def _once(self) -> float:
        try:
            if await self._engine.interpreter.drain():
                return SOON
            return max(await self._engine.timers.pause(self._app_id), SOON)
        except Conflict:
            return SOON
