"""The hook: sleeps, waits for a signal, races the two, or does neither and passes on."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence

from durable.descriptor.expressions.expression import Expression
from durable.descriptor.expressions.values import UNDEFINED, number, to_text
from durable.descriptor.plan import HookKey
from durable.engine.activities.escalation import escalation_columns
from durable.engine.effects import (
    Answer,
    ArmTimer,
    AwaitSignal,
    CloseEscalation,
    Effect,
    LegResult,
    OpenEscalation,
    Reply,
)
from durable.engine.job import ActivityContext, compact
from durable.errors import DescriptorError
from durable.protocol.durations import seconds
from durable.protocol.graphs import Data
from durable.protocol.messages import MessageKind


def leg1(context: ActivityContext) -> LegResult:
    """Arm the waits of the hook; a hook without waits answers at once."""
    effects: list[Effect] = []
    duration = _duration(context)
    if duration is not None:
        effects.append(ArmTimer(duration))
    waits = _waits(context)
    effects.extend(waits)
    if waits and (columns := escalation_columns(context, duration)) is not None:
        effects.append(OpenEscalation(columns))
    return LegResult(tuple(effects)) if effects else LegResult(answer=Answer())


def leg2(context: ActivityContext, reply: Reply) -> LegResult:
    """Whichever comes first answers, and takes the other back; a timer brings no payload."""
    if reply.kind == "cycle":
        return LegResult(answer=reply.answer())
    if reply.kind == MessageKind.TIMEHOOK:
        data: Data = {"timestamp": compact(context.now)}
        answer = Answer(data, "hook", checked=False)
        return LegResult(_closed(context, "expired", data), answer, disarm=True)
    if reply.stays_open:
        return LegResult(answer=reply.answer("hook"))
    if reply.kind == MessageKind.CANCEL:
        answer = Answer(reply.data, "hook", checked=False)
        return LegResult(_closed(context, "cancelled", reply.data), answer, disarm=True)
    return LegResult(_closed(context, "resolved", reply.data), reply.answer("hook"), disarm=True)


def _closed(context: ActivityContext, status: str, payload: Data) -> tuple[Effect, ...]:
    return () if context.node.escalation is None else (CloseEscalation(status, payload),)


def _duration(context: ActivityContext) -> float | None:
    found = context.value(context.node.sleep)
    if isinstance(found, bool) or not isinstance(found, (int, float, str)):
        if found is None:
            return None
        raise DescriptorError(
            f"hook {context.node.id!r}: sleep must be seconds or a duration, and is {found!r}"
            f" in job {context.job.jid!r}"
        )
    if not isinstance(found, str) and (math.isnan(found) or found <= 0):
        return None
    return seconds(found) or None


def _waits(context: ActivityContext) -> list[AwaitSignal]:
    topic = context.node.hook_topic
    keys = context.plan.hooks.get(topic, ()) if topic else ()
    return [_wait(context, key) for key in keys if key.to == context.node.id]


def _wait(context: ActivityContext, key: HookKey) -> AwaitSignal:
    values = [_expected(context, key, expression) for expression in key.expected]
    return AwaitSignal(key.topic, key.rule, key_of(values))


def _expected(context: ActivityContext, key: HookKey, expression: Expression) -> object:
    value = context.evaluate(expression)
    if value is UNDEFINED:
        raise DescriptorError(
            f"hook {context.node.id!r}: what its rule on {key.topic!r} expects is undefined in job"
            f" {context.job.jid!r}, so no signal could ever match"
        )
    return value


def key_of(values: list[object]) -> str:
    """One short text for values: equal if and only if all are strictly equal.

    Example:
        >>> key_of([1, "a"]) == key_of([1.0, "a"]), key_of([1]) == key_of(["1"])
        (True, False)
    """
    exact = [number(value) if isinstance(value, float) else value for value in values]
    text = json.dumps(exact, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def names_in(values: Sequence[object]) -> tuple[str, ...]:
    """What of a key's values could be the id of a job, as text.

    Example:
        >>> names_in(["a", 1.0, None, True])
        ('a', '1')
    """
    return tuple(
        value if isinstance(value, str) else to_text(value)
        for value in values
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    )
