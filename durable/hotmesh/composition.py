"""The composition of a mesh: every part of one `HotMesh` is built here, once, from its settings."""

from __future__ import annotations

import random
from dataclasses import dataclass

from durable.client.client import Client
from durable.client.interface_checker import InterfaceChecker
from durable.client.terminations import Terminations
from durable.composition import Resources
from durable.engine.interpreter import Interpreter
from durable.engine.job_queries import JobQueries, JobSnapshot
from durable.engine.signals import Signals
from durable.engine.statistics import Statistics
from durable.engine.steps.escalation_steps import EscalationSteps
from durable.engine.steps.graph_steps import GraphSteps
from durable.engine.steps.local_path import LocalPath, LocalPathServices
from durable.engine.timers import Timers
from durable.engine.versions import Versions
from durable.errors import ConfigurationError
from durable.hotmesh.admin import Admin
from durable.hotmesh.breakage import Breakage
from durable.hotmesh.commit_announcements import CommitAnnouncements, EngineWake
from durable.hotmesh.engine_loop import EngineLoop, GraphEngine
from durable.hotmesh.escalations import Escalations
from durable.hotmesh.function_ends import FunctionEnds
from durable.hotmesh.function_jobs import FunctionJobs
from durable.hotmesh.function_signals import FunctionSignals
from durable.hotmesh.function_starts import FunctionStarts
from durable.hotmesh.host import Hosted, MeshHost
from durable.hotmesh.job_inspection import JobInspection
from durable.hotmesh.job_interrupts import JobInterrupts
from durable.hotmesh.job_lookup import JobLookup
from durable.hotmesh.job_removal import JobRemoval
from durable.hotmesh.job_signals import JobSignals
from durable.hotmesh.job_starts import JobStarts
from durable.hotmesh.loop_watch import LoopWatch
from durable.hotmesh.pattern_subscriptions import PatternSubscriptions
from durable.hotmesh.quorum_calls import QuorumCalls
from durable.hotmesh.quorum_member import QuorumMember
from durable.hotmesh.search import Search
from durable.hotmesh.served_topics import ServedTopics
from durable.hotmesh.settings import MeshSettings
from durable.hotmesh.subscriptions import Subscriptions
from durable.postgres.address import Pool
from durable.postgres.database import Database
from durable.postgres.migrator import migrate, require
from durable.protocol.ids import new_id
from durable.runtime import channels
from durable.runtime.end_waiters import EndWaiters
from durable.store.function_jobs import FunctionJobStore
from durable.store.jobs import JobStore
from durable.store.membership import MemberCallbacks, Membership
from durable.store.pacing import Pace
from durable.store.runs import RunStream


@dataclass(frozen=True, slots=True)
class MeshParts:
    """The parts of one mesh, each with one concern.

    Attributes:
        app_id: the app.
        namespace: the Postgres schema.
        guid: by which others name this process.
        host: what runs in this process.
        starts: how jobs begin.
        interrupts: how they are ended from outside.
        signals: what reaches them from outside.
        inspection: how they stand.
        removal: their deletion.
        search: finds and counts them.
        subscriptions: who is called at their ends.
        patterns: the same, by patterns of topics.
        escalations: what waits for a person.
        admin: the versions of the app.
        quorum: this process as one of those that take part.
        quorum_calls: what is asked of all of them.
    """

    app_id: str
    namespace: str
    guid: str
    host: MeshHost
    starts: JobStarts
    interrupts: JobInterrupts
    signals: JobSignals
    inspection: JobInspection
    removal: JobRemoval
    search: Search
    subscriptions: Subscriptions
    patterns: PatternSubscriptions
    escalations: Escalations
    admin: Admin
    quorum: QuorumMember
    quorum_calls: QuorumCalls


@dataclass(frozen=True, slots=True)
class _Ground:
    """What several parts of a mesh share."""

    settings: MeshSettings
    resources: Resources
    versions: Versions
    quorum: QuorumMember
    topics: ServedTopics
    breakage: Breakage
    membership: Membership
    pace: Pace
    steps: GraphSteps
    jobs: JobQueries
    waiters: EndWaiters[JobSnapshot]
    functions: FunctionJobs
    function_starts: FunctionStarts
    function_ends: FunctionEnds
    declared: InterfaceChecker
    wake: EngineWake
    announcements: CommitAnnouncements


async def open_resources(settings: MeshSettings) -> Resources:
    """Connect, and bring the schema up to date where there is an engine; else check it."""
    database = await _database(settings.connection, settings.namespace, settings.direct)
    try:
        await (migrate(database) if settings.engine else require(database))
        return await Resources.open(database)
    except BaseException:
        await database.close()
        raise


async def _database(connection: object, namespace: str | None, direct: str | None) -> Database:
    if isinstance(connection, Client):
        if direct is not None:
            raise ConfigurationError(
                "a Client has its own direct way: give direct_dsn to durable.connect()"
            )
        schema = namespace or connection.namespace
        return await Database.at(connection.services.address, schema=schema)
    schema = namespace or "durable"
    if isinstance(connection, str):
        return await Database.open(connection, schema=schema, direct=direct)
    if isinstance(connection, Pool):
        return await Database.within(connection, schema=schema, direct=direct)
    raise ConfigurationError(
        f"connection= is of type {type(connection).__name__!r}: give a DSN, a Client from"
        " durable.connect(), or an asyncpg pool"
    )


def compose(settings: MeshSettings, resources: Resources) -> MeshParts:
    """Build one mesh; nothing of it runs before its host begins."""
    guid = settings.guid or new_id()
    ground = _ground(settings, resources, guid)
    database, app_id, jobs = resources.database, settings.app_id, ground.jobs
    engine = _engine(ground, guid) if settings.engine else None
    hosted = _hosted(ground, engine)
    on_committed = ground.announcements.on_committed
    lookup = JobLookup(app_id, jobs, ground.functions)
    functions = FunctionSignals(
        app_id, ground.functions, ground.declared, RunStream(database), resources.announcer
    )
    resolving = EscalationSteps(database, ground.versions.plans, settings.retry, random.random)
    bus, roster = ground.quorum.bus, ground.quorum.roster
    statistics = Statistics(database, ground.versions.plans, app_id, ground.wake)
    return MeshParts(
        app_id=app_id,
        namespace=database.schema,
        guid=guid,
        host=MeshHost(settings, resources, hosted),
        starts=JobStarts(
            app_id,
            ground.steps,
            None if engine is None else engine.local,
            ground.waiters,
            ground.function_starts,
            on_committed,
        ),
        interrupts=JobInterrupts(
            ground.steps,
            Terminations(JobStore(database), resources.announcer),
            lookup,
            on_committed,
        ),
        signals=JobSignals(app_id, Signals(database, ground.wake), functions, statistics),
        inspection=JobInspection(lookup, jobs),
        removal=JobRemoval(app_id, lookup, resources.retention),
        search=Search(app_id, database, statistics),
        subscriptions=hosted.subscriptions,
        patterns=hosted.patterns,
        escalations=Escalations(database, app_id, resolving, on_committed),
        admin=Admin(app_id, ground.versions, bus, roster, ground.declared),
        quorum=ground.quorum,
        quorum_calls=QuorumCalls(database, app_id, bus, roster, resources.announcer),
    )


def _ground(settings: MeshSettings, resources: Resources, guid: str) -> _Ground:
    database, app_id = resources.database, settings.app_id
    versions = Versions(database)
    quorum = QuorumMember(database, app_id, guid, versions)
    topics, breakage = ServedTopics(), Breakage(app_id)
    membership = _membership(app_id, resources, topics, quorum, breakage)
    pace = Pace(guid, quorum.duress.rest)
    jobs = JobQueries(database, versions.plans)
    waiters = EndWaiters("a mesh", channels.waiter(database.schema, new_id()), jobs)
    functions = FunctionJobs(database, app_id)
    declared = InterfaceChecker(JobStore(database))
    channel = channels.engine(database.schema, app_id)
    wake = EngineWake(resources.notifier, channel, local=settings.engine)
    return _Ground(
        settings,
        resources,
        versions,
        quorum,
        topics,
        breakage,
        membership,
        pace,
        GraphSteps(
            database, versions.plans, settings.retry, random.random, pace, lambda: membership.id
        ),
        jobs,
        waiters,
        functions,
        FunctionStarts(
            app_id,
            JobStore(database),
            resources.announcer,
            EndWaiters("a mesh", channels.waiter(database.schema, new_id()), functions),
            declared,
        ),
        FunctionEnds(
            (database.schema, app_id), guid, FunctionJobStore(database), declared, functions
        ),
        declared,
        wake,
        CommitAnnouncements(
            (database.schema, app_id),
            (resources.notifier, resources.announcer),
            topics,
            waiters,
            wake,
        ),
    )


def _engine(ground: _Ground, guid: str) -> GraphEngine:
    database, app_id = ground.resources.database, ground.settings.app_id
    on_committed, duress = ground.announcements.on_committed, ground.quorum.duress
    services = LocalPathServices(
        ground.versions.at_hand,
        ground.settings.retry,
        random.random,
        ground.topics,
        on_committed,
        guid,
        ground.membership.clock,
        duress.record,
        duress.rest,
    )
    return GraphEngine(
        Interpreter(ground.steps, app_id, on_committed, ground.pace, duress.record),
        Timers(database, ground.pace),
        LocalPath(database, app_id, ground.steps, services),
        ground.pace,
        ground.settings.retry,
    )


def _hosted(ground: _Ground, engine: GraphEngine | None) -> Hosted:
    app_id, listener = ground.settings.app_id, ground.resources.listener
    namespace, jobs, versions = ground.resources.database.schema, ground.jobs, ground.versions
    ends = ground.function_ends
    loop = None
    if engine is not None:
        loop = EngineLoop(app_id, engine, ground.wake.event, ground.breakage.record)
    return Hosted(
        ground.membership,
        ground.topics,
        None if engine is None or loop is None else (loop, engine.local),
        ground.wake,
        LoopWatch(ground.membership, ground.topics, engine),
        ground.quorum,
        (ground.waiters, ground.function_starts.waiters),
        Subscriptions((namespace, app_id), listener, jobs, versions, ends),
        PatternSubscriptions(
            app_id,
            Subscriptions((namespace, app_id), listener, jobs, versions, ends),
            versions,
            ground.quorum,
        ),
        ground.breakage,
    )


def _membership(
    app_id: str,
    resources: Resources,
    topics: ServedTopics,
    quorum: QuorumMember,
    breakage: Breakage,
) -> Membership:
    def joined(member: int) -> None:
        """This process is a new member, and may take work again."""
        quorum.rejoin(member)
        topics.wake()

    return Membership(
        resources.database.address,
        resources.database.schema,
        app_id,
        resources.announcer,
        MemberCallbacks(
            topics.busy, topics.abandon, joined, resources.janitor.due, breakage.record
        ),
    )
