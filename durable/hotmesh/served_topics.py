"""The topics that one process serves, each by a worker loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from durable.errors import ConfigurationError
from durable.hotmesh.worker_loop import WorkerLoop
from durable.store.graph_messages import Taken
from durable.store.work_slots import WorkSlot


class ServedTopics:
    """The worker loops of one process, by their streams; implements `streams.slots.WorkSlots`."""

    def __init__(self) -> None:
        self._loops: dict[str, WorkerLoop] = {}

    def __iter__(self) -> Iterator[WorkerLoop]:
        return iter(list(self._loops.values()))

    def add(self, stream: str, loop: WorkerLoop) -> None:
        """Serve one more; raises `ConfigurationError` for one that is served already."""
        if stream in self._loops:
            raise ConfigurationError(
                f"two workers serve topic {loop.topic!r}: one of them is enough"
            )
        self._loops[stream] = loop

    def get(self, stream: str) -> WorkerLoop | None:
        """The loop that serves a stream; None where this process does not."""
        return self._loops.get(stream)

    def busy(self) -> bool:
        """Whether a callback runs."""
        return any(loop.busy for loop in self)

    def wake(self) -> None:
        """Have each look for work."""
        for loop in self:
            loop.wake()

    def abandon(self) -> None:
        """This process was declared dead: what it runs is no longer its own."""
        for loop in self:
            loop.abandon()

    async def stop(self, grace: float) -> None:
        """Take no more work, let callbacks finish for so many seconds, give the rest back."""
        await asyncio.gather(*(loop.stop(grace) for loop in self))

    def serves(self, stream: str) -> bool:
        """Whether a worker of this process takes work from a stream."""
        return stream in self._loops

    def slot(self, stream: str) -> WorkSlot | None:
        """A slot of the stream's worker, None where the work has to wait."""
        loop = self._loops.get(stream)
        return None if loop is None else loop.slot()

    def slot_taken(self, stream: str, slot: WorkSlot, taken: Taken | None) -> None:
        """Work has taken the slot, or nothing came of it."""
        self._loops[stream].slot_taken(slot, taken)
