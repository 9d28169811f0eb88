"""What loops of engines and workers share: they look when woken, when due, at their pace."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from durable.errors import DatabaseError
from durable.postgres.errors import retryable
from durable.runtime.supervision import Tasks, ended
from durable.store.pacing import Pace
from durable.telemetry.logs import logger

TROUBLE = 0.5  # seconds of rest when the database cannot be reached


class PacedLoop:
    """Calls `look` again and again.

    Args:
        name: whose loop it is, for people.
        tasks: the tasks of its owner.
        pace: how fast it may look.
        look: claims what there is; gives the seconds after which it is to look again, unless woken.

    Attributes:
        woken: set when there may be something to claim.
    """

    def __init__(
        self,
        name: str,
        tasks: Tasks,
        pace: Pace,
        look: Callable[[], Awaitable[float]],
        woken: asyncio.Event | None = None,
    ) -> None:
        self.woken = woken or asyncio.Event()
        self._name = name
        self._tasks = tasks
        self._pace = pace
        self._look = look
        self._claiming = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def started(self) -> bool:
        """Whether it was begun."""
        return self._task is not None

    def start(self) -> None:
        """Begin."""
        self._task = self._tasks.keep("claims", self._run)

    async def stop(self) -> None:
        """Stop; what is under way is rolled back or done, never half."""
        await ended(self._task)

    async def settled(self) -> None:
        """Return once what is being claimed now has been dealt with."""
        async with self._claiming:
            pass

    async def _run(self) -> None:
        while True:
            self.woken.clear()
            async with self._claiming:
                pause = await self._outcome()
            if self._pace.delay > 0:
                await self._pace.rest()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.woken.wait()

    async def _outcome(self) -> float:
        try:
            return await self._look()
        except DatabaseError as error:
            if not retryable(error, host=True):
                raise  # it is counted: see `Tasks`
            logger.warning("%s goes on when the database answers: %s", self._name, error)
            return TROUBLE
