"""The ends of functions' runs, for subscribers to a workflow's name.

A mesh that subscribes leaves its channel in a table, and whoever ends a run notifies it: nothing is
announced for a topic without subscribers. What an announcement misses is found by looking.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from durable.client.interface_checker import InterfaceChecker
from durable.descriptor.plan import Plan
from durable.engine.job import Job
from durable.hotmesh.function_jobs import FunctionJobs
from durable.protocol.clock import to_datetime
from durable.runtime import channels
from durable.store.function_jobs import FunctionJobStore

ANY: Final = "*"
"""The topic of every workflow of the task queue."""


class FunctionEnds:
    """Which runs of one task queue have ended, for the subscribers of one mesh.

    Args:
        app: namespace and task queue.
        guid: of the mesh.
        store: reads ends, and keeps subscriptions.
        declared: the workflows that workers have deployed.
        jobs: shows runs as jobs.
    """

    def __init__(
        self, app: tuple[str, str], guid: str, store: FunctionJobStore, declared: InterfaceChecker,
        jobs: FunctionJobs,
    ) -> None:  # fmt: skip
        self._namespace, self._queue = app
        self._guid = guid
        self._store, self._declared = store, declared
        self._jobs = jobs

    async def knows(self, topic: str) -> bool:
        """Whether a workflow has this topic, or a run of it would."""
        names = await self._declared.workflows(self._queue)
        return topic == ANY or not names.isdisjoint(_names(topic))

    async def subscribe(self, topic: str) -> list[str]:
        """Have ends on a topic announced to this mesh for some minutes; the channels of it."""
        found = {name: channels.topic(self._namespace, self._queue, name) for name in _names(topic)}
        await self._store.subscribe(self._queue, f"{self._guid}:{topic}", found)
        return list(found.values())

    async def unsubscribe(self, topic: str) -> None:
        """Have them announced no more."""
        await self._store.unsubscribe(self._queue, f"{self._guid}:{topic}", _names(topic))

    async def since(self, topic: str, moment: float) -> list[int]:
        """The runs that ended on a topic since a moment."""
        names = None if topic == ANY else _names(topic)
        return await self._store.ended_since(self._queue, names, to_datetime(moment))

    async def read(
        self, run_ids: Iterable[int], since: float
    ) -> list[tuple[int, Job, Plan, float]]:
        """Those of these runs that ended since a moment: run, job, plan, and the time."""
        ends = await self._jobs.ends(list(run_ids))
        return [
            (run_id, job, plan, now)
            for run_id, (job, plan, now) in ends.items()
            if job.app_id == self._queue and (job.finished_at or 0.0) >= since
        ]


def _names(topic: str) -> Sequence[str]:
    """The workflows of which a topic may be, or the topic of one run: each has a dot after it.

    Example:
        >>> _names("ship.order.7")
        ['ship', 'ship.order', 'ship.order.7']
    """
    parts = topic.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]
