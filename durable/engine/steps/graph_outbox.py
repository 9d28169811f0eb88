"""What the steps of graph jobs say to engines and workers, as messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from durable.descriptor.plan import Plan
from durable.engine.effects import (
    ActivityEffect,
    ArmTimer,
    Dispatch,
    FacetTargets,
    Interrupt,
    Interruption,
    Reply,
    SendSignal,
    StartJob,
)
from durable.engine.job import Job, compact, encode
from durable.engine.steps.graph_rows import reply_text
from durable.engine.steps.graph_walk import Changes, Continuation
from durable.protocol.codes import CONFLICT, PENDING
from durable.protocol.graphs import Fault
from durable.protocol.messages import MessageKind
from durable.protocol.retry import RetryPolicy
from durable.store.graph_messages import Sent, Work
from durable.telemetry.spans import carried


@dataclass(frozen=True, slots=True)
class Parent:
    """The activity that started a job."""

    run_id: int
    aid: str
    dad: str
    jid: str


@dataclass(frozen=True, slots=True)
class JobStep:
    """One job's part of a step. `fresh`: it begins with this step; `parent` started it.

    `pending`: for how many seconds it then waits to be resumed. `request`: that of its start.
    """

    plan: Plan
    changes: Changes
    fresh: bool = False
    parent: Parent | None = None
    awaited: bool = True
    pending: float | None = None
    request: UUID | None = None


def work_of(step: JobStep, run_id: int, retry: RetryPolicy) -> list[Work]:
    """What workers are to do; `retry` is the policy where the activity has none."""
    job = step.changes.job
    return [
        Work(
            job.app_id,
            effect.topic,
            encode(effect.data, f"the input of activity {addressed.aid!r} of job {job.jid!r}"),
            run_id,
            addressed.aid,
            addressed.dad,
            job.jid,
            job.graph,
            effect.retry or retry,
            own=effect.retry is not None,
            attempts=effect.attempts,
            trace=carried(job.metadata),
        )
        for addressed in step.changes.effects
        if isinstance(effect := addressed.effect, Dispatch)
    ]


def interrupt_text(target: str | None, how: Interruption) -> str:
    """An interruption as a message."""
    return encode(
        {
            "target": target,
            "reason": how.reason,
            "code": how.code,
            "throw": how.throws,
            "descend": how.descend,
            "stack": how.stack,
            "expire": how.expire,
        },
        "an interruption",
    )


def step_messages(step: JobStep, run_id: int) -> list[Sent]:
    """What a step sends to engines: timers, signals, starts, and where it goes on."""
    sent = [
        message for a in step.changes.effects if (message := _message(step, run_id, a)) is not None
    ]
    job = step.changes.job
    sent.extend(
        Sent(
            job.app_id,
            MessageKind.TRANSITION,
            _continuation_text(continuation),
            run_id,
            continuation.aid,
            continuation.dad,
            job.jid,
            job.graph,
        )
        for continuation in step.changes.continuations
    )
    return sent


def _continuation_text(continuation: Continuation) -> str:
    out: dict[str, object] = {"cycles": continuation.cycles}
    if continuation.data is not None:
        out["data"] = continuation.data
    return encode(out, f"what cycles to {continuation.aid!r}")


def _message(step: JobStep, run_id: int, addressed: ActivityEffect) -> Sent | None:
    job, effect = step.changes.job, addressed.effect
    if isinstance(effect, ArmTimer):
        return Sent(
            job.app_id,
            MessageKind.TIMEHOOK,
            "{}",
            run_id,
            addressed.aid,
            addressed.dad,
            job.jid,
            job.graph,
            delay=effect.seconds,
        )
    if isinstance(effect, SendSignal) and effect.to is not None:
        return Sent(
            job.app_id,
            MessageKind.FANOUT,
            _fan_out_text(job, effect, effect.to),
            topic=effect.topic,
        )
    if isinstance(effect, SendSignal):
        text = reply_text(Reply(MessageKind.WEBHOOK, effect.data, effect.status, effect.code))
        return Sent(job.app_id, MessageKind.WEBHOOK, text, topic=effect.topic)
    if isinstance(effect, Interrupt):
        return Sent(job.app_id, MessageKind.INTERRUPT, interrupt_text(effect.target, effect.how))
    if isinstance(effect, StartJob):
        return Sent(
            job.app_id,
            MessageKind.AWAIT,
            _start_text(job, run_id, addressed, effect),
            topic=effect.topic,
        )
    return None


def _fan_out_text(job: Job, effect: SendSignal, to: FacetTargets) -> str:
    out = {
        "data": effect.data,
        "version": job.version,
        "facets": to.facets,
        "query": to.query,
        "at": to.at,
    }
    return encode(out, f"a signal of job {job.jid!r}")


def _start_text(job: Job, run_id: int, addressed: ActivityEffect, effect: StartJob) -> str:
    parent = {"run_id": run_id, "aid": addressed.aid, "dad": addressed.dad, "jid": job.jid}
    trace = carried(job.metadata)
    out = {
        "data": effect.data,
        "version": job.version,
        "awaited": effect.awaited,
        "parent": parent,
        "metadata": trace,
    }
    return encode(out, f"the input of activity {addressed.aid!r} of job {job.jid!r}")


def parent_message(app_id: str, graph: str, parent: Parent, reply: Reply) -> Sent:
    """What became of a child, as a message to the activity that started it."""
    return Sent(
        app_id,
        MessageKind.RESULT,
        reply_text(reply),
        parent.run_id,
        parent.aid,
        parent.dad,
        parent.jid,
        graph,
    )


def start_messages(step: JobStep, run_id: int | None) -> list[Sent]:
    """What the activity that started a job hears at once: its id, or that this is taken."""
    job, parent = step.changes.job, step.parent
    if parent is None:
        return []
    if run_id is None:
        error = Fault(CONFLICT, f"Duplicate job: {job.jid}", job.jid)
        return [
            parent_message(
                job.app_id,
                job.graph,
                parent,
                Reply(MessageKind.RESULT, {}, "error", CONFLICT, error),
            )
        ]
    if step.awaited:
        return []
    born = compact(job.created_at)
    return [
        parent_message(
            job.app_id,
            job.graph,
            parent,
            Reply(MessageKind.RESULT, {"job_id": job.jid, "jc": born, "ju": born}),
        )
    ]


def _awaiting(job: Job) -> Parent | None:
    if job.parent_run_id is None:
        return None
    return Parent(job.parent_run_id, job.metadata["pa"], job.metadata["pd"], job.metadata["pj"])


def awaiting_runs(steps: Iterable[JobStep]) -> list[int]:
    """The runs of workflows that await jobs which are over with these steps."""
    return [
        int(step.changes.job.metadata["pg"])
        for step in steps
        if step.changes.over and step.changes.job.metadata.get("pk") == "workflow"
    ]


def interim_messages(job: Job) -> list[Sent]:
    """What the activity that awaits a job hears of its state before the end."""
    parent = _awaiting(job)
    if parent is None:
        return []
    reply = Reply(MessageKind.RESULT, job.data, "pending", PENDING)
    return [parent_message(job.app_id, job.graph, parent, reply)]


def end_messages(job: Job) -> list[Sent]:
    """What the activity that awaits a job hears when it ends."""
    parent = _awaiting(job)
    if parent is None:
        return []
    if job.error is None:
        return [parent_message(job.app_id, job.graph, parent, Reply(MessageKind.RESULT, job.data))]
    code = job.error.code
    return [
        parent_message(
            job.app_id,
            job.graph,
            parent,
            Reply(MessageKind.RESULT, job.data, "error", code, job.error),
        )
    ]
