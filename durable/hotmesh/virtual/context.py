"""What a callback can ask about its call: kept where only the callback's own task sees it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from durable.errors import ConfigurationError
from durable.hotmesh.virtual.schedules import moment
from durable.protocol.graphs import Data


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick of a schedule.

    Attributes:
        number: counted from 1, over the schedule's life.
        scheduled_at: the moment for which it was planned, in UTC: the same at each attempt, and no
            other tick of the schedule has it.
        fired_at: when it came to be. Moments of the schedule between the two were missed; this tick
            stands for them too.
    """

    number: int
    scheduled_at: datetime
    fired_at: datetime


@dataclass(frozen=True, slots=True)
class VirtualContext:
    """One attempt of a call or tick, as its callback sees it.

    Attributes:
        topic: by which the callback was called.
        workflow_id: the job; the same at each attempt.
        workflow_name: the job's graph: "call", "keyed" or "schedule".
        dimension: the place within the job; it differs from tick to tick.
        attempt: counted from 1.
        guid: this attempt's message.
        tick: which tick it is; None for a call.
    """

    topic: str
    workflow_id: str
    workflow_name: str
    dimension: str
    attempt: int
    guid: str
    tick: Tick | None = None


CONTEXT: ContextVar[VirtualContext | None] = ContextVar("durable_virtual", default=None)


def current() -> VirtualContext:
    """The context of the callback that asks; raises `ConfigurationError` outside of one."""
    context = CONTEXT.get()
    if context is None:
        raise ConfigurationError(
            "there is no context here: get_context() is for callbacks of Virtual, while they run"
        )
    return context


def context_of(message: Data) -> VirtualContext:
    """The context that a worker's message describes."""
    metadata, tick = message["metadata"], message["data"].get("tick")
    return VirtualContext(
        metadata["topic"],
        metadata["jid"],
        metadata["wfn"],
        metadata["dad"],
        metadata["try"] + 1,
        metadata["guid"],
        None if tick is None else Tick(tick["number"], moment(tick["due"]), moment(tick["fired"])),
    )
