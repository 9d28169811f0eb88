"""What is kept of a hook's wait for a person: its columns, evaluated and checked."""

from __future__ import annotations

from typing import Final

from durable.descriptor.escalations import FOUND_BY, moment, unfit
from durable.engine.job import ActivityContext
from durable.errors import DescriptorError

_COLUMNS: Final = {
    "taskQueue": "task_queue", "workflowType": "workflow_type", "originId": "origin_id",
    "parentId": "parent_id", "initiatedBy": "initiated_by", "traceId": "trace_id",
    "spanId": "span_id", "expiresAt": "expires_at",
}  # fmt: skip


def escalation_columns(
    context: ActivityContext, duration: float | None
) -> dict[str, object] | None:
    """The columns of the escalation of a hook that waits for `duration` seconds at most.

    None for a hook without an escalation, or with an empty one. Raises `DescriptorError` for a
    value of the wrong kind.
    """
    if context.node.escalation is None:
        return None
    given = {k: v for k, v in context.data(context.node.escalation).items() if v is not None}
    if not any(given.get(name) not in (None, {}) for name in FOUND_BY):
        return None
    columns = {
        _COLUMNS.get(key, key): _checked(context, key, value) for key, value in given.items()
    }
    known = context.job.metadata
    for column, key in (("parent_id", "pj"), ("trace_id", "trc"), ("span_id", "spn")):
        if column not in columns and key in known:
            columns[column] = known[key]
    if duration is not None:
        columns.setdefault("expires_at", context.now + duration)
    return {**columns, "topic": context.node.hook_topic}


def _checked(context: ActivityContext, key: str, value: object) -> object:
    if (wanted := unfit(key, value)) is not None:
        raise DescriptorError(
            f"hook {context.node.id!r}: {key} of its escalation must be {wanted},"
            f" and is {value!r:.100} in job {context.job.jid!r}"
        )
    return moment(value, context.now) if key == "expiresAt" else value
