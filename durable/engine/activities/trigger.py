"""The trigger: where a job begins. It answers at once, with what the job was started with."""

from __future__ import annotations

from durable.descriptor.expressions.values import number, to_number, truthy
from durable.engine.effects import Answer, LegResult, Reply
from durable.engine.job import ActivityContext
from durable.errors import DescriptorError, InternalError
from durable.protocol.durations import seconds
from durable.protocol.limits import ID_BYTES_MAX
from durable.protocol.searchable import storable

EXPIRE = 1.0  # seconds that an ended job keeps its id, where the graph does not say


def leg1(context: ActivityContext) -> LegResult:
    """Answer with the input."""
    return LegResult(answer=Answer(context.job.input))


def leg2(context: ActivityContext, reply: Reply) -> LegResult:
    """Nothing is ever addressed to a trigger."""
    raise InternalError(f"a {reply.kind} arrived for the trigger of job {context.job.jid!r}")


def job_id(context: ActivityContext) -> str | None:
    """The id that `stats.id` gives to the job; None for a fresh one, as null and undefined do."""
    found = context.value(context.node.job_id)
    if found is None:
        return None
    if isinstance(found, str) and found:
        return _kept(context, found)
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        return str(number(to_number(found)))
    raise DescriptorError(
        f"trigger {context.node.id!r}: stats.id must be text or a number, and is {found!r}"
        " for this input"
    )


def _kept(context: ActivityContext, jid: str) -> str:
    """The id, if the tables can hold it: what they would refuse fails the batch, not the job."""
    if storable(jid) and len(jid.encode()) <= ID_BYTES_MAX:
        return jid
    raise DescriptorError(
        f"trigger {context.node.id!r}: stats.id must be text of at most {ID_BYTES_MAX:,} bytes,"
        f" without NUL and halves of surrogate pairs, and is {jid!r:.100} for this input"
    )


def lifetime(context: ActivityContext) -> dict[str, object]:
    """What the job's metadata say of its time after its end: a persistent job is kept for ever."""
    if truthy(context.value(context.plan.persistent)):
        return {"expire": 0.0, "persistent": True}
    return {"expire": expire(context)}


def expire(context: ActivityContext) -> float:
    """Seconds that the job keeps its id after its end; 0 and less mean for ever."""
    found = context.value(context.plan.expire, EXPIRE)
    if isinstance(found, bool) or (isinstance(found, (int, float)) and found <= 0):
        return float(found)
    return seconds(found)
