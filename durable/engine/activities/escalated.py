"""What is kept of a hook's wait for a person: its columns, evaluated and checked."""

from __future__ import annotations

from typing import Final

from durable.descriptor.escalations import FOUND_BY, moment, unfit
from durable.engine.job import Scene
from durable.errors import DescriptorError

_COLUMNS: Final = {
    "taskQueue": "task_queue", "workflowType": "workflow_type", "originId": "origin_id",
    "parentId": "parent_id", "initiatedBy": "initiated_by", "traceId": "trace_id",
    "spanId": "span_id", "expiresAt": "expires_at",
}  # fmt: skip


def escalated(scene: Scene, duration: float | None) -> dict[str, object] | None:
    """The columns of the escalation of a hook that waits for `duration` seconds at most.

    None where the hook has no escalation, or nothing to say in it. Raises `DescriptorError` for a
    value of the wrong kind.
    """
    if scene.node.escalation is None:
        return None
    given = {k: v for k, v in scene.data(scene.node.escalation).items() if v is not None}
    if not any(given.get(name) not in (None, {}) for name in FOUND_BY):
        return None
    columns = {_COLUMNS.get(key, key): _checked(scene, key, value) for key, value in given.items()}
    known = scene.job.metadata
    for column, key in (("parent_id", "pj"), ("trace_id", "trc"), ("span_id", "spn")):
        if column not in columns and key in known:
            columns[column] = known[key]
    if duration is not None:
        columns.setdefault("expires_at", scene.now + duration)
    return {**columns, "topic": scene.node.hook_topic}


def _checked(scene: Scene, key: str, value: object) -> object:
    if (wanted := unfit(key, value)) is not None:
        raise DescriptorError(
            f"hook {scene.node.id!r}: {key} of its escalation must be {wanted},"
            f" and is {value!r:.100} in job {scene.job.jid!r}"
        )
    return moment(value, scene.now) if key == "expiresAt" else value
