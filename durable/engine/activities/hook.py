"""The hook: sleeps, waits for a signal, races the two, or does neither and passes on."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence

from durable.descriptor.expressions.expression import Expression
from durable.descriptor.expressions.values import UNDEFINED, number, to_text
from durable.descriptor.plan import HookKey
from durable.engine.activities.escalated import escalated
from durable.engine.effects import (
    Answer,
    ArmTimer,
    AwaitSignal,
    Deescalate,
    Effects,
    Escalate,
    Reply,
    Wanted,
)
from durable.engine.job import Scene, compact
from durable.errors import DescriptorError
from durable.protocol.durations import seconds
from durable.protocol.graphs import Data
from durable.protocol.messages import MessageKind


def leg1(scene: Scene) -> Effects:
    """Arm what was asked for; when nothing was, answer at once."""
    wanted: list[Wanted] = []
    duration = _duration(scene)
    if duration is not None:
        wanted.append(ArmTimer(duration))
    waits = _waits(scene)
    wanted.extend(waits)
    if waits and (columns := escalated(scene, duration)) is not None:
        wanted.append(Escalate(columns))
    return Effects(tuple(wanted)) if wanted else Effects(answer=Answer())


def leg2(scene: Scene, reply: Reply) -> Effects:
    """Whichever comes first answers, and takes the other back; a timer brings no payload."""
    if reply.kind == "cycle":
        return Effects(answer=reply.answer())
    if reply.kind == MessageKind.TIMEHOOK:
        data: Data = {"timestamp": compact(scene.now)}
        answer = Answer(data, "hook", checked=False)
        return Effects(_closed(scene, "expired", data), answer, disarm=True)
    if reply.stays_open:
        return Effects(answer=reply.answer("hook"))
    if reply.kind == MessageKind.CANCEL:
        answer = Answer(reply.data, "hook", checked=False)
        return Effects(_closed(scene, "cancelled", reply.data), answer, disarm=True)
    return Effects(_closed(scene, "resolved", reply.data), reply.answer("hook"), disarm=True)


def _closed(scene: Scene, status: str, payload: Data) -> tuple[Wanted, ...]:
    return () if scene.node.escalation is None else (Deescalate(status, payload),)


def _duration(scene: Scene) -> float | None:
    found = scene.value(scene.node.sleep)
    if isinstance(found, bool) or not isinstance(found, (int, float, str)):
        if found is None:
            return None
        raise DescriptorError(
            f"hook {scene.node.id!r}: sleep must be seconds or a duration, and is {found!r}"
            f" in job {scene.job.jid!r}"
        )
    if not isinstance(found, str) and (math.isnan(found) or found <= 0):
        return None
    return seconds(found) or None


def _waits(scene: Scene) -> list[AwaitSignal]:
    topic = scene.node.hook_topic
    keys = scene.plan.hooks.get(topic, ()) if topic else ()
    return [_wait(scene, key) for key in keys if key.to == scene.node.id]


def _wait(scene: Scene, key: HookKey) -> AwaitSignal:
    values = [_expected(scene, key, expression) for expression in key.expected]
    return AwaitSignal(key.topic, key.rule, key_of(values))


def _expected(scene: Scene, key: HookKey, expression: Expression) -> object:
    value = scene.evaluate(expression)
    if value is UNDEFINED:
        raise DescriptorError(
            f"hook {scene.node.id!r}: what its rule on {key.topic!r} expects is undefined in job"
            f" {scene.job.jid!r}, so no signal could ever match"
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
