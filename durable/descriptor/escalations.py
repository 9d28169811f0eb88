"""What a hook's `escalation` may say: known before it runs, and again when its values are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from durable.descriptor.expressions.expression import Path
from durable.descriptor.expressions.pipe import compile_into
from durable.descriptor.model import Graph, Hook
from durable.descriptor.parts import Escalation
from durable.descriptor.value_positions import columns
from durable.errors import ConfigurationError
from durable.protocol.durations import seconds

FOUND_BY: Final = ("role", "type", "priority", "metadata")
"""What an escalation is found by: without one of these none is written."""


def escalation_problems(
    graph: Graph, aid: str, escalation: Escalation
) -> Iterator[tuple[Path, str]]:
    """What is wrong with the escalation of a hook."""
    given = columns(escalation)
    if not set(FOUND_BY) & given.keys():
        yield (), "an escalation has a role, a type, a priority or metadata"
    hook = graph.activities[aid]
    ruled = any(rule.to == aid for rules in graph.hooks.values() for rule in rules)
    own = isinstance(hook, Hook) and hook.hook is not None and hook.hook.topic is not None
    if not (ruled or own):
        yield (
            (),
            "it waits for no signal that could resolve it: give it a rule under `hooks`",
        )
    for key, value in given.items():
        if compile_into(value).is_constant:
            wanted = unfit(key, value)
            if wanted:
                yield (key,), f"{key} must be {wanted}, a reference or a pipe"


def unfit(key: str, value: object) -> str | None:
    """What the value of a column must be, where it is not; None when it fits."""
    if key in ("metadata", "envelope"):
        return None if isinstance(value, Mapping) else "an object"
    if key == "priority":
        fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
        return None if fits else "a whole number"
    if key == "expiresAt":
        wanted = "milliseconds since 1970, a moment as 2030-01-31T12:00:00Z, or a duration from now"
        return wanted if moment(value, 0) is None else None
    return None if isinstance(value, str) else "text"


def moment(value: object, now: float) -> float | None:
    """Unix seconds from what `expiresAt` may be; None for what it may not be.

    Example:
        >>> moment("1 minute", 40), moment("1970-01-01T00:00:10Z", 40), moment(2000, 40)
        (100.0, 10.0, 2.0)
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value / 1000
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        try:
            return now + seconds(value)
        except ConfigurationError:
            return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
