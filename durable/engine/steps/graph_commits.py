"""The two statements that commit plain steps of graph jobs: starts, and answers with their steps.

A step is plain when it writes only its job, activities, work, and messages to engines. A step that
needs a lock of its own or further tables takes the path of `graph_steps`, and so does every effect
that this module does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any
from uuid import UUID

from durable.engine.effects import ArmTimer, Dispatch, Interrupt, SendSignal, StartJob
from durable.engine.job import COMPLETED, RUNNING
from durable.engine.steps.graph_outbox import JobStep, end_messages, step_messages, work_of
from durable.engine.steps.graph_rows import saved_instance
from durable.engine.steps.graph_walk import Changes
from durable.postgres.columns import BigInt, Float, Integer, Text, Uuid
from durable.postgres.database import Lane, Row
from durable.postgres.sql import SqlFile
from durable.protocol.carriers import carrier
from durable.protocol.retry import RetryPolicy
from durable.store.graph_jobs import NewJob, SavedInstance
from durable.store.graph_messages import Sent, Taken, Work, WorkRow, work_row, work_stream
from durable.store.work_slots import WorkSlot, WorkSlots, taken_by

PLAIN_FIRST = (Dispatch, ArmTimer, SendSignal, Interrupt)  # a child's start carries the run's id
PLAIN = (*PLAIN_FIRST, StartJob)

_WRITTEN = {"job", "instances", "effects", "continuations", "ended", "over", "legs"}
_ELSEWHERE = tuple(f.name for f in fields(Changes) if f.name not in _WRITTEN)
_COLUMNS = {
    "jid", "app_id", "graph", "version", "state", "status", "input", "output", "error", "metadata",
    "parent_run_id", "reply_to", "over", "request",
}  # fmt: skip
_NO_COLUMNS = tuple(f.name for f in fields(NewJob) if f.name not in _COLUMNS)


def is_plain_start(step: JobStep, job: NewJob) -> bool:
    """Whether `begin` can carry it: it goes on, under a fresh id, without an awaiter."""
    return (
        job.state == RUNNING
        and not (job.over or job.error or job.parent_run_id or len(job.reply_to) > 1)
        and step.parent is None
        and not any(getattr(job, name) for name in _NO_COLUMNS)
        and _is_plain(step.changes, PLAIN_FIRST)
    )


def is_plain_step(step: JobStep) -> bool:
    """Whether `advance` can carry it: the job goes on, or completes with all activities settled."""
    state, over = step.changes.job.state, step.changes.over
    return (
        state == COMPLETED if over else state == RUNNING and step.changes.job.finished_at is None
    ) and _is_plain(step.changes, PLAIN)


def _is_plain(changes: Changes, plain: tuple[type, ...]) -> bool:
    return all(isinstance(a.effect, plain) for a in changes.effects) and not any(
        getattr(changes, name) for name in _ELSEWHERE
    )


@dataclass(slots=True)
class Outgoing:
    """What a step writes beside its job; `slots` are kept for its work, None where it waits."""

    instances: list[SavedInstance]
    work: list[Work]
    sent: list[Sent]
    slots: list[WorkSlot | None] = field(default_factory=list)

    @classmethod
    def of(cls, step: JobStep, retry: RetryPolicy) -> Outgoing:
        """What a plain step writes. Raises `PayloadError` for what JSON cannot hold."""
        changes, job, run_id = step.changes, step.changes.job, step.changes.job.run_id
        instances = [
            saved_instance(instance, run_id, job.jid)
            for instance in changes.instances
            if instance.aid != step.plan.trigger or step.plan.nodes[instance.aid].output is not None
        ]
        sent = step_messages(step, run_id) if changes.effects or changes.continuations else []
        if changes.over:
            sent.extend(end_messages(job))
        return cls(instances, work_of(step, run_id, retry) if changes.effects else [], sent)

    @property
    def size(self) -> int:
        """The length of what activities were given and have answered."""
        size = 0
        for one in self.instances:
            size += len(one.input or "") + len(one.output or "")
        return size

    def reserve_slots(self, slots: WorkSlots) -> None:
        """Keep a slot for each piece of work, where there is one."""
        self.slots = [slots.slot(work_stream(w.app_id, w.topic)) for w in self.work]

    def release_slots(self, slots: WorkSlots) -> None:
        """Give all kept slots back."""
        for work, slot in zip(self.work, self.slots, strict=True):
            if slot is not None:
                slots.slot_taken(work_stream(work.app_id, work.topic), slot, None)
        self.slots = []


@dataclass(slots=True)
class PlainStart:
    """A start to be committed; its job's id is new, and where it has no request, that is it."""

    job: NewJob
    out: Outgoing

    @property
    def request(self) -> UUID:
        """The id of the start, the same each time it is sent."""
        return self.job.request or UUID(self.job.jid)


@dataclass(slots=True)
class PlainStep:
    """An answer to be committed, with the step that it leads to.

    Args:
        revision: of the job as the step was computed from it. message, member: the attempt, and its
            holder. expire: seconds that the job keeps its id, None unless it is over for good.
    """

    run_id: BigInt
    revision: Integer
    message: BigInt
    member: BigInt
    state: Text
    status: BigInt
    output: Text
    expire: Float | None
    out: Outgoing


@carrier
class StartRow:
    """A job that begins."""

    jid: Text
    graph: Text
    status: BigInt
    request_id: Uuid
    input: Text
    output: Text
    metadata: Text
    reply_to: Text | None


@carrier
class SlotRow:
    """A worker of this process that keeps slots for the work of a stream."""

    stream_name: Text
    topic: Text
    consumer: Text
    member: BigInt


SQL = SqlFile(
    "durable.engine.steps", "sql/graph_commits.sql",
    slots=SlotRow, starts=StartRow, steps=PlainStep, instances=SavedInstance, work=WorkRow,
    messages=Sent,
)  # fmt: skip


@dataclass(slots=True)
class CommittedStep:
    """One that was committed.

    Args:
        now: when, Unix seconds' datetime. taken: the work that took its slot, by place. streams:
            those that hold new work. sent: whether engines have something to look at.
    """

    run_id: int
    now: Any
    taken: dict[int, Taken]
    streams: set[str]
    sent: bool


class GraphCommits:
    """Sends plain steps over a lane; `consumer` is the guid of the engine that takes them."""

    def __init__(self, schema: str, app_id: str, consumer: str) -> None:
        self._sql = SQL.load(schema)
        self._app_id = app_id
        self._consumer = consumer

    async def begin(
        self, lane: Lane, version: str, starts: Sequence[PlainStart]
    ) -> list[CommittedStep | None]:
        """Commit starts; None for those that were not, because another version is active."""
        outs = [s.out for s in starts]
        slots = _slots(outs)
        rows = await lane.fetch(
            *self._sql.bind(
                "begin", app_id=self._app_id, version=version, slots=slots,
                starts=[_start(s.job, s.request) for s in starts],
                instances_of=[s.job.jid for s in starts for _ in s.out.instances],
                instances=[i for s in starts for i in s.out.instances],
                work=_work(outs),
                slot_taken=[slot is not None for out in outs for slot in out.slots],
                messages_of=[s.job.jid for s in starts for _ in s.out.sent],
                messages=[m for s in starts for m in s.out.sent],
            )
        )  # fmt: skip
        ids = {row["word"]: row["run_id"] for row in rows if row["id"] is None}
        return self._passed([(ids.get(s.job.jid), s.out) for s in starts], rows)

    async def begun(self, lane: Lane, starts: Sequence[PlainStart]) -> list[CommittedStep | None]:
        """Which starts have happened: for those of which no answer came."""
        rows = await lane.fetch(*self._sql.bind("begun", requests=[s.request for s in starts]))
        found = {row["request_id"]: row for row in rows}
        return [
            CommittedStep(row["run_id"], row["now"], {}, set(), sent=True)
            if (row := found.get(s.request)) is not None
            else None
            for s in starts
        ]

    async def advance(self, lane: Lane, steps: Sequence[PlainStep]) -> list[CommittedStep | None]:
        """Commit answers with their steps; None for those that were refused."""
        outs = [s.out for s in steps]
        slots = _slots(outs)
        rows = await lane.fetch(
            *self._sql.bind(
                "advance", app_id=self._app_id, consumer=self._consumer, slots=slots,
                steps=steps, instances=[i for s in steps for i in s.out.instances],
                work=_work(outs),
                slot_taken=[slot is not None for out in outs for slot in out.slots],
                messages_of=[s.run_id for s in steps for _ in s.out.sent],
                messages=[m for s in steps for m in s.out.sent],
            )
        )  # fmt: skip
        passed = {row["run_id"] for row in rows if row["id"] is None}
        return self._passed(
            [(s.run_id if s.run_id in passed else None, s.out) for s in steps], rows
        )

    def _passed(
        self, wanted: Iterable[tuple[int | None, Outgoing]], rows: Sequence[Row]
    ) -> list[CommittedStep | None]:
        work = {(r["run_id"], r["word"], r["dad"]): r for r in rows if r["id"] is not None}
        return [
            None if run_id is None else _passed(run_id, out, work, rows[0]["now"])
            for run_id, out in wanted
        ]


def _passed(
    run_id: int, out: Outgoing, rows: Mapping[tuple[int, str, str], Row], now: object
) -> CommittedStep:
    passed = CommittedStep(run_id, now, {}, set(), bool(out.sent))
    for place, (work, slot) in enumerate(_with_slots(out)):
        row = rows[run_id, work.aid, work.dad]
        if slot is not None and row["reserved"]:
            passed.taken[place] = taken_by(slot, work, row["id"], run_id)
        else:
            passed.streams.add(work_stream(work.app_id, work.topic))
    return passed


def _with_slots(out: Outgoing) -> Iterable[tuple[Work, WorkSlot | None]]:
    return zip(out.work, out.slots, strict=True)


def _slots(outs: Iterable[Outgoing]) -> list[SlotRow]:
    """The streams of which slots are kept, each with the worker that keeps them."""
    found: dict[str, SlotRow] = {}
    for out in outs:
        for place, (work, slot) in enumerate(_with_slots(out)):
            if slot is None:
                continue
            name = work_stream(work.app_id, work.topic)
            row = SlotRow(name, work.topic, slot.consumer, slot.member)
            if found.setdefault(name, row).member != slot.member:
                out.slots[place] = None  # it became another member just now: that work waits
    return list(found.values())


def _work(outs: Iterable[Outgoing]) -> list[WorkRow]:
    return [
        work_row(work, work.retry if slot is None else slot.policy(work))
        for out in outs
        for work, slot in _with_slots(out)
    ]


def _start(job: NewJob, request: UUID) -> StartRow:
    reply_to = job.reply_to[0] if job.reply_to else None
    return StartRow(
        job.jid, job.graph, job.status, request, job.input, job.output, job.metadata, reply_to
    )
