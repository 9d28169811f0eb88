"""The table of kinds. A new kind is a module with two functions, and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from durable.descriptor.plan import Kind
from durable.engine.activities import await_, cycle, hook, interrupt, signal, trigger, worker
from durable.engine.effects import LegResult, Reply
from durable.engine.job import ActivityContext


@dataclass(frozen=True, slots=True)
class Handler:
    """The two legs of a kind."""

    leg1: Callable[[ActivityContext], LegResult]
    leg2: Callable[[ActivityContext, Reply], LegResult]


HANDLERS: Final[Mapping[Kind, Handler]] = MappingProxyType(
    {
        Kind.TRIGGER: Handler(trigger.leg1, trigger.leg2),
        Kind.WORKER: Handler(worker.leg1, worker.leg2),
        Kind.AWAIT: Handler(await_.leg1, await_.leg2),
        Kind.HOOK: Handler(hook.leg1, hook.leg2),
        Kind.SIGNAL: Handler(signal.leg1, signal.leg2),
        Kind.CYCLE: Handler(cycle.leg1, cycle.leg2),
        Kind.INTERRUPT: Handler(interrupt.leg1, interrupt.leg2),
    }
)
