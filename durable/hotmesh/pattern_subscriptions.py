"""Subscriptions to ends on every topic that fits a pattern."""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase

from durable.engine.versions import Versions
from durable.hotmesh.function_ends import ANY
from durable.hotmesh.quorum_member import QuorumMember
from durable.hotmesh.subscribers import Subscriber, call_subscriber
from durable.hotmesh.subscriptions import Subscriptions
from durable.protocol.graphs import Output


class PatternSubscriptions:
    """The pattern subscriptions of one mesh.

    Args:
        topics: subscriptions of its own.
        quorum: says that another version is active, with other topics.
    """

    def __init__(
        self, app_id: str, topics: Subscriptions, versions: Versions, quorum: QuorumMember
    ) -> None:
        self._app_id = app_id
        self._topics = topics
        self._versions = versions
        self._quorum = quorum
        self._callbacks: dict[str, list[Subscriber]] = {}
        self._known: set[str] = set()
        self._looking = asyncio.Lock()

    async def add(self, pattern: str, callback: Subscriber) -> None:
        """Call `callback(topic, job)` for each job that ends on a topic that fits."""
        await self._look()
        if not self._callbacks:
            await self._topics.add(ANY, self._on_end)
            self._quorum.subscribe(self._on_quorum)
        self._callbacks.setdefault(pattern, []).append(callback)

    async def remove(self, pattern: str) -> None:
        """End all subscriptions to a pattern."""
        self._callbacks.pop(pattern, None)
        if not self._callbacks:
            self._quorum.unsubscribe(self._on_quorum)
            self._known.clear()
            await self._topics.close()

    async def close(self) -> None:
        """End all subscriptions."""
        for pattern in list(self._callbacks):
            await self.remove(pattern)

    async def _on_quorum(self, _topic: str, message: Output) -> None:
        if message.get("type") == "activate" and message.get("cache_mode") == "cache":
            await self._look()

    async def _look(self) -> None:
        """Listen to the topics of the active version."""
        async with self._looking:
            plans, _ = await self._versions.published(self._app_id)
            topics = {p.publishes for p in (plans or {}).values() if p.publishes}
            for topic in topics - self._known:
                await self._topics.add(topic, self._on_end)
                self._known.add(topic)

    async def _on_end(self, topic: str, job: Output) -> None:
        one = f"{topic}.{job['metadata']['jid']}"
        for pattern, callbacks in list(self._callbacks.items()):
            fits = next((t for t in (topic, one) if fnmatchcase(t, pattern)), None)
            if fits is not None:
                for callback in list(callbacks):
                    await call_subscriber(callback, fits, job, repr(fits))
