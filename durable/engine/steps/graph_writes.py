"""Writes the effects of the steps of graph jobs, in the transaction of the caller.

Locks are taken in one order, so that no two steps can wait for each other: messages and jobs
(skipping locked ones), then all signal keys and job ids at once. All later writes go without
waiting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from durable.descriptor.plan import Plan
from durable.engine.copies import changed
from durable.engine.effects import (
    ActivityEffect,
    AwaitSignal,
)
from durable.engine.job import COMPLETED, Job, decode, encode
from durable.engine.steps.cancellation import WorkflowCancellation
from durable.engine.steps.graph_escalations import EscalationWriter
from durable.engine.steps.graph_outbox import (
    JobStep,
    awaiting_runs,
    end_messages,
    interim_messages,
    interrupt_text,
    start_messages,
    step_messages,
    work_of,
)
from durable.engine.steps.graph_rows import saved_instance, saved_job, saved_state
from durable.engine.steps.graph_starts import new_job
from durable.engine.steps.workflow_starts import WorkflowStarts
from durable.postgres.connections import Connection
from durable.protocol.messages import MessageKind
from durable.protocol.retry import RetryPolicy
from durable.store.graph_jobs import GraphJobStore
from durable.store.graph_messages import EngineStream, Sent, Timers, work_stream
from durable.store.hooks import HookStore, SignalKey, Waiter
from durable.store.interop import Holder, InteropStore
from durable.store.jobs import Terminated
from durable.store.states import StateStore
from durable.store.stats import Measurement, StatsStore
from durable.telemetry.spans import Leg


@dataclass
class CommitReport:
    """What a step has written, for the notifications after its commit.

    Args:
        ended: the jobs that ended, with their plans. started: run ids of the new ones, by index of
            the step.
        emitted: ids of interim states, with job and plan.
        topics: worker streams with new messages. queues: task queues with new workflows, and
            how many. reached: runs of workflows with messages in their inboxes.
        terminated: workflows that were terminated, and their relatives.
        sent: whether engines have new messages or timers.
        legs: the legs to trace.
    """

    ended: list[tuple[Job, Plan]] = field(default_factory=list)
    emitted: list[tuple[int, Job, Plan]] = field(default_factory=list)
    started: dict[int, int | None] = field(default_factory=dict)
    streams: set[str] = field(default_factory=set)
    queues: Counter[str] = field(default_factory=Counter)
    reached: list[Holder] = field(default_factory=list)
    terminated: list[tuple[int, Terminated]] = field(default_factory=list)
    sent: bool = False
    legs: list[Leg] = field(default_factory=list)


class OnCommitted(Protocol):
    """Gets what a commit of graph jobs has written."""

    def __call__(self, written: CommitReport, /) -> object:
        """Announce it."""


class GraphWriter:
    """Writes steps. `retry` is the policy of work for which neither activity nor worker has one."""

    def __init__(self, schema: str, retry: RetryPolicy) -> None:
        self._retry = retry
        self._jobs = GraphJobStore(schema)
        self._states = StateStore(schema)
        self._hooks = HookStore(schema)
        self._stats = StatsStore(schema)
        self._stream = EngineStream(schema)
        self._escalations = EscalationWriter(schema)
        self._workflows = WorkflowStarts(schema)
        self._interop = InteropStore(schema)
        self._stops = WorkflowCancellation(schema)

    async def lock(
        self, connection: Connection, steps: Sequence[JobStep], keys: Iterable[SignalKey] = ()
    ) -> None:
        """Take every lock that writing these steps, and routing signals of these keys, needs."""
        wanted = [*keys, *(key for step in steps for key, _ in _waits(step))]
        if waiters := [w for step in steps for w in _removed(step)]:
            wanted.extend(await self._hooks.keys_of(connection, waiters))
        ids = [
            (s.changes.job.app_id, s.changes.job.jid)
            for s in steps
            if s.fresh and s.plan.nodes[s.plan.trigger].job_id
        ]
        await self._hooks.lock(connection, wanted, ids)

    async def write(self, connection: Connection, steps: Sequence[JobStep]) -> CommitReport:
        """Write these steps, once `lock` was called. A start whose id is taken is not written."""
        written = CommitReport()
        sent: list[Sent] = []
        placed: list[tuple[JobStep, int]] = []
        for index, step in enumerate(steps):
            run_id = await self._place(connection, step) if step.fresh else step.changes.job.run_id
            if step.fresh:
                written.started[index] = run_id
                sent.extend(start_messages(step, run_id))
            if run_id is not None:
                placed.append((step, run_id))
        await self._save(connection, placed)
        await self._forget(connection, placed)
        await self._settle_waiting(connection, placed, sent)
        await self._escalations.write(
            connection, [(s.changes, run_id) for s, run_id in placed if s.plan.escalates]
        )
        await self._dispatch(connection, placed, written)
        written.queues.update(await self._workflows.write(connection, placed, sent))
        for step, run_id in placed:
            written.legs.extend(step.changes.legs)
            sent.extend(step_messages(step, run_id))
            if step.changes.ended:
                sent.extend(await self._end(connection, step, run_id))
            await self._tell(connection, step, run_id, sent, written)
        written.reached.extend(await self._stops.ask(connection, placed, sent))
        if sent:
            await self._stream.send(connection, sent)
            written.sent = True
        if runs := awaiting_runs(step for step, _ in placed):  # the trigger has written to them
            written.reached.extend(await self._interop.holders(connection, runs))
        return written

    async def _place(self, connection: Connection, step: JobStep) -> int | None:
        return await self._jobs.start(
            connection,
            new_job(step),
        )

    async def _save(self, connection: Connection, placed: Sequence[tuple[JobStep, int]]) -> None:
        jobs = [
            saved_job(s.changes.job, run_id, with_metadata=s.changes.ended)
            for s, run_id in placed
            if not s.fresh
        ]
        if jobs:
            await self._jobs.save(connection, jobs)
        instances = [
            saved_instance(instance, run_id, s.changes.job.jid)
            for s, run_id in placed
            for instance in s.changes.instances
            if instance.aid != s.plan.trigger or s.plan.nodes[instance.aid].output is not None
        ]
        if instances:
            await self._jobs.save_instances(connection, instances)

        states = [(run_id, s.changes.state) for s, run_id in placed if s.changes.state]
        if states:
            await self._states.write(connection, [saved_state(s, r) for r, s in states])
        if found := [m for s, run_id in placed for m in _measurements(s, run_id)]:
            await self._stats.count(connection, found)

    async def _forget(self, connection: Connection, placed: Sequence[tuple[JobStep, int]]) -> None:
        for step, run_id in placed:
            for gone in step.changes.outlived:
                ancestor, before = (gone.ancestor, gone.dad), (gone.prefix, gone.before)
                await self._jobs.forget_passes(connection, run_id, ancestor, gone.below, before)

    async def _settle_waiting(
        self, connection: Connection, placed: Sequence[tuple[JobStep, int]], sent: list[Sent]
    ) -> None:
        removed = [w for step, _ in placed for w in _removed(step)]
        if removed:
            await self._hooks.remove(connection, removed)
            await self._stream.disarm(connection, [Timers(w.run_id, w.dad, w.aid) for w in removed])
        waits = [
            (key, Waiter(run_id, a.dad, a.aid))
            for step, run_id in placed
            for key, a in _waits(step)
        ]
        if waits:
            await self._hooks.register(connection, waits)
            sent.extend(await self._early(connection, placed, waits))

    async def _early(
        self,
        connection: Connection,
        placed: Sequence[tuple[JobStep, int]],
        waits: Sequence[tuple[SignalKey, Waiter]],
    ) -> list[Sent]:
        """Signals that were there before their waiters."""
        jobs = {run_id: step.changes.job for step, run_id in placed}
        found: list[Sent] = []
        done: set[Waiter] = set()
        for key, waiter in waits:
            while waiter not in done:
                message = await self._hooks.unpark(connection, [key], waiter.run_id)
                if message is None:
                    break
                job = jobs[waiter.run_id]
                found.append(
                    Sent(
                        job.app_id,
                        MessageKind.WEBHOOK,
                        message,
                        waiter.run_id,
                        waiter.aid,
                        waiter.dad,
                        job.jid,
                        job.graph,
                        key.topic,
                    )
                )
                if not keeps_waiting(message):
                    done.add(waiter)
        if done:
            await self._hooks.remove(connection, list(done))
        return found

    async def _dispatch(
        self, connection: Connection, placed: Sequence[tuple[JobStep, int]], written: CommitReport
    ) -> None:
        work = [w for step, run_id in placed for w in work_of(step, run_id, self._retry)]
        if work:
            await self._stream.dispatch(connection, work)
            written.streams.update(work_stream(w.app_id, w.topic) for w in work)

    async def _tell(
        self,
        connection: Connection,
        step: JobStep,
        run_id: int,
        sent: list[Sent],
        written: CommitReport,
    ) -> None:
        """The messages to parent and subscribers: interim states, and the end of the job."""
        for job in step.changes.emitted:
            sent.extend(interim_messages(job))
            if step.plan.publishes is not None:
                text = encode(job.data, f"the data of job {job.jid!r}")
                emission = await self._jobs.emit(connection, run_id, job.status, text)
                written.emitted.append((emission, job, step.plan))
        if step.changes.over:
            sent.extend(end_messages(step.changes.job))
            written.ended.append((changed(step.changes.job, run_id=run_id), step.plan))

    async def _end(self, connection: Connection, step: JobStep, run_id: int) -> list[Sent]:
        job = step.changes.job
        if not step.fresh and (job.state != COMPLETED or step.changes.abandons):
            await self._stream.withdraw(connection, [run_id])
        sent: list[Sent] = []
        how = step.changes.descend
        if how is not None:
            children = await self._jobs.open_children(connection, [run_id])
            sent.extend(
                Sent(job.app_id, MessageKind.INTERRUPT, interrupt_text(None, how), run_id=child)
                for child in children
            )
        return sent


def _measurements(step: JobStep, run_id: int) -> list[Measurement]:
    job, counted = step.changes.job, step.changes.counted
    if counted is None:
        return []
    return [
        Measurement(job.app_id, job.graph, counted.key, counted.slot, *value, run_id)
        for value in counted.values
    ]


def keeps_waiting(message: str) -> bool:
    """Whether a signal leaves its waiter waiting for more."""
    return bool(decode(message).get("status") == "pending")


def _removed(step: JobStep) -> list[Waiter]:
    if step.fresh:
        return []
    run_id = step.changes.job.run_id
    leaves_open = step.changes.job.state != COMPLETED or step.changes.abandons
    if step.changes.ended and leaves_open:
        return [Waiter(run_id)]
    return [Waiter(run_id, dad, aid) for aid, dad in step.changes.disarmed]


def _waits(step: JobStep) -> list[tuple[SignalKey, ActivityEffect]]:
    app_id = step.changes.job.app_id
    return [
        (SignalKey(app_id, w.topic, w.rule, w.key), a)
        for a in step.changes.effects
        if isinstance(w := a.effect, AwaitSignal)
    ]
