"""Facts: the ordered list that is a run's history, and the only thing that moves its state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from durable.errors import DurableError
from durable.protocol.failures import Failure


class UnknownKind(DurableError):
    """A fact or message was written by a later version, in a form that this one does not know.

    No fault of the run: it is left to a process that knows the form.
    """

    def __init__(self, what: str, kind: str) -> None:
        super().__init__(
            f"{what} of the kind {kind!r} was written by a later version of durable: the run is"
            " left to a worker of that version"
        )


class FactKind(StrEnum):
    """What happened. STARTED is always the first fact, FINISHED the last."""

    STARTED = "started"  # name: the workflow; input: its arguments; data: Python, seed, state
    ACTIVITY = "activity"  # command `number` settled: data or failure
    TIMER = "timer"  # the timer of command `number` fired
    CHILD = "child"  # the child of command `number` ended: data or failure
    GRAPH = "graph"  # the graph of command `number` ended: data or failure
    SIGNAL = "signal"  # name: the signal's; data: its payload; failure: why it was passed over
    CANCEL = "cancel"  # cancellation was asked for; data: the reason, a JSON string
    FINISHED = "finished"  # name: the outcome's state; data or failure


def fact_kind(word: str) -> FactKind:
    """The kind that a word of the database names. Raises `UnknownKind` for one of a later version.

    Example:
        >>> fact_kind("timer")
        <FactKind.TIMER: 'timer'>
    """
    try:
        return FactKind(word)
    except ValueError:
        raise UnknownKind("a fact", word) from None


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
        graph_version: of the graph that the run went over to with it, None where it stayed.
    """

    kind: FactKind
    at: float
    number: int = 0
    name: str = ""
    data: str | None = None
    failure: Failure | None = None
    input: str | None = None
    request: str | None = None
    graph_version: str | None = None
