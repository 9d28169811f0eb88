"""Deployments: an operator's edits of the descriptors that functions generated."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from durable.descriptor.commands import GRAPH, Plain
from durable.descriptor.edits import TRANSITION, Edit, destination, lay_over
from durable.errors import ConfigurationError
from durable.postgres.connections import LONG_DEADLINE, Connection
from durable.postgres.database import Database
from durable.protocol.limits import check_queue, check_sought, check_text
from durable.runtime.notifications import QueueKind
from durable.store.announcer import Announcer
from durable.store.apps import AppStore
from durable.store.edits import EditInForce, EditStore


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
        suspends: runs that call what it takes out are suspended.
        unserved: no live worker serves what it has called: calls wait until one does. Of graphs:
            the app has no active version, and they fail.
    """

    path: str
    value: Any
    generated: Any
    author: str
    made_at: datetime
    deployment: int
    suspends: bool = False
    unserved: bool = False


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
            workers serve several, that of the version that was asked for, else the one with most
            workflows.
        version: of the descriptor that `document` shows.
        taken_back: paths of changes that this deployment has taken back.
    """

    task_queue: str
    number: int
    changes: tuple[Change, ...]
    builds: tuple[Build, ...]
    document: str
    version: str
    taken_back: tuple[str, ...] = ()


class Deployments:
    """Reads and writes deployments.

    Args:
        database: where they are.
        announcer: says to the workers of a task queue that there is a new one.
    """

    def __init__(self, database: Database, announcer: Announcer) -> None:
        self._db = database
        self._store = EditStore(database.schema)
        self._apps = AppStore(database.schema)
        self._announcer = announcer

    async def deploy(
        self, source: str | Path | Mapping[str, object], *, open_runs: bool, author: str | None
    ) -> Deployment:
        """Put an edited descriptor in force; see `Client.deploy`."""
        # Brings YAML and the models of the language, which no other method of a client needs.
        from durable.descriptor.differences import EditedDocument, plain_of  # noqa: PLC0415

        if author is not None:
            check_text("author", author, "client.deploy()")
        if not isinstance(source, (str, Path, Mapping)):
            raise ConfigurationError(
                f"client.deploy(): document is of type {type(source).__name__}: give YAML text, a"
                " path, or plain data"
            )
        document = await asyncio.to_thread(EditedDocument.read, source)
        queue, version = document.queue, document.version
        check_sought("app.version", version, "client.deploy()")
        async with self._db.connection(LONG_DEADLINE) as connection:
            generated = await self._store.generated(connection, queue, version)
            if generated is None:
                known = await self._store.generated_versions(connection, queue)
                raise ConfigurationError(_unknown_document(queue, version, known))
        base = await asyncio.to_thread(plain_of, generated[1])
        edits = await asyncio.to_thread(document.edits, base)
        by = (version, author or _user())

        def replaced(number: int, in_force: Sequence[EditInForce]) -> tuple[list[Edit], list[Edit]]:
            """What the document adds to the edits in force, and what it takes back."""
            if document.printed is not None and document.printed != number:
                raise ConfigurationError(_overtaken(document.printed, number, version, in_force))
            before = [e.edit for e in in_force]
            # What other builds alone have is not in the document: it stays.
            elsewhere = lay_over(base, before).inert
            gone = [e for e in before if e not in edits and e not in elsewhere]
            return [e for e in edits if e not in before], gone

        return await self._put(queue, replaced, by, open_runs=open_runs)

    async def reset(self, queue: str, path: str, *, open_runs: bool) -> Deployment:
        """Take edits back; see `Client.reset_deployment`."""
        check_queue("task_queue", queue, "client.reset_deployment()")
        async with self._db.connection(LONG_DEADLINE) as connection:
            if await self._store.generated(connection, queue) is None:  # before a row is locked
                raise ConfigurationError(_unknown(queue, None, ()))

        def removed(_number: int, in_force: Sequence[EditInForce]) -> tuple[list[Edit], list[Edit]]:
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

    async def shown(self, queue: str, version: str | None) -> Deployment:
        """What is in force; see `Client.deployment`."""
        check_queue("task_queue", queue, "client.deployment()")
        if version is not None:
            check_sought("version", version, "client.deployment()")
        async with self._db.connection(LONG_DEADLINE) as connection:
            return await self._shown(connection, queue, version)

    async def _put(
        self,
        queue: str,
        change: Callable[[int, Sequence[EditInForce]], tuple[list[Edit], list[Edit]]],
        by: tuple[str, str],
        *,
        open_runs: bool,
    ) -> Deployment:
        async with self._db.connection(LONG_DEADLINE) as connection:
            async with connection.transaction():
                number, opened = await self._store.lock(connection, queue)
                new, gone = change(number, await self._store.in_force(connection, queue))
                if new or gone:
                    number += 1
                    await self._store.end(connection, queue, number, [*new, *gone])
                    await self._store.insert(connection, queue, number, new, by)
                if new or gone or (open_runs and opened < number):
                    await self._store.put_in_force(connection, queue, number, open_runs=open_runs)
            self._announcer.queue(queue, QueueKind.TURN, amount=0)
            found = await self._shown(connection, queue, by[0] or None)
        set_anew = {(e.graph, e.activity, e.field) for e in new}
        lost = [e.path for e in gone if (e.graph, e.activity, e.field) not in set_anew]
        return replace(found, taken_back=tuple(sorted(lost)))

    async def _shown(
        self, connection: Connection, queue: str, version: str | None = None
    ) -> Deployment:
        from durable.descriptor.differences import plain_of, written  # noqa: PLC0415 - as above

        in_force = await self._store.in_force(connection, queue)
        number = await self._store.number(connection, queue)
        served, apps = await self._live(connection, queue)
        edits = [e.edit for e in in_force]
        builds = [_build(v, served[v], said, edits) for v, said in apps.items()]
        # Of several builds that are at work, the one that says most.
        chosen = version or max(apps, key=lambda v: _size(apps[v]), default=None)
        if chosen not in apps:
            stored = await self._store.generated(connection, queue, chosen)
            if stored is None:
                known = await self._store.generated_versions(connection, queue)
                raise ConfigurationError(_unknown(queue, chosen, known))
            chosen, text = stored
            apps[chosen] = await asyncio.to_thread(plain_of, text)
        edited = lay_over(apps[chosen], edits).app
        unserved = await self._unserved(connection, edited, edits)
        changes = sorted((_change(e, e.edit in unserved) for e in in_force), key=lambda c: c.path)
        return Deployment(
            queue, number, tuple(changes), tuple(builds),
            await asyncio.to_thread(written, edited, number), chosen,
        )  # fmt: skip

    async def _unserved(
        self, connection: Connection, app: Plain, edits: Sequence[Edit]
    ) -> list[Edit]:
        """The edits that have something called which no live worker serves."""
        found: list[Edit] = []
        names: dict[str, set[str] | None] = {}  # of activities, by task queue; None: no workers
        for edit in edits:
            called = destination(app, edit)
            if called is None:
                continue
            queue, name = called
            if edit.activity == GRAPH:  # engines run them, which serve the version that is active
                is_served = (await self._apps.active(connection, queue))[0] is not None
            else:
                if queue not in names:
                    names[queue] = await self._names(connection, queue)
                known = names[queue]
                is_served = known is not None and (name is None or name in known)
            if not is_served:
                found.append(edit)
        return found

    async def _names(self, connection: Connection, queue: str) -> set[str] | None:
        """The activities that live workers of a task queue register, None without workers."""
        served, apps = await self._live(connection, queue)
        names = {a for one in apps.values() for a in one.get("shared", {}).get("activities", {})}
        return names if served else None

    async def _live(
        self, connection: Connection, queue: str
    ) -> tuple[dict[str, int], dict[str, Plain]]:
        """How many live workers serve each version, and those of them that functions generated."""
        from durable.descriptor.differences import plain_of  # noqa: PLC0415 - as above

        served = await self._store.served(connection, queue)
        apps: dict[str, Plain] = {}
        for version in served:
            stored = await self._store.generated(connection, queue, version)
            if stored is not None:
                apps[version] = await asyncio.to_thread(plain_of, stored[1])
        return served, apps


def _unknown(queue: str, version: str | None, known: Sequence[str]) -> str:
    """What to say of a task queue, or a version of it, that is asked for."""
    if not known:
        return (
            f"no worker has generated a descriptor for the task queue {queue!r}: check its name,"
            " or start a worker that serves it"
        )
    return (
        f"{version!r} is no version that functions generated for the task queue {queue!r}; there"
        f" are {', '.join(known)}"
    )


def _unknown_document(queue: str, version: str, known: Sequence[str]) -> str:
    """The same of the one that a document names."""
    if not known:
        return (
            f"app.id: no worker has generated a descriptor for the task queue {queue!r}: start"
            " one, and edit what `durable deploy --document` prints; a hand-written app is"
            " deployed by `HotMesh.deploy`"
        )
    return (
        f"app.version: {_unknown(queue, version, known)}. Edit what `durable deploy --document`"
        " prints"
    )


def _size(app: Plain) -> tuple[int, int]:
    return len(app.get("graphs", ())), len(app.get("shared", {}).get("activities", ()))


def _change(e: EditInForce, unserved: bool) -> Change:  # noqa: FBT001 - one caller
    suspends = e.edit.field in ("", TRANSITION) and e.edit.value is None
    return Change(
        e.edit.path,
        e.edit.value,
        e.edit.base,
        e.author,
        e.made_at,
        e.deployment,
        suspends,
        unserved,
    )


def _overtaken(printed: int, number: int, version: str, in_force: Sequence[EditInForce]) -> str:
    last = max(in_force, key=lambda e: e.deployment, default=None)
    by = f" by {last.author}" if last is not None and last.deployment == number else ""
    return (
        f"app.version: the document shows deployment {printed}, and deployment {number}{by} came"
        " since: print the document again and edit that; or, to take back what came since, write"
        f" app.version: {version}"
    )


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
