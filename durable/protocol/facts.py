"""Facts: the ordered list that is a run's history, and the only thing that moves its state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from durable.protocol.failures import Failure


class FactKind(StrEnum):
    """What happened. STARTED is always the first fact, FINISHED the last."""

    STARTED = "started"  # name: the workflow; input: its arguments; data: Python, seed, state
    ACTIVITY = "activity"  # command `number` settled: data or failure
    TIMER = "timer"  # the timer of command `number` fired
    CHILD = "child"  # the child of command `number` ended: data or failure
    SIGNAL = "signal"  # name: the signal's; data: its payload
    CANCEL = "cancel"  # cancellation was asked for; data: the reason, a JSON string
    FINISHED = "finished"  # name: the outcome's state; data or failure


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of a history. Its revision is its place in the list, counted from 1.

    Args:
        kind: what happened.
        at: when, in Unix seconds; never less than the previous fact's.
        number: the command that it settles (its dimension), 0 where it settles none.
        name: of the activity, child, signal or outcome.
        data: encoded payload (JSON text), None when there is none.
        failure: what went wrong, None when nothing did.
        input: encoded arguments, kept for people to read; never used by replay but for STARTED.
        request: id of the request that a signal came by; kept so that a resent one is known.
    """

    kind: FactKind
    at: float
    number: int = 0
    name: str = ""
    data: str | None = None
    failure: Failure | None = None
    input: str | None = None
    request: str | None = None
