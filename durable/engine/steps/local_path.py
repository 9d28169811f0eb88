"""The local path of graph jobs: starts and answers of one process, many in a statement.

A job that this process started, and whose work its own workers do, is kept in memory as it was last
written. When such a worker answers, the step is computed in memory, and one statement ends the
attempt, writes the step and reserves the work that follows for this process. Claims, reads and
announcements are saved. Steps that gather while a statement is in flight go with the next one.

The path is optimistic: the statement accepts a job only at its cached revision, while the attempt
is still ours and unthrottled. All other steps take the path of `graph_steps`, which locks, reads
and walks; both write the same.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from durable.descriptor.plan import Plan
from durable.engine.copies import changed
from durable.engine.extension import Extension
from durable.engine.job import Instance, Job, decode, encode
from durable.engine.steps.graph_commits import (
    CommittedStep,
    GraphCommits,
    Outgoing,
    PlainStart,
    PlainStep,
    is_plain_start,
    is_plain_step,
)
from durable.engine.steps.graph_outbox import JobStep
from durable.engine.steps.graph_rows import reply_of
from durable.engine.steps.graph_starts import Start, first_step, new_job
from durable.engine.steps.graph_steps import GraphSteps
from durable.engine.steps.graph_walk import Walk
from durable.engine.steps.graph_writes import CommitReport, OnCommitted
from durable.errors import DatabaseError, PayloadError
from durable.postgres.database import Database, Lane
from durable.postgres.retries import CALLER_TIMEOUT
from durable.protocol.clock import Clock, from_datetime
from durable.protocol.messages import MessageKind
from durable.protocol.retry import RetryPolicy
from durable.runtime.batching import Batch, Batcher, Repeatable
from durable.store.graph_messages import Taken, work_stream
from durable.store.work_slots import WorkSlots
from durable.telemetry.logs import logger

NOTHING_BESIDE = Extension()
GROUP = 64  # jobs of one statement: of more, all would wait for Postgres while this process idles
KNOWN_MAX = 10_000  # jobs kept in memory
KNOWN_BYTES_MAX = 64 << 20  # of JSON text, of all of them together; as values they take more
GRACE = 3.0  # seconds that closing waits for what is in flight
INSTANCES_MAX = 200  # of one job: what has cycled longer is read from the tables again

Plans = Callable[[str, str], Mapping[str, Plan] | None]
"""Gives the plans of an app's version when they are at hand."""


@dataclass(frozen=True, slots=True)
class LocalPathServices:
    """What the path needs of its process.

    Args:
        plans: those that are at hand. retry: the policy of work that has none. rng: a number from
            0 up to 1. slots: the workers. on_committed: called with each report.
            consumer: the guid of the engine. clock: the database's time, as it is known here.
            record: called with each commit's messages, by type, and its milliseconds. resting:
            seconds that back pressure makes engines rest between claims; then the queue path is
            taken.
    """

    plans: Plans
    retry: RetryPolicy
    rng: Callable[[], float]
    slots: WorkSlots
    on_committed: OnCommitted
    consumer: str
    clock: Clock
    record: Callable[[Mapping[str, int], float], None]
    resting: Callable[[], float]


@dataclass(slots=True)
class _CachedJob:
    """A job as it was last written here; `queue`: answers that wait for the one in flight."""

    job: Job
    plan: Plan
    instances: dict[tuple[str, str], Instance]
    revision: int = 0
    busy: bool = False
    queue: deque[_WorkerAnswer] = field(default_factory=deque)
    size: int = 0


@dataclass(slots=True)
class _WorkerAnswer:
    """What a worker answered; `passed` becomes False when it has to take the other path."""

    member: int
    taken: Taken
    text: str
    passed: asyncio.Future[bool]


@dataclass(slots=True)
class _StartInFlight:
    """A start on its way."""

    step: JobStep
    version: str
    commit: PlainStart


@dataclass(slots=True)
class _StepInFlight:
    """An answer on its way, with the step that it leads to."""

    known: _CachedJob
    answer: _WorkerAnswer
    step: JobStep
    commit: PlainStep


class LocalPath:
    """The local path of one app in one process, and the way on to the other where it ends.

    Attributes:
        pulses: signs of life of its two lanes.
        walking: whether the step of an answer is being taken, for the thread that watches.
    """

    def __init__(
        self, database: Database, app_id: str, steps: GraphSteps, services: LocalPathServices
    ) -> None:
        self._app_id = app_id
        self._steps = steps
        self._services = services
        self._commits = GraphCommits(database.schema, app_id, services.consumer)
        self._start_lane, self._step_lane = Lane(database.address), Lane(database.address)
        starts = Repeatable(
            "a start", self._send_starts, self._start_lane.probe, limit=CALLER_TIMEOUT
        )
        answers = Repeatable("a worker's answer", self._send_answers, self._step_lane.probe)
        self._starts = Batcher(starts, most=GROUP, limit=CALLER_TIMEOUT)
        self._answers = Batcher(answers, most=GROUP)
        self._known: OrderedDict[int, _CachedJob] = OrderedDict()
        self._size = 0
        self._active: str | None = None
        self.pulses = (self._starts.pulse, self._answers.pulse)
        self.walking = False
        self._closed = False

    async def start(self, start: Start) -> Job:
        """Start a job on the active version. Raises what `GraphSteps.start` raises."""
        first = None if self._closed else self._first(start)
        if first is not None:
            first.commit.out.reserve_slots(self._services.slots)
            try:
                job = await self._starts.submit(first)
            except Exception:  # whatever it is: the slots are of use to others
                if first.commit.out.slots:
                    first.commit.out.release_slots(self._services.slots)
                raise
            if job is not None:
                return job
        job, written = await self._steps.start(start)
        self._active = job.version
        self._services.on_committed(written)
        return job

    def _first(self, start: Start) -> _StartInFlight | None:
        version = self._active
        plans = None if version is None else self._services.plans(self._app_id, version)
        plan = None if plans is None else plans.get(start.topic)
        if version is None or plan is None or plan.nodes[plan.trigger].job_id is not None:
            return None
        if start.extension != NOTHING_BESIDE or start.version is not None or start.named:
            return None
        # Both paths go on from what is in the tables, so this one must too.
        start = changed(start, data=decode(encode(start.data, f"the input for {start.topic!r}")))
        try:
            step = first_step(plan, start, version, self._services.clock.now(), self._services.rng)
            job = new_job(step)
            if not is_plain_start(step, job):
                return None
            return _StartInFlight(
                step, version, PlainStart(job, Outgoing.of(step, self._services.retry))
            )
        except Exception:  # noqa: BLE001 - that version may not be active any more
            return None  # the other path judges by the one that is, and fails where it must

    def answer(self, member: int, taken: Taken, text: str) -> asyncio.Future[bool] | None:
        """End an attempt with its answer, and step its job.

        `text` is the reply as a message. After None, or a result of False, the tables are
        unchanged, and the answer has to go as a message to the engines.
        """
        known = self._known.get(taken.run_id)
        if known is None or self._services.resting() > 0:
            return None
        answer = _WorkerAnswer(member, taken, text, asyncio.get_running_loop().create_future())
        known.queue.append(answer)
        if not known.busy:
            self._step(known)
        return answer.passed

    async def settled(self) -> None:
        """Return once what is being committed now is through."""
        await self._starts.settled()
        await self._answers.settled()

    async def close(self) -> None:
        """Finish what is in flight; what is started from now on takes the other path."""
        self._closed = True
        await self._starts.close(GRACE)
        await self._answers.close(GRACE)
        await self._start_lane.close()
        await self._step_lane.close()

    # --- steps in memory -------------------------------------------------------------------------

    def _step(self, known: _CachedJob) -> None:
        """Take the step of the next answer, if it is a plain one; else all go the other path."""
        following = None
        self.walking = True
        try:
            following = self._following(known, known.queue[0])
        finally:  # an answer that fails here fails on the queue path too, which dead-letters it
            self.walking = False
            if following is None:
                self._forget(known)
        if following is not None:
            known.queue.popleft()
            known.busy = True
            following.commit.out.reserve_slots(self._services.slots)
            self._answers.submit(following).add_done_callback(partial(self._sent, following))

    def _sent(self, one: _StepInFlight, sent: asyncio.Future[bool]) -> None:
        """An answer whose commit failed takes the queue path, which may dead-letter it."""
        error = None if sent.cancelled() else sent.exception()
        if error is not None:
            jid = one.known.job.jid
            logger.warning("job %r goes on by the queue path: %s", jid, error, exc_info=_bug(error))
        if sent.cancelled() or error is not None:
            self._stepped(one, None, CommitReport())

    def _following(self, known: _CachedJob, answer: _WorkerAnswer) -> _StepInFlight | None:
        taken, now = answer.taken, self._services.clock.now()
        walk = Walk(known.plan, known.job, dict(known.instances), now, self._services.rng)
        if not walk.takes(taken.aid, taken.dad):
            return None
        walk.reply(taken.aid, taken.dad, reply_of(MessageKind.RESPONSE, answer.text))
        step = JobStep(known.plan, walk.changes())
        job = step.changes.job
        if job.metadata is not known.job.metadata or not is_plain_step(step):
            return None
        try:
            out = Outgoing.of(step, self._services.retry)
            text = encode(job.data, f"the data of job {job.jid!r}")
        except PayloadError:
            return None
        keeps = float(job.metadata.get("expire", 1)) if step.changes.over else 0.0
        advance = PlainStep(
            job.run_id,
            known.revision,
            taken.id,
            answer.member,
            job.state,
            job.status,
            text,
            keeps if keeps > 0 else None,
            out,
        )
        return _StepInFlight(known, answer, step, advance)

    def _remember(self, known: _CachedJob, out: Outgoing) -> None:
        for work in out.work:
            if self._services.slots.serves(work_stream(work.app_id, work.topic)):
                self._known[known.job.run_id] = known
                self._grow(known, out)
                break

    def _grow(self, known: _CachedJob, out: Outgoing) -> None:
        """Count what has come to a job; when there is too much, the oldest jobs are forgotten."""
        if known.job.run_id not in self._known:
            return
        size = out.size
        known.size += size
        self._size += size
        while len(self._known) > KNOWN_MAX or self._size > KNOWN_BYTES_MAX:
            self._forget(next(iter(self._known.values())))

    def _forget(self, known: _CachedJob) -> None:
        """Drop a job from the cache; the answers that wait for it take the queue path."""
        if self._known.pop(known.job.run_id, None) is not None:
            self._size -= known.size
        while known.queue:
            _pass(known.queue.popleft(), passed=False)

    # --- commits ---------------------------------------------------------------------------------

    async def _send_starts(self, batch: Batch[_StartInFlight]) -> list[Job | None]:
        passed = await self._begin(batch.items, again=batch.again)
        written = CommitReport()
        jobs = [self._begun(f, p, written) for f, p in zip(batch.items, passed, strict=True)]
        self._services.on_committed(written)
        return jobs

    async def _begin(
        self, firsts: Sequence[_StartInFlight], *, again: bool
    ) -> list[CommittedStep | None]:
        passed: dict[int, CommittedStep | None] = {}
        for version in {first.version for first in firsts}:
            places = [place for place, first in enumerate(firsts) if first.version == version]
            starts = [firsts[place].commit for place in places]
            found = await self._commits.begin(self._start_lane, version, starts)
            if again and None in found:
                known = await self._commits.begun(self._start_lane, starts)
                found = [one or other for one, other in zip(found, known, strict=True)]
            passed.update(zip(places, found, strict=True))
        return [passed[place] for place in range(len(firsts))]

    def _begun(
        self, first: _StartInFlight, passed: CommittedStep | None, written: CommitReport
    ) -> Job | None:
        out = first.commit.out
        if passed is None:
            self._active = None
            out.release_slots(self._services.slots)
            return None
        now = from_datetime(passed.now)
        job = changed(first.step.changes.job, run_id=passed.run_id, created_at=now)
        instances = {(i.dad, i.aid): i for i in first.step.changes.instances}
        self._remember(_CachedJob(job, first.step.plan, instances), out)
        written.legs.extend(first.step.changes.legs)
        self._slot(out, passed, written)
        return job

    async def _send_answers(self, batch: Batch[_StepInFlight]) -> list[bool]:
        flew = asyncio.get_running_loop().time()
        steps = [one.commit for one in batch.items]
        passed = await self._commits.advance(self._step_lane, steps)
        self._record(MessageKind.RESPONSE, len(batch.items), flew)
        written = CommitReport()
        for one, result in zip(batch.items, passed, strict=True):
            self._stepped(one, result, written)
        self._services.on_committed(written)
        return [result is not None for result in passed]

    def _stepped(
        self, one: _StepInFlight, passed: CommittedStep | None, written: CommitReport
    ) -> None:
        known, out = one.known, one.commit.out
        known.busy = False
        if passed is None:
            out.release_slots(self._services.slots)
            self._forget(known)
            _pass(one.answer, passed=False)
            return
        known.job, known.revision = one.step.changes.job, known.revision + 1
        known.instances.update({(i.dad, i.aid): i for i in one.step.changes.instances})
        if one.step.changes.over:
            ended = changed(known.job, finished_at=from_datetime(passed.now))
            written.ended.append((ended, known.plan))
            self._forget(known)
        elif len(known.instances) > INSTANCES_MAX:
            self._forget(known)
        else:
            self._grow(known, out)
        if known.queue:
            asyncio.get_running_loop().call_soon(self._go_on, known)
        written.legs.extend(one.step.changes.legs)
        self._slot(out, passed, written)
        _pass(one.answer, passed=True)

    def _go_on(self, known: _CachedJob) -> None:
        if known.queue and not known.busy:
            self._step(known)

    def _slot(self, out: Outgoing, passed: CommittedStep, written: CommitReport) -> None:
        """Have the work begin that took its slot; the rest waits in its stream."""
        slots = zip(out.work, out.slots, strict=True)
        for place, (work, slot) in enumerate(slots):
            if slot is not None:
                stream = work_stream(work.app_id, work.topic)
                self._services.slots.slot_taken(stream, slot, passed.taken.get(place))
        written.streams |= passed.streams
        written.sent = written.sent or passed.sent

    def _record(self, kind: str, messages: int, since: float) -> None:
        self._services.record({kind: messages}, (asyncio.get_running_loop().time() - since) * 1000)


def _pass(answer: _WorkerAnswer, *, passed: bool) -> None:
    if not answer.passed.done():
        answer.passed.set_result(passed)


def _bug(error: BaseException) -> BaseException | None:
    return None if isinstance(error, DatabaseError) else error
