"""The place where steps of hand-written graphs are committed.

A step claims messages, locks and loads the jobs they are for, walks each job on, writes what that
leads to and deletes the messages: one transaction. A crash at any point leaves what was there
before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from durable.engine.copies import changed
from durable.engine.effects import Interruption
from durable.engine.job import PENDING, RUNNING, Job
from durable.engine.steps.cancellation import WorkflowCancellation
from durable.engine.steps.fan_out import FanOut
from durable.engine.steps.graph_outbox import JobStep
from durable.engine.steps.graph_routing import Rules
from durable.engine.steps.graph_rows import error_text, job_of
from durable.engine.steps.graph_starts import Start, resumed
from durable.engine.steps.graph_walks import JobWalks, Plans
from durable.engine.steps.graph_writes import CommitReport, GraphWriter
from durable.engine.steps.message_batch import MessageBatch
from durable.engine.steps.signal_delivery import SignalDelivery
from durable.engine.steps.workflow_awaits import WorkflowAwaits
from durable.errors import (
    DatabaseError,
    DuplicateJob,
    JobNotFound,
)
from durable.postgres.connections import Connection
from durable.postgres.database import Database, Row
from durable.postgres.retries import CALLER_TIMEOUT, retry_until_connected
from durable.protocol.codes import CONFLICT, NOT_FOUND
from durable.protocol.graphs import Fault
from durable.protocol.messages import MessageKind
from durable.protocol.retry import RetryPolicy
from durable.store.apps import AppStore
from durable.store.graph_jobs import GraphJobStore
from durable.store.graph_messages import Addressed, EngineStream
from durable.store.pacing import Pace
from durable.store.retention import RetentionStore
from durable.store.stats import StatsStore

BATCH_MAX = 64  # messages in one step: their locks are few, and a batch that fails is soon bisected


@dataclass(frozen=True, slots=True)
class Suspect:
    """A message that an engine claimed and did not finish; `member` reserves it to apply it alone.

    `losses`: how many engines stopped at it; all but the first applied it alone.
    """

    id: int
    losses: int
    member: int


@dataclass
class EngineStep:
    """One step: the claimed messages, even of a failed step, counts by type, and the result.

    `suspect`: the message to apply alone first, before any other. `backend`: the server process of
    its transaction.
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


class GraphSteps:
    """Commits steps for one database.

    Args:
        plans: where plans come from.
        retry: the policy of work for which neither its activity nor its worker has one.
        rng: gives a number from 0 up to 1, for `@math.random`.
        pace: that of the engine that applies; None for one that only starts jobs.
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
        self._rng = rng
        self._loader = JobWalks(database.schema, plans, rng)
        self._jobs = GraphJobStore(database.schema)
        self._stream = EngineStream(database.schema, pace)
        self._retention = RetentionStore(database.schema)
        rules = Rules(AppStore(database.schema))
        self._delivery = SignalDelivery(database.schema, plans, rules)
        self._fan_out = FanOut(plans, rules, StatsStore(database.schema))
        self._writer = GraphWriter(database.schema, retry)
        self._awaits = WorkflowAwaits(database.schema)
        self._stops = WorkflowCancellation(database.schema)

    async def start(self, start: Start) -> tuple[Job, CommitReport]:
        """Start a job; it is walked on until every branch waits.

        With a request it is sent again when the connection breaks, and starts once: the job that
        the same request has started is the answer.

        Raises `ConfigurationError` for a topic without a subscribed graph, `DuplicateJob` for
        an id that is taken, `DescriptorError` when the trigger cannot make sense of the data.
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
        """The job that this request has started; engines are notified once more."""
        row = start.request and await self._jobs.requested(connection, start.request)
        return (job_of(row), CommitReport(sent=True)) if row else None

    async def _start(self, start: Start, *, look: bool = False) -> tuple[Job, CommitReport]:
        async with self._db.connection() as connection, connection.transaction():
            if look and (found := await self._started(connection, start)) is not None:
                return found
            step = await self._loader.begin_active(connection, start)
            await self._writer.lock(connection, [step])
            written = await self._writer.write(connection, [step])
            job, run_id = step.changes.job, written.started[0]
            if run_id is None:
                raise DuplicateJob(f"Duplicate job: {job.jid}", code=CONFLICT, job_id=job.jid)
        return changed(job, run_id=run_id), written

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
            walk = await self._loader.load(connection, row)
            walk.interrupt(how)
            step = JobStep(walk.plan, walk.changes())
            await self._writer.lock(connection, [step])
            written = await self._writer.write(connection, [step])
        return step.changes.job, written

    async def resume(self, app_id: str, jid: str) -> tuple[Job, CommitReport]:
        """Begin a pending job, or deliver the dead letters of a running one again.

        Raises `JobNotFound` when the id is unknown, the job has expired, or it has begun and has
        no dead letters.
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
            walk = await self._loader.load(connection, row)
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

        `step` is filled on the way, so that the caller knows the claimed messages after a failure.
        `member` has reserved them.
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
            batch = MessageBatch(app_id, self._jobs, self._loader, self._awaits)
            await batch.step_jobs(connection, rows)
            signals = await self._delivery.route(connection, app_id, rows)
            await batch.begin_children(connection, rows)
            batch.steps.extend(JobStep(w.plan, w.changes()) for w in batch.walks.values())
            asked = await self._awaits.ask(connection, rows, batch.steps)
            await self._awaits.begin(
                connection, app_id, asked, batch.steps, self._loader.begin_active
            )
            await self._writer.lock(
                connection, batch.steps, [k for _, keys in signals for k in keys]
            )
            step.written = await self._writer.write(connection, batch.steps)
            await self._awaits.write(connection, asked, step.written)
            overdue, step.written.terminated = await self._stops.carry_out(connection, rows)
            batch.done += overdue
            await self._delivery.deliver(connection, signals)
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
            handled = len(batch.done) + len(batch.strays) + len(signals)
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

    async def release(self, member: int) -> None:
        """Let others apply what a member has reserved, uncounted."""
        async with self._db.connection() as connection:
            await self._stream.release(connection, member)

    async def put_aside(self, message_id: int, error: Fault) -> None:
        """Dead-letter a message that stops engines; its job waits until it is delivered again."""
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
            walk = await self._loader.load(connection, row)
            walk.fail(error)
            step = JobStep(walk.plan, walk.changes())
            await self._writer.lock(connection, [step])
            return await self._writer.write(connection, [step])
