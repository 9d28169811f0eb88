"""Subscriptions to ends: of every job of a topic (`publishes`), or of one (`publishes.<job id>`).

An end is announced after its commit. What an announcement misses (a crash in between, a lost
connection) is found by looking, once a second, at what ended since the last look. A subscriber is
called once for each end.
"""

from __future__ import annotations

import asyncio
import contextlib

from durable.descriptor.plan import Plan
from durable.engine.job import Job
from durable.engine.job_queries import JobQueries, output
from durable.engine.versions import Versions
from durable.errors import ConfigurationError, DatabaseError
from durable.hotmesh.function_ends import ANY, FunctionEnds
from durable.hotmesh.subscribers import Subscriber, call_subscriber
from durable.postgres.listener import Listener
from durable.protocol.clock import to_datetime
from durable.runtime import channels
from durable.runtime.notifications import row_ids
from durable.runtime.supervision import Tasks, ended
from durable.telemetry.logs import logger

POLL = 1.0  # seconds
RENEW = 60.0  # seconds after which a mesh says that it subscribes still
WAITING_MAX = 10_000  # announcements that are read at once
OVERLAP = 10.0  # seconds: an end is stamped before its commit, which takes no longer


def topics_of(job: Job, plan: Plan) -> tuple[str, ...]:
    """The topics on which a job's end is announced."""
    return () if plan.publishes is None else (plan.publishes, f"{plan.publishes}.{job.jid}")


class Subscriptions:
    """The subscribers of one mesh.

    Args:
        app: namespace and app.
        listener: hears of ends.
        jobs: reads ends of graphs' jobs.
        versions: which graphs publish where.
        functions: reads ends of functions' runs.
    """

    def __init__(
        self,
        app: tuple[str, str],
        listener: Listener,
        jobs: JobQueries,
        versions: Versions,
        functions: FunctionEnds,
    ) -> None:
        self._namespace, self._app_id = app
        self._listener = listener
        self._jobs, self._versions = jobs, versions
        self._functions = functions
        self._topics: dict[str, _Subscription] = {}

    async def add(self, topic: str, callback: Subscriber) -> None:
        """Call `callback(topic, job)` for each job that ends on the topic from now on.

        As long as no version is active, any topic may be named.
        """
        if topic not in self._topics:
            graphs, now = await self._graphs(topic)
            if graphs is not None and not graphs and not await self._functions.knows(topic):
                raise ConfigurationError(
                    f"no graph of app {self._app_id!r} publishes to {topic!r}, and no workflow of"
                    " its task queue has this name"
                )
            found = _Subscription(topic, now, self, of_functions=not graphs)
            self._topics[topic] = found
            own = [] if graphs else await self._functions.subscribe(topic)
            for channel in {*own, self._channel(topic)}:
                found.channels.append(channel)
                await self._listener.listen(channel, found.on_notification)
            found.start()
        self._topics[topic].callbacks.append(callback)

    def _channel(self, topic: str) -> str:
        return channels.topic(self._namespace, self._app_id, topic)

    async def _graphs(self, topic: str) -> tuple[list[str] | None, float]:
        """The graphs that publish to a topic; None as long as no version is active."""
        plans, now = await self._versions.published(self._app_id)
        if plans is None:
            return None, now
        covering = [p for p in plans.values() if p.publishes and _covers(p.publishes, topic)]
        return [plan.subscribes for plan in covering], now

    async def ended(
        self, topic: str, since: float, *, of_functions: bool
    ) -> tuple[set[int], float]:
        """The jobs that ended since a moment on a topic, those of functions too; and the time."""
        graphs, now = await self._graphs(topic)
        jobs = await self._jobs.ended_since(self._app_id, graphs or (), to_datetime(since))
        functions = await self._functions.since(topic, since) if of_functions else ()
        return {*jobs, *functions}, now

    async def read(
        self, numbers: set[int], since: float, *, of_functions: bool
    ) -> list[tuple[int, Job, Plan, float]]:
        """What ended, or was emitted, since a moment, oldest first: number, job, plan, when."""
        found = await self._jobs.ends_or_emissions(self._app_id, numbers, since)
        if not of_functions:
            return sorted(found, key=_by_time)
        functions = await self._functions.read(numbers - {one[0] for one in found}, since)
        return sorted([*found, *functions], key=_by_time)

    async def renew(self, topic: str) -> None:
        """Renew the subscription to a topic."""
        await self._functions.subscribe(topic)

    async def remove(self, topic: str) -> None:
        """End all subscriptions to a topic."""
        found = self._topics.pop(topic, None)
        if found is not None:
            for channel in found.channels:
                await self._listener.unlisten(channel, found.on_notification)
            await found.stop()
            if found.of_functions:
                with contextlib.suppress(DatabaseError):  # others clear what is left behind
                    await self._functions.unsubscribe(topic)

    async def close(self) -> None:
        """End all subscriptions."""
        for topic in list(self._topics):
            await self.remove(topic)


def _covers(publishes: str, topic: str) -> bool:
    return topic == publishes or topic.startswith(f"{publishes}.")


class _Subscription:
    def __init__(
        self, topic: str, since: float, ends: Subscriptions, *, of_functions: bool
    ) -> None:
        self.of_functions = of_functions
        self.callbacks: list[Subscriber] = []
        self.channels: list[str] = []
        self._topic = topic
        self._since = since
        self._ends = ends
        self._renewed = 0.0
        self._looked = 0.0
        self._seen: dict[int, float] = {}
        self._waiting: set[int] = set()
        self._wake = asyncio.Event()
        self._tasks = Tasks(f"the subscription to {topic!r}", _logged)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = self._tasks.keep("ends", self._run)

    async def stop(self) -> None:
        await ended(self._task)

    def on_notification(self, payload: str) -> None:
        """Ends, by their numbers; "" when notifications may have been lost."""
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
            numbers, self._waiting = self._waiting, set()
            try:
                if clock() - self._looked >= POLL:
                    numbers |= await self._look()
                    self._looked = clock()
                await self._call_subscribers(numbers - self._seen.keys(), clock())
            except DatabaseError as error:
                self._waiting |= numbers
                logger.warning("the subscription to %r waits: %s", self._topic, error)

    async def _look(self) -> set[int]:
        """What ended lately, and was perhaps not announced."""
        clock = asyncio.get_running_loop().time()
        if self.of_functions and clock - self._renewed >= RENEW:
            await self._ends.renew(self._topic)
            self._renewed = clock
        ended, now = await self._ends.ended(
            self._topic, self._since, of_functions=self.of_functions
        )
        self._since = max(self._since, now - OVERLAP)
        return ended

    async def _call_subscribers(self, numbers: set[int], at: float) -> None:
        self._seen = {
            number: when for number, when in self._seen.items() if when > at - 2 * OVERLAP
        }
        if not numbers:
            return
        since = self._since - OVERLAP
        ends = await self._ends.read(numbers, since, of_functions=self.of_functions)
        for number, job, plan, now in ends:
            self._seen[number] = at
            if self._topic == ANY or self._topic in topics_of(job, plan):
                for callback in list(self.callbacks):
                    topic = plan.publishes or self._topic
                    await call_subscriber(
                        callback, topic, output(job, plan, now), repr(self._topic)
                    )


def _logged(_name: str, _error: BaseException) -> None:
    """It was logged as critical; subscribers are called no more."""


def _by_time(end: tuple[int, Job, Plan, float]) -> tuple[float, int]:
    return end[1].finished_at or end[3], end[0]
