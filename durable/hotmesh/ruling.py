"""The methods of `HotMesh` that concern all engines and workers of an app at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from durable.hotmesh.governing import Governor, QuorumSubscriber
from durable.protocol.durations import Duration, seconds
from durable.quorum.commands import throttle_of


class Ruling:
    """Activate, throttle, and talk to whoever takes part in the app."""

    _governor: Governor

    async def activate(self, version: str | int, delay: Duration = 0.25) -> bool:
        """Switch the app to a deployed version: from now on every start, anywhere, runs on it.

        Every live engine is asked to make the version ready, and answers; then one commit switches
        them all. Jobs that run already end on the version on which they began. Two that activate
        at once both do so whole, one after the other.

        Args:
            version: as the document says it.
            delay: how long to wait for answers at first; the call is repeated twice, with twice
                and four times the patience. Dead engines are not waited for.

        Raises `ConfigurationError` for a version that is not deployed, and, naming them, when
        engines do not answer or cannot run the version. Nothing is switched then.
        """
        await self._governor.activate(str(version), seconds(delay))
        return True

    async def active_version(self) -> str | None:
        """The version on which jobs start now; None as long as none was activated."""
        return await self._governor.active_version()

    async def throttle(self, options: Mapping[str, Any] | None = None, **more: Any) -> bool:
        """Set how fast messages are claimed. It is stored, and holds until it is set again.

        Args:
            options: throttle (-1: pause; 0: resume; else the milliseconds between two claims, each
                of one message) and for whom: guid (an `engine_id` of `roll_call`), topic (its
                workers), or scope ("engines", "workers", "all"; the last unless given).
            more: the same options, as keywords.

        The narrowest throttle that was set for a consumer applies, and setting a wide one ends the
        narrower ones within it. What callbacks have begun they finish; nothing else is held.

        Returns True when every live consumer concerned has confirmed: after a pause, that it claims
        no more. False: the ones that the log names have not, for whom it holds from their next
        claim on. Raises `ConfigurationError` for options that make no sense.
        """
        return await self._governor.throttle(throttle_of({**(options or {}), **more}))

    async def roll_call(self, delay: Duration = 0.25) -> list[dict[str, Any]]:
        """A profile of each engine and worker of the app that is alive, after `delay` at most.

        Each has namespace, app_id, engine_id (its guid), worker_topic (of a worker), stream,
        stream_depth (messages that wait), throttle (in force for it), inited, host, pid, and
        `answered`: False for one that lives and did not answer in time. A worker that answers says
        how many callbacks are running, and its concurrency.
        """
        return await self._governor.roll_call(seconds(delay))

    async def pub_quorum(self, message: Mapping[str, Any]) -> bool:
        """Say something to every process of the app.

        `message` is plain data of any size with a `type`, "user" for instance; one with a `guid`
        goes to the subscribers in that engine's or worker's process only. It reaches who listens
        now, and is not kept.

        Raises `ConfigurationError` without a type, or for one that a method sends; `PayloadError`
        for what JSON cannot hold.
        """
        await self._governor.post(message)
        return True

    async def sub_quorum(self, callback: QuorumSubscriber) -> None:
        """Call `callback(topic, message)` for everything that is said in the quorum from now on."""
        self._governor.subscribe(callback)

    async def unsub_quorum(self, callback: QuorumSubscriber) -> None:
        """Call it no more."""
        self._governor.unsubscribe(callback)
