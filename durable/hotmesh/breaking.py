"""What breaks one of a mesh's own tasks for good ends the mesh, loudly."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from durable.protocol.durations import Duration
from durable.telemetry.logs import logger


class Breaking(ABC):
    """The part of `HotMesh` that ends it.

    Attributes:
        broken: what broke it; None while nothing has. `async with` raises it at its end.
    """

    app_id: str
    broken: BaseException | None = None
    _ending: asyncio.Task[Any] | None = None

    @abstractmethod
    async def _stop(self, grace: Duration = 10) -> None:
        """Stop the mesh; `HotMesh` says how."""

    def _break(self, name: str, error: BaseException) -> None:
        """A task of ours cannot go on: end, so that others take what is held here."""
        if self.broken is None:
            self.broken = error
            logger.critical(
                "HotMesh %r stops, because its task %r broke: %s", self.app_id, name, error
            )
            self._ending = asyncio.get_running_loop().create_task(self._stop())

    def _raise_broken(self, error: BaseException | None) -> None:
        if self.broken is not None and error is None:
            raise self.broken
