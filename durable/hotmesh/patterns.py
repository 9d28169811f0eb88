"""Who hears of ends on every topic that fits a pattern."""

from __future__ import annotations

import asyncio
import inspect
from fnmatch import fnmatchcase
from typing import Any

from durable.engine.versions import Versions
from durable.hotmesh.governing import Governor
from durable.hotmesh.subscriptions import Subscriber, Subscriptions
from durable.telemetry.logs import logger


class Patterns:
    """The pattern subscriptions of one mesh.

    Args:
        topics: subscriptions that nobody else adds to.
        governor: by which we hear that another version is active, with other topics.
    """

    def __init__(
        self, app_id: str, topics: Subscriptions, versions: Versions, governor: Governor
    ) -> None:
        self._app_id = app_id
        self._topics = topics
        self._versions = versions
        self._governor = governor
        self._callbacks: dict[str, list[Subscriber]] = {}
        self._known: set[str] = set()
        self._looking = asyncio.Lock()

    async def add(self, pattern: str, callback: Subscriber) -> None:
        """Call `callback(topic, job)` for each job that ends on a topic that fits.

        Example:
            at = {"jid": "t3", "aid": "wait", "dad": ",0,0,0"}
            await mesh.pub("ticket.open", {"id": "t3", "text": "hello"})
            await mesh.add({"metadata": at, "data": {"text": "hello"}})
        """
        await self._look()
        if not self._callbacks:
            self._governor.subscribe(self._said)
        self._callbacks.setdefault(pattern, []).append(callback)

    async def remove(self, pattern: str) -> None:
        """Call nobody any more for a pattern."""
        self._callbacks.pop(pattern, None)
        if not self._callbacks:
            self._governor.unsubscribe(self._said)
            self._known.clear()
            await self._topics.close()

    async def close(self) -> None:
        """Call nobody any more."""
        for pattern in list(self._callbacks):
            await self.remove(pattern)

    async def _said(self, _topic: str, message: dict[str, Any]) -> None:
        if message.get("type") == "activate" and message.get("cache_mode") == "cache":
            await self._look()

    async def _look(self) -> None:
        """Listen to the topics of the active version."""
        async with self._looking:
            plans, _ = await self._versions.published(self._app_id)
            topics = {p.publishes for p in (plans or {}).values() if p.publishes}
            for topic in topics - self._known:
                await self._topics.add(topic, self._heard)
                self._known.add(topic)

    async def _heard(self, topic: str, job: dict[str, Any]) -> None:
        one = f"{topic}.{job['metadata']['jid']}"
        for pattern, callbacks in list(self._callbacks.items()):
            fits = next((t for t in (topic, one) if fnmatchcase(t, pattern)), None)
            if fits is not None:
                for callback in list(callbacks):
                    await _tell(callback, fits, job)


async def _tell(callback: Subscriber, topic: str, job: dict[str, Any]) -> None:
    """One subscriber's failure is its own: it is logged, and the others hear of the job."""
    task = asyncio.ensure_future(_called(callback, topic, job))
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("a subscriber of %r failed: %s", topic, error, exc_info=error)


async def _called(callback: Subscriber, topic: str, job: dict[str, Any]) -> None:
    result = callback(topic, job)
    if inspect.isawaitable(result):
        await result


class Listening:
    """The methods of `HotMesh` by which others hear of jobs."""

    _patterns: Patterns
    _subscriptions: Subscriptions

    async def sub(self, topic: str, callback: Subscriber) -> None:
        """Call `callback(topic, job)` for each job that ends from now on, or emits its state.

        Args:
            topic: what a graph `publishes`, for all of its jobs, or that with ".<job id>" for one.
            callback: gets the topic that the graph publishes (without a job's id), and the job as
                `get_state` gives it. It may be async; what it raises is logged.

        Raises `ConfigurationError` for a topic that no graph of the active version publishes;
        before any version is active, every topic is taken.

        Example:
            heard = []

            async def closed(topic, job):
                heard.append(job["metadata"]["jid"])

            await mesh.sub("ticket.closed", closed)
        """
        await self._subscriptions.add(topic, callback)

    async def unsub(self, topic: str) -> None:
        """Call nobody any more for a `topic`, as it was given to `sub`.

        Example:
            await mesh.unsub("ticket.closed")
        """
        await self._subscriptions.remove(topic)

    async def psub(self, pattern: str, callback: Subscriber) -> None:
        """Call `callback(topic, job)` for each job that ends on a topic that fits from now on.

        In the pattern `*` stands for any characters, `?` for one, `[ab]` for one of these. It is
        compared with what graphs publish, and with that and ".<job id>": `order.*` fits
        `order.done`, and `*.42` the job 42 of any graph. A job is told once for each pattern.
        Topics that a later version brings, also the first, are heard from a moment after its
        activation.

        Example:
            await mesh.psub("ticket.*", closed)
        """
        await self._patterns.add(pattern, callback)

    async def punsub(self, pattern: str) -> None:
        """Call nobody any more for a `pattern`, as it was given to `psub`.

        Example:
            await mesh.punsub("ticket.*")
        """
        await self._patterns.remove(pattern)
