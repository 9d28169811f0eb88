"""The loop that has expired jobs leave the tables, now and then, beside the engine's own."""

from __future__ import annotations

import asyncio
import contextlib
import random

from durable.engine.retention import Retention
from durable.errors import DatabaseError
from durable.telemetry.logs import logger

EVERY = 10.0  # seconds between two looks of one engine; several engines look at different times


class PruningLoop:
    """Prunes one app, as long as this process is one of its engines.

    Args:
        kept: seconds that a job can still be looked at after it has expired.
        every: seconds between two looks.
    """

    def __init__(
        self, retention: Retention, app_id: str, kept: float, every: float = EVERY
    ) -> None:
        self._retention = retention
        self._app_id = app_id
        self._kept = kept
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=f"hotmesh pruning {self._app_id}")

    async def stop(self) -> None:
        """Stop; a batch in flight is rolled back or done."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every * random.uniform(0.5, 1))  # noqa: S311 - no secret
            try:
                await self._retention.prune(self._app_id, self._kept)
            except DatabaseError as error:
                logger.warning(
                    "expired jobs of app %r are pruned when the database answers: %s",
                    self._app_id,
                    error,
                )
