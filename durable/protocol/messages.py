"""What the messages of `engine_streams` are, by their column `msg_type`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class MessageKind(StrEnum):
    """Some are for runs of functions, which find them in their inboxes; the rest are for engines.

    SQL names those of runs `:for_runs`: see `durable.postgres.sql`.
    """

    # for runs of functions
    STEP = "step"
    SIGNAL = "signal"
    CANCEL = "cancel"
    # for jobs of graphs
    INTERRUPT = "interrupt"
    TIMEHOOK = "timehook"
    WEBHOOK = "webhook"
    TRANSITION = "transition"
    RESULT = "result"
    OUTCOME = "outcome"
    RESPONSE = "response"
    FANOUT = "fanout"
    AWAIT = "await"
    BEGIN = "begin"
    ABANDON = "abandon"
    TERMINATE = "terminate"
    # of no row: it stays within a step
    CYCLE = "cycle"


FOR_RUNS: Final = (MessageKind.STEP, MessageKind.SIGNAL, MessageKind.CANCEL)
"""In the order in which the predicates of indexes name them."""

PRIORITY: Final[Mapping[MessageKind, int]] = MappingProxyType(
    {
        MessageKind.INTERRUPT: 6,
        MessageKind.ABANDON: 6,
        MessageKind.TERMINATE: 6,
        MessageKind.TIMEHOOK: 5,
        MessageKind.WEBHOOK: 5,
        MessageKind.TRANSITION: 4,
        MessageKind.RESULT: 3,
        MessageKind.OUTCOME: 3,
        MessageKind.RESPONSE: 2,
        MessageKind.FANOUT: 1,
        MessageKind.AWAIT: 0,
        MessageKind.BEGIN: 0,
    }
)
"""Of messages to engines: what goes on comes before what begins, so that load does not pile up
half-done jobs."""
