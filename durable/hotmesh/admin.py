"""The versions of an app: checked, deployed, activated."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from durable.client.interface_checker import InterfaceChecker
from durable.descriptor.document import load, path_of, plain
from durable.descriptor.files import write_resolved
from durable.engine.versions import Versions, warn_of_no_effect
from durable.errors import ConfigurationError
from durable.hotmesh.quorum.activation import activate
from durable.hotmesh.quorum.bus import Bus
from durable.hotmesh.quorum.roster import Roster
from durable.protocol.graphs import Data, Output
from durable.telemetry.logs import logger

Source = str | Path | Data


class Admin:
    """Deploys and activates the versions of one app.

    Args:
        app_id: the app.
        versions: those that are stored.
        bus: by which its engines are asked whether they can run a version.
        roster: who they are.
        declared: the workflows of the task queue with the app's name.
    """

    def __init__(
        self, app_id: str, versions: Versions, bus: Bus, roster: Roster, declared: InterfaceChecker
    ) -> None:
        self._app_id = app_id
        self._declared = declared
        self._versions = versions
        self._bus, self._roster = bus, roster

    def plan(self, source: Source) -> Output:
        """Read and check a document without storing it; the document as plain data."""
        return {"app": plain(load(source, warn_of_no_effect))}

    async def deploy(self, source: Source) -> Output:
        """Check and store a version; beside a file, it is written with all `$ref`s resolved."""
        if workflows := await self._declared.workflows(self._app_id):
            self._check_topics({graph.subscribes for graph in load(source).graphs}, workflows)
        app = await self._versions.deploy(source, self._app_id)
        document: Output = {"app": plain(app)}
        if (path := path_of(source)) is not None:
            try:
                await asyncio.to_thread(write_resolved, path, app.id, app.version, document)
            except OSError as error:
                logger.warning(
                    "version %s of app %r is deployed, and was not written beside %s: %s",
                    app.version, app.id, path, error,
                )  # fmt: skip
        return document

    def _check_topics(self, topics: set[str], workflows: set[str], version: str = "") -> None:
        """Refuse graphs that subscribe to the name of a workflow of the task queue."""
        if both := sorted(topics & workflows):
            raise ConfigurationError(
                f"app {self._app_id!r}: a graph{version} subscribes to {both[0]!r}, which is the"
                " name of a workflow of the task queue with this name: give one of them another"
                " name, so that the topic says which of them is meant"
            )

    async def activate(self, version: str, delay: float) -> bool:
        """Switch the app to a version, for all of its engines; see `quorum.activation`."""
        switch = partial(self._switch, version)
        await activate(self._bus, self._roster, version, delay, switch)
        return True

    async def _switch(self, version: str) -> None:
        """Have the version be the active one, unless a workflow has a topic of it since."""
        workflows = await self._declared.workflows(self._app_id)
        if workflows and await self._roster.deployed(version):
            topics = await self._versions.topics(self._app_id, version)
            self._check_topics(topics, workflows, f" of version {version}")
        await self._versions.activate(self._app_id, version)

    async def active_version(self) -> str | None:
        """The version on which jobs start now, None before the first was activated."""
        return await self._versions.active_version(self._app_id)
