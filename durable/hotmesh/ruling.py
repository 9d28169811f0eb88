"""The methods of `HotMesh` that concern an app as a whole: its versions, engines and workers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from durable.descriptor.document import load, path_of, plain
from durable.descriptor.files import write_resolved
from durable.engine.versions import Versions, warn_of_no_effect
from durable.hotmesh.governing import Governor, QuorumSubscriber
from durable.protocol.durations import Duration, seconds
from durable.quorum.commands import throttle_of
from durable.telemetry.logs import logger


class Ruling:
    """Deploy and activate versions, throttle, and talk to whoever takes part in the app."""

    app_id: str
    _governor: Governor
    _versions: Versions

    async def plan(self, source: str | Path | Mapping[str, Any]) -> dict[str, Any]:
        """Read and check a document without storing it; the document as plain data.

        Args:
            source: as `deploy` takes it; the app may be any.

        Raises `DescriptorError` with a line per finding: line, path, what is wrong. What has no
        effect is logged as a warning, as `deploy` does.

        Example:
            document = await mesh.plan("desk.yaml")
            print(document["app"]["graphs"][0]["publishes"])
            # → ticket.closed
        """
        return {"app": plain(load(source, warn_of_no_effect))}

    async def deploy(self, source: str | Path | Mapping[str, Any]) -> dict[str, Any]:
        """Check and store a version of this app; the document as plain data, `{"app": …}`.

        Nothing runs on it before `activate`. Deploying the same again changes nothing.

        Args:
            source: YAML text, a path to a file (whose `$ref`s may name others), or plain data.

        Beside a file the document is written with all `$ref`s resolved, as
        `.hotmesh.<id>.<version>.json`; where that cannot be written, a warning says so.

        Raises `DescriptorError` with a line per finding, and `ConfigurationError` for another app's
        document, or a version that was deployed with other content. Nothing is stored then.

        Example:
            document = await mesh.deploy("desk.yaml")
            print(document["app"]["version"])
            # → 1
        """
        app = await self._versions.deploy(source, self.app_id)
        document: dict[str, Any] = {"app": plain(app)}
        if (path := path_of(source)) is not None:
            try:
                await asyncio.to_thread(write_resolved, path, app.id, app.version, document)
            except OSError as error:
                logger.warning(
                    "version %s of app %r is deployed, and was not written beside %s: %s",
                    app.version, app.id, path, error,
                )  # fmt: skip
        return document

    async def activate(self, version: str | int, delay: Duration = 0.25) -> bool:
        """Switch the app to a deployed version; True. From now on every start runs on it.

        Every live engine is asked to make the version ready, and answers; then one commit switches
        them all. Jobs that run already end on the version on which they began. Two that activate
        at once both do so whole, one after the other.

        Args:
            version: as the document says it.
            delay: how long to wait for answers at first; the call is repeated twice, with twice
                and four times the patience. Dead engines are not waited for.

        Raises `ConfigurationError` for a version that is not deployed, and, naming them, when
        engines do not answer or cannot run the version. Nothing is switched then.

        Example:
            print(await mesh.activate("1"))
            # → True
        """
        await self._governor.activate(str(version), seconds(delay))
        return True

    async def active_version(self) -> str | None:
        """The version on which jobs start now; None as long as none was activated.

        Example:
            print(await mesh.active_version())
            # → 1
        """
        return await self._governor.active_version()

    async def throttle(self, options: Mapping[str, Any] | None = None, **more: Any) -> bool:
        """Set how fast messages are claimed. It is stored, and holds until it is set again.

        Args:
            options: throttle (-1: pause; 0: resume; else the milliseconds between two claims, each
                of one message) and for whom: everybody unless given; guid (an `engine_id` of
                `roll_call`), topic (its workers), both (the workers of that topic which have that
                guid, or are in the process whose engine has it), or scope ("engines", "workers",
                "all").
            more: the same options, as keywords.

        The narrowest throttle that was set for a consumer applies, and setting a wide one ends the
        narrower ones within it. What callbacks have begun they finish; nothing else is held.

        Returns True when every live consumer concerned has confirmed: after a pause, that it claims
        no more. False: the ones that the log names have not, for whom it holds from their next
        claim on. Raises `ConfigurationError` for options that make no sense.

        Example:
            await mesh.throttle(throttle=-1, topic="sort")
            print(await mesh.throttle(throttle=0))
            # → True
        """
        return await self._governor.throttle(throttle_of({**(options or {}), **more}))

    async def roll_call(self, delay: Duration = 0.25) -> list[dict[str, Any]]:
        """A profile of each engine and worker of the app that is alive.

        Args:
            delay: how long to wait for answers.

        Each has namespace, app_id, engine_id (its guid), worker_topic (of a worker), stream,
        stream_depth (messages that wait), throttle (in force for it), inited, timestamp (when it
        was seen alive), host, pid, and `answered`: False for one that lives and did not answer in
        time. Who answers adds counts (what it has done, by code), error_count, retry (its policy),
        duress_level, duress_score_ms, duress_per_type, duress_throttle_ms (its rest between claims
        for duress) and system (memory and load); a worker adds how many callbacks are running, its
        concurrency, and the source of its callback (`signature`).

        Example:
            profiles = await mesh.roll_call()
            print(sorted({profile["stream"] for profile in profiles}))
            # → ['desk', 'desk:sort', 'desk:thank']
        """
        return await self._governor.roll_call(seconds(delay))

    async def pub_quorum(self, message: Mapping[str, Any]) -> bool:
        """Say something to every process of the app; True. It reaches who listens now.

        Args:
            message: plain data of any size with a `type`, "user" for instance; one with a `guid`
                goes to the subscribers in that engine's or worker's process only.

        Raises `ConfigurationError` without a type, or for one that a method sends; `PayloadError`
        for what JSON cannot hold.

        Example:
            await mesh.pub_quorum({"type": "user", "text": "lunch"})
        """
        await self._governor.post(message)
        return True

    async def sub_quorum(self, callback: QuorumSubscriber) -> None:
        """Call `callback(topic, message)` for everything that is said in the quorum from now on.

        `topic` is the message's own, else its guid, else empty. The callback may be async; what
        it raises is logged.

        Example:
            said = []

            def noted(topic, message):
                said.append(message["text"])

            await mesh.sub_quorum(noted)
        """
        self._governor.subscribe(callback)

    async def unsub_quorum(self, callback: QuorumSubscriber) -> None:
        """Call this callback no more.

        Example:
            await mesh.unsub_quorum(noted)
        """
        self._governor.unsubscribe(callback)
