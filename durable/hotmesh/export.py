"""A job as a document, for people: what each activity did, by dimension."""

from __future__ import annotations

from collections.abc import Sequence

from durable.descriptor.plan import Plan
from durable.engine.collation import addresses
from durable.engine.job import Instance, Job, began, compact
from durable.protocol.graphs import Data, Output


def exported(
    job: Job, plan: Plan, now: float, history: Sequence[tuple[Instance, Data | None]]
) -> Output:
    """`{"dependencies", "process", "status", "activities"}`, and `entity` of one that has state.

    `process` maps dimensions ("0/0") to activities, beside the job's own `data` and `metadata`;
    `activities` lists the same in the order in which they were entered, with what they were given.
    """
    process: Output = {}
    activities = []
    for instance, given in (
        *_trigger(job, plan, history),
        *((i, g) for i, g in history if i.aid != plan.trigger),
    ):
        kind = plan.nodes[instance.aid].kind.value if instance.aid in plan.nodes else ""
        dimension = instance.dad.strip(",").replace(",", "/")
        process.setdefault(dimension, {})[instance.aid] = _sections(instance)
        activities.append(_line(instance, kind, dimension, given))
    process["data"] = dict(job.data)
    process["metadata"] = job.described(plan.trigger, now)
    story = {
        "dependencies": [],
        "process": process,
        "status": str(job.status),
        "activities": activities,
    }
    if job.entity is not None or job.document or job.attributes:
        story["entity"] = {
            "kind": job.entity,
            "context": dict(job.document),
            "attributes": dict(job.attributes),
        }
    return story


def _trigger(
    job: Job, plan: Plan, history: Sequence[tuple[Instance, Data | None]]
) -> list[tuple[Instance, Data | None]]:
    own = next((instance for instance, _ in history if instance.aid == plan.trigger), None)
    return [(own or began(job, plan.trigger, addresses.ROOT), job.input)]


def _sections(instance: Instance) -> Output:
    sections: Output = {}
    for name in ("output", "hook"):
        data = getattr(instance, name)
        if data is not None:
            sections[name] = {"data": dict(data)}
    return sections


def _line(instance: Instance, kind: str, dimension: str, given: Data | None) -> Output:
    line: Output = {
        "name": instance.aid,
        "type": kind,
        "dimension": dimension,
        "started_at": compact(instance.opened_at) if instance.opened_at else None,
        "completed_at": None if instance.settled_at is None else compact(instance.settled_at),
        "code": instance.code,
        "input": given,
        "output": instance.output,
    }
    if instance.settled_at is not None and instance.opened_at:
        line["duration_ms"] = round((instance.settled_at - instance.opened_at) * 1000, 3)
    if instance.hook is not None:
        line["hook"] = instance.hook
    if instance.error is not None:
        line["error"] = instance.error.to_dict()
    return line
