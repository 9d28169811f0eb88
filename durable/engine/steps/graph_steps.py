"""The place where steps of hand-written graphs are committed.

A step claims messages, locks and loads the jobs they are for, walks each job on, writes what that
leads to and deletes the messages: one transaction. A crash at any point leaves what was there
before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from durable.descriptor.plan import Plan
from durable.engine.collation import addresses
from durable.engine.copies import changed
from durable.engine.effects import Interruption, Reply
from durable.engine.job import PENDING, RUNNING, Instance, Job, decode
from durable.engine.outcomes import outcome_reply
from durable.engine.steps.cancellation import WorkflowCancellation
from durable.engine.steps.fan_out import FanOut
from durable.engine.steps.graph_outbox import JobStep, Parent, parent_message
from durable.engine.steps.graph_routing import Rules
from durable.engine.steps.graph_rows import error_text, instance_of, job_of, reply_of
from durable.engine.steps.graph_starts import Start, first_step, resumed
from durable.engine.steps.graph_walk import Continuation, Walk
from durable.engine.steps.graph_writes import CommitReport, GraphWriter
from durable.engine.steps.signal_delivery import Routed, SignalDelivery
from durable.engine.steps.workflow_awaits import GIVEN_UP, WorkflowAwaits
from durable.errors import (
    ConfigurationError,
    DatabaseError,
    DuplicateJob,
    InternalError,
    JobNotFound,
    PayloadError,
)
from durable.postgres.connections import Connection
from durable.postgres.database import Database, Row
from durable.postgres.retries import CALLER_TIMEOUT, retry_until_connected
from durable.protocol.clock import from_datetime
from durable.protocol.codes import CONFLICT, NOT_FOUND
from durable.protocol.graphs import Fault
from durable.protocol.messages import MessageKind
from durable.protocol.retry import RetryPolicy
from durable.store.apps import AppStore
from durable.store.graph_jobs import GraphJobStore
from durable.store.graph_messages import Addressed, EngineStream, Sent
from durable.store.pacing import Pace
from durable.store.retention import RetentionStore
from durable.store.stats import StatsStore

Plans = Callable[[Connection, str, str], Awaitable[Mapping[str, Plan]]]
"""Gives, on a connection, the plans of an app's version, by the topic to which they subscribe."""

BATCH_MAX = 64  # messages in one step: their locks are few, and a batch that fails is soon bisected


@dataclass(frozen=True, slots=True)
class Suspect:
    """A message that an engine had and did not finish, reserved by `member` to apply it alone.

    `losses`: how many had it; all but the first had nothing else, and were lost.
    """

    id: int
    losses: int
    member: int


@dataclass
class EngineStep:
    """One step: what it claimed, even if it failed, counted by type too, and what came of it.

    `suspect`: nothing was applied, since this one is to be applied alone first. `backend`: the
    server's process that has its transaction.
    """

    claimed: list[int] = field(default_factory=list)
    skipped: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    written: CommitReport = field(default_factory=CommitReport)
    suspect: Suspect | None = None
    backend: int = 0

    @property
    def applied(self) -> int:
        """How many messages it has consumed."""
        return len(self.claimed) - self.skipped


@dataclass
class _Batch:
    """Claimed messages, by what is to be done with them."""

    walks: dict[int, Walk] = field(default_factory=dict)
    done: list[int] = field(default_factory=list)
    strays: list[int] = field(default_factory=list)
    now: float = 0.0
    signals: list[Routed] = field(default_factory=list)
    steps: list[JobStep] = field(default_factory=list)
    answers: list[Sent] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)


class UnknownTopic(ConfigurationError):
    """No graph that is active subscribes to a topic; a workflow may have its name."""


class GraphSteps:
    """Commits steps for one database.

    Args:
        plans: where plans come from.
        retry: the policy of work for which neither its activity nor its worker has one.
        rng: gives a number from 0 up to 1, for `@math.random`.
        pace: that of the engine that applies; who only starts jobs needs none.
        member: as which it reserves messages that are to be applied alone; 0: not in this moment.
    """

    def __init__(
        self,
        database: Database,
        plans: Plans,
        retry: RetryPolicy,
        rng: Callable[[], float],
        pace: Pace | None = None,
        member: Callable[[], int] = lambda: 0,
    ) -> None:
        self._db = database
        self._member = member
        self._plans, self._rng = plans, rng
        self._apps = AppStore(database.schema)
        self._jobs = GraphJobStore(database.schema)
        self._stream = EngineStream(database.schema, pace)
        self._retention = RetentionStore(database.schema)
        self._rules = Rules(self._apps)
        self._delivery = SignalDelivery(database.schema, plans, self._rules)
        self._fan_out = FanOut(plans, self._rules, StatsStore(database.schema))
        self._writer = GraphWriter(database.schema, retry)
        self._awaits = WorkflowAwaits(database.schema)
        self._stops = WorkflowCancellation(database.schema)

    async def start(self, start: Start) -> tuple[Job, CommitReport]:
        """Start a job; it is walked on until every branch waits.

        With a request it is sent again when the connection breaks, and starts once: the job that
        the same request has started is the answer.

        Raises `ConfigurationError` for a topic that nothing subscribes to, `DuplicateJob` for an id
        that is taken, `DescriptorError` when the trigger cannot make sense of the data.
        """
        if start.request is None:
            return await self._start(start)
        again = start.named  # whether this request may have happened
        looks = again

        async def send() -> tuple[Job, CommitReport]:
            """Send it; from the second time on, look first."""
            nonlocal again, looks
            looks, again = again, True
            return await self._start(start, look=looks)

        try:
            return await retry_until_connected(send, host=False, limit=CALLER_TIMEOUT)
        except (DatabaseError, DuplicateJob):
            if not looks:
                raise
            async with self._db.connection() as connection:  # it may have won in this very moment
                found = await self._started(connection, start)
            if found is None:
                raise
            return found

    async def _started(
        self, connection: Connection, start: Start
    ) -> tuple[Job, CommitReport] | None:
        """What this request has started; who was to be told of it perhaps was not."""
        row = start.request and await self._jobs.requested(connection, start.request)
        return (job_of(row), CommitReport(sent=True)) if row else None

    async def _start(self, start: Start, *, look: bool = False) -> tuple[Job, CommitReport]:
        async with self._db.connection() as connection, connection.transaction():
            if look and (found := await self._started(connection, start)) is not None:
                return found
            step = await self._begin_active(connection, start)
            await self._writer.lock(connection, [step])
            written = await self._writer.write(connection, [step])
            job, run_id = step.changes.job, written.started[0]
            if run_id is None:
                raise DuplicateJob(f"Duplicate job: {job.jid}", code=CONFLICT, job_id=job.jid)
        return changed(job, run_id=run_id), written

    async def _begin_active(self, connection: Connection, start: Start) -> JobStep:
        """Begin a job on the version that it names, else on the one that is active."""
        active, now = await self._apps.active(connection, start.app_id)
        version = start.version or active
        if version is None:
            raise UnknownTopic(
                f"no version of app {start.app_id!r} is active: deploy one and activate it"
            )
        return await self._begin(connection, start, version, from_datetime(now))

    async def _begin(
        self, connection: Connection, start: Start, version: str, now: float
    ) -> JobStep:
        plan = (await self._plans(connection, start.app_id, version)).get(start.topic)
        if plan is None:
            raise UnknownTopic(
                f"no graph of app {start.app_id!r}, version {version},"
                f" subscribes to {start.topic!r}"
            )
        return first_step(plan, start, version, now, self._rng)

    async def interrupt(self, app_id: str, jid: str, how: Interruption) -> tuple[Job, CommitReport]:
        """End a running job.

        Raises `JobNotFound` when there is none of that id, or it has ended.
        """
        async with self._db.connection() as connection, connection.transaction():
            found = await self._jobs.find(connection, app_id, jid)
            row = None if found is None else await self._jobs.lock_one(connection, found["run_id"])
            if row is None:
                raise JobNotFound(f"Job {jid} not found", code=NOT_FOUND, job_id=jid)
            if row["state"] == PENDING:
                raise JobNotFound(
                    f"Job {jid} is pending, so there is nothing to interrupt: scrub() frees its id",
                    code=CONFLICT,
                    job_id=jid,
                )
            if row["state"] != RUNNING:
                raise JobNotFound(f"Job {jid} already completed", code=CONFLICT, job_id=jid)
            walk = await self._walk(connection, row, {})
            walk.interrupt(how)
            step = JobStep(walk.plan, walk.changes())
            await self._writer.lock(connection, [step])
            written = await self._writer.write(connection, [step])
        return step.changes.job, written

    async def resume(self, app_id: str, jid: str) -> tuple[Job, CommitReport]:
        """Have a pending job begin, or deliver again what a job has put aside.

        Raises `JobNotFound` when there is none of that id, its time is over, or it has begun, and
        nothing is put aside.
        """
        async with self._db.connection() as connection, connection.transaction():
            found = await self._jobs.find(connection, app_id, jid)
            row = None if found is None else await self._jobs.lock_one(connection, found["run_id"])
            if row is None:
                raise JobNotFound(f"Job {jid} not found", code=NOT_FOUND, job_id=jid)
            if row["state"] == RUNNING and await self._stream.deliver_again(
                connection, row["run_id"]
            ):
                return job_of(row), CommitReport(sent=True)
            if row["state"] != PENDING:
                raise JobNotFound(
                    f"Job {jid} is not pending: it has begun", code=CONFLICT, job_id=jid
                )
            walk = await self._walk(connection, row, {})
            step = resumed(walk.plan, walk.job, walk.now, self._rng)
            await self._writer.lock(connection, [step])
            written = await self._writer.write(connection, [step])
        return step.changes.job, written

    async def apply(
        self,
        app_id: str,
        step: EngineStep,
        only: Sequence[int] | None = None,
        member: int | None = None,
    ) -> None:
        """Claim due messages of an app (or of these `only`), apply them and commit.

        `step` is filled as it goes, so that who sees this fail knows what was claimed. `member`:
        they are reserved by it.
        """
        async with self._db.connection() as connection, connection.transaction():
            if only is None:
                rows = await self._stream.claim(connection, app_id, BATCH_MAX)
            else:
                rows = await self._stream.claim_these(connection, only, member)
            step.claimed = [row["id"] for row in rows]
            step.kinds = Counter(row["msg_type"] for row in rows)
            if not rows:
                return
            step.backend = rows[0]["backend"]
            if only is None and await self._suspects(connection, rows, step):
                step.skipped = len(rows)
                return  # the others are free again at once
            batch = _Batch()
            await self._step_jobs(connection, app_id, rows, batch)
            batch.signals = await self._delivery.route(connection, app_id, rows)
            await self._begin_children(connection, app_id, rows, batch)
            batch.steps.extend(JobStep(w.plan, w.changes()) for w in batch.walks.values())
            asked = await self._awaits.ask(connection, rows, batch.steps)
            await self._awaits.begin(connection, app_id, asked, batch.steps, self._begin_active)
            await self._writer.lock(
                connection, batch.steps, [k for _, keys in batch.signals for k in keys]
            )
            step.written = await self._writer.write(connection, batch.steps)
            await self._awaits.write(connection, asked, step.written)
            overdue, step.written.terminated = await self._stops.carry_out(connection, rows)
            batch.done += overdue
            await self._delivery.deliver(connection, batch.signals)
            for row in rows:
                if row["msg_type"] == MessageKind.FANOUT:
                    batch.answers.extend(await self._fan_out.step(connection, row))
                    batch.done.append(row["id"])
            if batch.answers:
                await self._stream.send(connection, batch.answers)
            if batch.pending:
                await self._retention.forget(connection, batch.pending)
            if batch.strays:
                await self._stream.address(connection, [Addressed(i) for i in batch.strays])
            if batch.done:
                await self._stream.consume(connection, batch.done)
            handled = len(batch.done) + len(batch.strays) + len(batch.signals)
            handled += len(asked.messages)
            step.skipped = len(rows) - handled

    async def _suspects(
        self, connection: Connection, rows: Sequence[Row], step: EngineStep
    ) -> bool:
        """Whether an engine had some of these and did not finish: see the interpreter.

        The one that was lost with the fewest engines is reserved: so the innocent are cleared
        first.
        """
        found = {r["id"]: max(r["losses"], 1) for r in rows if r["unfinished"] or r["losses"]}
        if not found:
            return False
        first, member = min(found, key=found.__getitem__), self._member()
        if member:
            step.suspect = Suspect(first, found[first], member)
        await self._stream.suspect(connection, list(found), first if member else None, member)
        return True

    async def _step_jobs(
        self, connection: Connection, app_id: str, rows: Sequence[Row], batch: _Batch
    ) -> None:
        """Walk on the jobs to which messages are addressed."""
        targets = await self._targets(connection, app_id, rows, batch)
        if not targets:
            return
        jobs = {r["run_id"]: r for r in await self._jobs.lock(connection, set(targets.values()))}
        missing = set(targets.values()) - jobs.keys()
        held = {r["run_id"] for r in await self._jobs.read(connection, missing)} if missing else ()
        instances = await self._instances(connection, rows, jobs)
        for row in rows:
            run_id = targets.get(row["id"])
            if run_id is None:
                continue
            if run_id not in jobs:
                if run_id not in held:  # there is no such job any more
                    batch.done.append(row["id"])
                continue
            if jobs[run_id]["state"] == PENDING:  # its timer: it was not resumed in time
                batch.pending.append(run_id)
                batch.done.append(row["id"])
                continue
            if run_id not in batch.walks:
                batch.walks[run_id] = await self._walk(
                    connection, jobs[run_id], instances.get(run_id, {})
                )
            self._feed(batch, batch.walks[run_id], row)

    async def _targets(
        self, connection: Connection, app_id: str, rows: Sequence[Row], batch: _Batch
    ) -> dict[int, int]:
        """Message -> run to which it is addressed; interruptions may name their target by id."""
        targets = {row["id"]: row["run_id"] for row in rows if row["run_id"] is not None}
        for row in rows:
            if row["msg_type"] == MessageKind.INTERRUPT and row["run_id"] is None:
                found = await self._jobs.find(connection, app_id, decode(row["message"])["target"])
                if found is None or found["state"] != RUNNING:
                    batch.done.append(row["id"])
                else:
                    targets[row["id"]] = found["run_id"]
            elif row["msg_type"] == MessageKind.ABANDON:
                run_id, comes = await self._awaits.given_up(connection, row)
                if run_id is not None:
                    targets[row["id"]] = run_id
                elif not comes:
                    batch.done.append(row["id"])
        return targets

    async def _instances(
        self, connection: Connection, rows: Sequence[Row], jobs: Mapping[int, Row]
    ) -> dict[int, dict[tuple[str, str], Instance]]:
        wanted = {
            (row["run_id"], dad)
            for row in rows
            if row["run_id"] in jobs and row["dad"] is not None
            for dad in addresses.lineage(row["dad"])
        }
        found: dict[int, dict[tuple[str, str], Instance]] = {}
        for row in await self._jobs.instances(connection, wanted) if wanted else ():
            found.setdefault(row["run_id"], {})[row["dad"], row["aid"]] = instance_of(row)
        return found

    async def _walk(
        self, connection: Connection, row: Row, instances: dict[tuple[str, str], Instance]
    ) -> Walk:
        plans = await self._plans(connection, row["app_id"], row["graph_version"])
        if row["graph"] not in plans:
            raise InternalError(
                f"job {row['jid']!r} runs graph {row['graph']!r}, which its version lacks"
            )
        return Walk(
            plans[row["graph"]], job_of(row), instances, from_datetime(row["now"]), self._rng
        )

    def _feed(self, batch: _Batch, walk: Walk, row: Row) -> None:
        kind, aid, dad = MessageKind(row["msg_type"]), row["aid"], row["dad"]
        if kind == MessageKind.WEBHOOK and not walk.takes(aid, dad):
            batch.strays.append(
                row["id"]
            )  # its waiter went by in this moment: it finds another, or waits
            return
        batch.done.append(row["id"])
        if kind == MessageKind.INTERRUPT:
            walk.interrupt(interruption_of(decode(row["message"])))
        elif kind == MessageKind.ABANDON:
            walk.interrupt(GIVEN_UP)
        elif kind == MessageKind.TRANSITION:
            found = decode(row["message"])
            walk.enter(Continuation(aid, dad, found.get("cycles", 0), found.get("data")))
        else:
            read = outcome_reply if kind == MessageKind.OUTCOME else partial(reply_of, kind)
            walk.reply(aid, dad, read(row["message"]))

    async def _begin_children(
        self, connection: Connection, app_id: str, rows: Sequence[Row], batch: _Batch
    ) -> None:
        asked = [row for row in rows if row["msg_type"] == MessageKind.AWAIT]
        if not asked:
            return
        parents = {decode(row["message"])["parent"]["run_id"] for row in asked}
        states = {r["run_id"]: r for r in await self._jobs.read(connection, parents)}
        for row in asked:
            batch.done.append(row["id"])
            message = decode(row["message"])
            parent = Parent(**message["parent"])
            here = states.get(parent.run_id)
            if here is None or (message["awaited"] and here["state"] != RUNNING):
                continue
            start = Start(
                app_id, row["topic"], message["data"], message["metadata"],
                parent=parent, awaited=message["awaited"],
            )  # fmt: skip
            try:
                batch.steps.append(
                    await self._begin(
                        connection, start, message["version"], from_datetime(here["now"])
                    )
                )
            except (ConfigurationError, PayloadError) as error:
                code = getattr(error, "code", NOT_FOUND)
                reply = Reply(
                    MessageKind.RESULT, {}, "error", code, Fault(code, str(error), parent.jid)
                )
                batch.answers.append(parent_message(app_id, row["topic"], parent, reply))

    async def release(self, member: int) -> None:
        """Let others apply what a member has reserved, uncounted."""
        async with self._db.connection() as connection:
            await self._stream.release(connection, member)

    async def put_aside(self, message_id: int, error: Fault) -> None:
        """Put a message aside that engines die of; its job waits for who delivers it again."""
        async with self._db.connection() as connection:
            await self._stream.dead_letter(connection, message_id, error_text(error) or "{}")

    async def dead_letter(self, message_id: int, error: Fault) -> CommitReport:
        """Put a message aside that cannot be applied, and end its job with the error."""
        async with self._db.connection() as connection, connection.transaction():
            run_id = await self._stream.dead_letter(
                connection, message_id, error_text(error) or "{}"
            )
            if run_id is None:
                return await self._awaits.dead_letter(connection, message_id, error)
            row = await self._jobs.lock_one(connection, run_id)
            if row is None or row["state"] != RUNNING:
                return CommitReport()
            walk = await self._walk(connection, row, {})
            walk.fail(error)
            step = JobStep(walk.plan, walk.changes())
            await self._writer.lock(connection, [step])
            return await self._writer.write(connection, [step])


def interruption_of(message: Mapping[str, Any]) -> Interruption:
    """An interruption that came as a message."""
    names = ("reason", "code", "throw", "descend", "stack", "expire")
    return Interruption(*(message[name] for name in names))
