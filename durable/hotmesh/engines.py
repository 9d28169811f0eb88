"""The loop that applies what is due for an app: woken by others, by timers, once a second."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from durable.engine.interpreter import Interpreter
from durable.engine.steps.graph_road import GraphRoad
from durable.engine.timers import Timers
from durable.errors import DatabaseError
from durable.hotmesh.profiles import described_policy
from durable.postgres.errors import Conflict, retryable
from durable.protocol.codes import FAILED, OK
from durable.protocol.retry import RetryPolicy
from durable.runtime.supervision import Broken, Tasks
from durable.streams.pacing import Pace
from durable.telemetry.logs import logger

SOON = 0.005  # seconds until messages are looked at again that another engine held
TROUBLE = 0.5  # seconds of rest when the database cannot be reached


class EngineLoop:
    """One engine of one app in this process; interpreter and timers have the same `pace`."""

    topic: str | None = None

    def __init__(self, interpreter: Interpreter, timers: Timers, app_id: str, pace: Pace) -> None:
        self.pace = pace
        self.retry: RetryPolicy | None = None
        self._interpreter = interpreter
        self._timers = timers
        self._app_id = app_id
        self._wake = asyncio.Event()
        self._claiming = asyncio.Lock()
        self.on_broken: Broken = lambda _name, _error: None
        self._tasks = Tasks(f"the engine of app {app_id!r}", self._break)
        self._task: asyncio.Task[None] | None = None
        self.road: GraphRoad | None = None

    def _break(self, name: str, error: BaseException) -> None:
        self.on_broken(name, error)

    def wake(self, _payload: str = "") -> None:
        """There is something to apply."""
        self._wake.set()

    def start(self) -> None:
        """Begin."""
        self._task = self._tasks.keep("steps", self._run)

    async def stop(self) -> None:
        """Stop; a step in flight is rolled back or done, never half."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def settled(self) -> None:
        """Return once what is being claimed and applied now is committed."""
        async with self._claiming:
            pass
        if self.road is not None:
            await self.road.settled()

    def profile(self) -> dict[str, Any]:
        """What only this process knows of the engine."""
        applied, buried = self._interpreter.applied, self._interpreter.buried
        counts = {str(code): n for code, n in ((OK, applied), (FAILED, buried)) if n}
        retry = described_policy(self.retry)
        return {"counts": counts, "error_count": buried, "retry": retry}

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            async with self._claiming:
                pause = await self._once()
            if self.pace.delay > 0:
                await self.pace.rest()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _once(self) -> float:
        try:
            if await self._interpreter.drain():
                return SOON
            return max(await self._timers.pause(self._app_id), SOON)
        except Conflict:
            return SOON
        except DatabaseError as error:
            if not retryable(error, host=True):
                raise  # it is counted: see `Tasks`
            logger.warning(
                "the engine of app %r goes on when the database answers: %s", self._app_id, error
            )
            return TROUBLE
