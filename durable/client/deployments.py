"""Deployments: an operator's edits of the descriptors that functions generated."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from durable.descriptor.commands import Plain
from durable.descriptor.edits import Edit, lay_over
from durable.errors import ConfigurationError
from durable.postgres.connections import LONG_DEADLINE, Connection
from durable.postgres.pool import Database
from durable.protocol.limits import check_queue
from durable.protocol.notifications import QueueKind
from durable.store.edits import EditInForce, EditStore
from durable.streams.announce import Announcer


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a generated descriptor that is edited.

    Attributes:
        path: where it stands, such as "shared.charge.retry.maximumAttempts".
        value: what holds; None where it is taken out.
        generated: what the descriptor says that was edited; None for nothing.
        author: who deployed it.
        made_at: when.
        deployment: the number of the deployment that brought it.
    """

    path: str
    value: Any
    generated: Any
    author: str
    made_at: datetime
    deployment: int


@dataclass(frozen=True, slots=True)
class Build:
    """A descriptor that live workers generated from their functions.

    Attributes:
        version: hash of it.
        workers: how many live workers serve it.
        inert: paths of changes of what it does not register; they hold for calls of activities that
            other workers register.
        contested: paths of changes of fields for which it says something else than the descriptor
            that was edited, and what it says; the changes hold.
    """

    version: str
    workers: int
    inert: tuple[str, ...]
    contested: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is in force for a task queue.

    Attributes:
        task_queue: the task queue.
        number: counts deployments to it; 0: there was none.
        changes: what is edited of the generated descriptor, in the order of paths.
        builds: what live workers serve.
        document: the descriptor with the changes, as YAML: edit it, and deploy it again. Where live
            workers serve several, the one with most workflows; "" where no worker has stored one.
    """

    task_queue: str
    number: int
    changes: tuple[Change, ...]
    builds: tuple[Build, ...]
    document: str


class Deployments:
    """Reads and writes deployments.

    Args:
        database: where they are.
        announcer: says to the workers of a task queue that there is a new one.
    """

    def __init__(self, database: Database, announcer: Announcer) -> None:
        self._db = database
        self._store = EditStore(database.schema)
        self._announcer = announcer

    async def deploy(
        self, source: str | Path | Mapping[str, object], *, open_runs: bool, author: str | None
    ) -> Deployment:
        """Put an edited descriptor in force; see `Client.deploy`."""
        # Brings YAML and the models of the language, which no other method of a client needs.
        from durable.descriptor.differences import EditedDocument  # noqa: PLC0415

        document = await asyncio.to_thread(EditedDocument.read, source)
        queue, version = document.queue, document.version
        async with self._db.connection(LONG_DEADLINE) as connection:
            generated = await self._store.generated(connection, queue, version)
            if generated is None:
                raise ConfigurationError(await self._unknown(connection, queue, version))
        edits = await asyncio.to_thread(document.edits, generated[1])
        by = (version, author or _user())

        def replaced(in_force: Sequence[EditInForce]) -> tuple[list[Edit], list[Edit]]:
            """What the document adds to the edits in force, and what it takes back."""
            before = [e.edit for e in in_force]
            return [e for e in edits if e not in before], [e for e in before if e not in edits]

        return await self._put(queue, replaced, by, open_runs=open_runs)

    async def reset(self, queue: str, path: str, *, open_runs: bool) -> Deployment:
        """Take edits back; see `Client.reset_deployment`."""
        check_queue("task_queue", queue, "client.reset_deployment()")

        def removed(in_force: Sequence[EditInForce]) -> tuple[list[Edit], list[Edit]]:
            """Nothing to add, and the edits below the path to take back."""
            gone = [e.edit for e in in_force if e.edit.is_below(path)]
            if path and not gone:
                known = ", ".join(e.edit.path for e in in_force) or "none"
                raise ConfigurationError(
                    f"nothing that is in force for the task queue {queue!r} is at {path!r};"
                    f" there are: {known}"
                )
            return [], gone

        return await self._put(queue, removed, ("", ""), open_runs=open_runs)

    async def shown(self, queue: str) -> Deployment:
        """What is in force; see `Client.deployment`."""
        check_queue("task_queue", queue, "client.deployment()")
        async with self._db.connection(LONG_DEADLINE) as connection:
            return await self._shown(connection, queue)

    async def _put(
        self,
        queue: str,
        change: Callable[[Sequence[EditInForce]], tuple[list[Edit], list[Edit]]],
        by: tuple[str, str],
        *,
        open_runs: bool,
    ) -> Deployment:
        async with self._db.connection(LONG_DEADLINE) as connection:
            async with connection.transaction():
                number, opened = await self._store.lock(connection, queue)
                new, gone = change(await self._store.in_force(connection, queue))
                if new or gone:
                    number += 1
                    await self._store.end(connection, queue, number, [*new, *gone])
                    await self._store.insert(connection, queue, number, new, by)
                if new or gone or (open_runs and opened < number):
                    await self._store.put_in_force(connection, queue, number, open_runs=open_runs)
            self._announcer.queue(queue, QueueKind.TURN, amount=0)
            return await self._shown(connection, queue)

    async def _shown(self, connection: Connection, queue: str) -> Deployment:
        from durable.descriptor.differences import plain_of, written  # noqa: PLC0415 - as above

        in_force = await self._store.in_force(connection, queue)
        number = await self._store.number(connection, queue)
        served = await self._store.served(connection, queue)
        apps: dict[str, Plain] = {}
        newest = await self._store.generated(connection, queue)
        for version in served:
            stored = await self._store.generated(connection, queue, version)
            if stored is not None:
                apps[version] = await asyncio.to_thread(plain_of, stored[1])
        edits = [e.edit for e in in_force]
        document = ""
        if newest is not None:
            # Of several builds that are at work, the one that says most.
            app = max(apps.values(), key=_size, default=None)
            if app is None:
                app = await asyncio.to_thread(plain_of, newest[1])
            edited = lay_over(app, edits).app
            document = await asyncio.to_thread(written, edited)
        builds = [_build(v, served[v], said, edits) for v, said in apps.items()]
        changes = [
            Change(e.edit.path, e.edit.value, e.edit.base, e.author, e.made_at, e.deployment)
            for e in in_force
        ]
        return Deployment(
            queue, number, tuple(sorted(changes, key=lambda c: c.path)), tuple(builds), document
        )

    async def _unknown(self, connection: Connection, queue: str, version: str) -> str:
        known = await self._store.generated_versions(connection, queue)
        if not known:
            return (
                f"app.id: no worker has generated a descriptor for the task queue {queue!r}: start"
                " one, and edit what `durable deploy --document` prints; a hand-written app is"
                " deployed by `HotMesh.deploy`"
            )
        return (
            f"app.version: {version!r} is no version that functions generated for the task queue"
            f" {queue!r}; there are {', '.join(known)}. Edit what `durable deploy --document`"
            " prints"
        )


def _size(app: Plain) -> tuple[int, int]:
    return len(app.get("graphs", ())), len(app.get("shared", {}).get("activities", ()))


def _build(version: str, workers: int, app: Mapping[str, Any], edits: Sequence[Edit]) -> Build:
    edited = lay_over(app, edits)
    return Build(
        version, workers, tuple(e.path for e in edited.inert),
        {e.path: said for e, said in edited.contested},
    )  # fmt: skip


def _user() -> str:
    try:
        return getpass.getuser()
    except OSError:  # no entry for this user id, as in many containers
        return "unknown"
