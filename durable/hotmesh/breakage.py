"""What has broken one of a mesh's own tasks for good: the mesh ends by it, loudly."""

from __future__ import annotations

import asyncio

from durable.telemetry.logs import logger


class Breakage:
    """The first error from which a task of one mesh cannot recover.

    Attributes:
        error: that error; None while nothing is broken.
    """

    def __init__(self, app_id: str) -> None:
        self._app_id = app_id
        self.error: BaseException | None = None
        self._happened = asyncio.Event()

    def record(self, task: str, error: BaseException) -> None:
        """A task cannot go on: the mesh is to end, so that others take what is held here."""
        if self.error is None:
            self.error = error
            logger.critical(
                "HotMesh %r stops, because its task %r broke: %s", self._app_id, task, error
            )
            self._happened.set()

    async def wait(self) -> None:
        """Return once something has broken."""
        await self._happened.wait()
