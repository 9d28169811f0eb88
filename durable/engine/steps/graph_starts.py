"""How a job begins: its first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from uuid import UUID

from durable.descriptor.plan import Plan
from durable.engine.activities import measurements, trigger
from durable.engine.collation import addresses, semaphore
from durable.engine.copies import changed
from durable.engine.extension import Extension
from durable.engine.job import PENDING, ActivityContext, Job, encode
from durable.engine.steps.graph_outbox import JobStep, Parent
from durable.engine.steps.graph_rows import error_text
from durable.engine.steps.graph_walk import Walk
from durable.engine.transitions.validation import require_valid
from durable.protocol.graphs import Data, nothing
from durable.protocol.ids import new_id
from durable.store.graph_jobs import NewJob


@dataclass(frozen=True)  # no slots: `changed` copies it
class Start:
    """A job to be started.

    Args:
        metadata: what the caller gives along (trc, spn, ngn).
        reply_to: channels to notify of the end.
        version: that of the app; None for the active one.
        extension: what it has beside its data, and whether it waits to be resumed.
        request: identifies the start, so that sending it again starts one job.
        named: whether the caller has chosen the request, and may have made it before.
    """

    app_id: str
    topic: str
    data: Data = field(default_factory=nothing)
    metadata: Data = field(default_factory=nothing)
    reply_to: tuple[str, ...] = ()
    version: str | None = None
    parent: Parent | None = None
    awaited: bool = True
    extension: Extension = field(default_factory=Extension)
    request: UUID | None = None
    named: bool = False


def first_step(
    plan: Plan, start: Start, version: str, now: float, rng: Callable[[], float]
) -> JobStep:
    """Begin a job, and walk it on until every branch waits; a pending one waits at once.

    Raises `SchemaMismatch` when the graph checks its input and this does not fit, `DescriptorError`
    when the trigger cannot make sense of the data.
    """
    require_valid(plan.checks.get("input"), start.data, f"the input of graph {plan.subscribes!r}")
    job = Job(
        0,
        "",
        start.app_id,
        plan.subscribes,
        version,
        input=start.data,
        metadata=start.metadata,
        created_at=now,
        reply_to=start.reply_to,
    )
    context = ActivityContext(plan, job, plan.node(plan.trigger), addresses.ROOT, now=now, rng=rng)
    metadata = {**start.metadata, **trigger.lifetime(context)}
    if (parent := start.parent) is not None:
        metadata |= {
            "pj": parent.jid,
            "pg": str(parent.run_id),
            "pd": parent.dad,
            "pa": parent.aid,
        }
        if not start.awaited:
            metadata["px"] = True
    job = changed(
        job,
        jid=trigger.job_id(context) or new_id(),
        metadata=metadata,
        parent_run_id=parent.run_id if parent is not None and start.awaited else None,
    )
    counted = measurements.counted(changed(context, job=job))
    if counted is not None:
        job = changed(job, metadata={**metadata, **counted.described()})
    pending = start.extension.pending
    if pending is not None:
        job = changed(job, state=PENDING, status=semaphore.PENDING)
    walk = Walk(plan, job, {}, now, rng)
    walk.create(start.extension)
    if pending is None:
        walk.start()
        changes = walk.changes()
        changes = changes if counted is None else replace(changes, counted=counted)
    else:
        walk.put_off(pending)
        changes = walk.changes()
    return JobStep(
        plan,
        changes,
        fresh=True,
        parent=parent,
        awaited=start.awaited,
        pending=pending,
        request=start.request,
    )


def resumed(plan: Plan, job: Job, now: float, rng: Callable[[], float]) -> JobStep:
    """Have a pending job begin: it is counted now, as what it was created for."""
    context = ActivityContext(plan, job, plan.node(plan.trigger), addresses.ROOT, now=now, rng=rng)
    counted = measurements.counted(context)
    if counted is not None:
        counted = replace(counted, key=job.metadata.get("key", counted.key))
    walk = Walk(plan, job, {}, now, rng)
    walk.resume()
    return JobStep(plan, replace(walk.changes(), counted=counted))


def new_job(step: JobStep) -> NewJob:
    """The job of a step that begins it, as the table will have it."""
    job = step.changes.job
    return NewJob(
        job.jid,
        job.app_id,
        job.graph,
        job.version,
        job.state,
        job.status,
        encode(job.input, f"the input of job {job.jid!r}"),
        encode(job.data, f"the data of job {job.jid!r}"),
        error_text(job.error),
        encode(job.metadata, f"the metadata of job {job.jid!r}"),
        job.parent_run_id,
        job.reply_to,
        job.finished_at is not None,
        step.pending,
        step.request,
    )
