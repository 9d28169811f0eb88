"""Who hears of every job that ends on a topic (`publishes`), or of one (`publishes.<job id>`).

An end is announced after its commit. What an announcement missed (a crash in between, a lost
connection) is found by looking, once a second, at what ended since the last look; nobody is told
twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from durable.descriptor.plan import Plan
from durable.engine.completion import Jobs, output
from durable.engine.job import Job
from durable.engine.versions import Versions
from durable.errors import ConfigurationError, DatabaseError
from durable.hotmesh.subscribers import Subscriber, call_subscriber
from durable.postgres.listen import Listener
from durable.protocol import channels
from durable.protocol.clock import to_datetime
from durable.protocol.notifications import row_ids
from durable.runtime.supervision import Tasks
from durable.telemetry.logs import logger

POLL = 1.0  # seconds
WAITING_MAX = 10_000  # announcements that are read at once
OVERLAP = 10.0  # seconds: an end is stamped before its commit, which takes no longer


def topics_of(job: Job, plan: Plan) -> tuple[str, ...]:
    """The topics on which a job's end is announced."""
    return () if plan.publishes is None else (plan.publishes, f"{plan.publishes}.{job.jid}")


class Subscriptions:
    """The subscribers of one mesh."""

    def __init__(
        self, app_id: str, namespace: str, listener: Listener, jobs: Jobs, versions: Versions
    ) -> None:
        self._app_id = app_id
        self._namespace = namespace
        self._listener = listener
        self._jobs = jobs
        self._versions = versions
        self._topics: dict[str, _Subscription] = {}

    async def add(self, topic: str, callback: Subscriber) -> None:
        """Call `callback(topic, job)` for each job that ends on the topic from now on.

        As long as no version is active, any topic may be named: who publishes there is to come.
        """
        if topic not in self._topics:
            graphs, now = await self._graphs(topic)
            if graphs is not None and not graphs:
                raise ConfigurationError(f"no graph of app {self._app_id!r} publishes to {topic!r}")
            found = _Subscription(self._app_id, topic, now, self._jobs, self._ended)
            self._topics[topic] = found
            await self._listener.listen(
                channels.topic(self._namespace, self._app_id, topic), found.heard
            )
            found.start()
        self._topics[topic].callbacks.append(callback)

    async def _graphs(self, topic: str) -> tuple[list[str] | None, float]:
        """The graphs that publish to a topic; None as long as no version is active."""
        plans, now = await self._versions.published(self._app_id)
        if plans is None:
            return None, now
        covering = [p for p in plans.values() if p.publishes and _covers(p.publishes, topic)]
        return [plan.subscribes for plan in covering], now

    async def _ended(self, topic: str, since: float) -> tuple[list[int], float]:
        """The runs that ended since a moment in graphs of the topic, and the time."""
        graphs, now = await self._graphs(topic)
        return await self._jobs.ended_since(self._app_id, graphs or (), to_datetime(since)), now

    async def remove(self, topic: str) -> None:
        """Stop calling anybody for the topic."""
        found = self._topics.pop(topic, None)
        if found is not None:
            await self._listener.unlisten(
                channels.topic(self._namespace, self._app_id, topic), found.heard
            )
            await found.stop()

    async def close(self) -> None:
        """Stop calling anybody."""
        for topic in list(self._topics):
            await self.remove(topic)


def _covers(publishes: str, topic: str) -> bool:
    return topic == publishes or topic.startswith(f"{publishes}.")


Ended = Callable[[str, float], Awaitable[tuple[list[int], float]]]


class _Subscription:
    def __init__(self, app_id: str, topic: str, since: float, jobs: Jobs, ended: Ended) -> None:
        self.callbacks: list[Subscriber] = []
        self._app_id = app_id
        self._topic = topic
        self._since = since
        self._jobs = jobs
        self._ended = ended
        self._looked = 0.0
        self._seen: dict[int, float] = {}
        self._waiting: set[int] = set()
        self._wake = asyncio.Event()
        self._tasks = Tasks(f"the subscription to {topic!r}", _nobody)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = self._tasks.keep("ends", self._run)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def heard(self, payload: str) -> None:
        for run_id in row_ids(payload):
            if len(self._waiting) < WAITING_MAX:
                self._waiting.add(run_id)  # what is beyond that is found by looking
        if not payload:
            self._looked = 0.0  # notifications may have been lost: look at once
        self._wake.set()

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._wake.wait()
            self._wake.clear()
            told, self._waiting = self._waiting, set()
            try:
                if clock() - self._looked >= POLL:
                    told |= await self._look()
                    self._looked = clock()
                await self._tell(told - self._seen.keys(), clock())
            except DatabaseError as error:
                self._waiting |= told
                logger.warning("the subscription to %r waits: %s", self._topic, error)

    async def _look(self) -> set[int]:
        """What ended lately, and was perhaps not announced."""
        ended, now = await self._ended(self._topic, self._since)
        self._since = max(self._since, now - OVERLAP)
        return set(ended)

    async def _tell(self, run_ids: set[int], at: float) -> None:
        self._seen = {run: when for run, when in self._seen.items() if when > at - 2 * OVERLAP}
        since = self._since - OVERLAP
        told = await self._jobs.told(self._app_id, run_ids, since) if run_ids else []
        for number, job, plan, now in sorted(told, key=_by_time):
            self._seen[number] = at
            if self._topic in topics_of(job, plan):
                for callback in list(self.callbacks):
                    topic = plan.publishes or self._topic
                    await call_subscriber(
                        callback, topic, output(job, plan, now), repr(self._topic)
                    )


def _nobody(_name: str, _error: BaseException) -> None:
    """It was logged as critical; subscribers hear of no more ends."""


def _by_time(told: tuple[int, Job, Plan, float]) -> tuple[float, int]:
    return told[1].finished_at or told[3], told[0]
