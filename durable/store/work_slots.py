"""Work that a worker of the very process takes with the commit that brings it: no claim, no wait.

Whoever commits a step asks for a slot for each piece of work. With a slot, the row is written as
reserved by the worker's member, unless a throttle says otherwise, and the worker begins when the
commit is through. Without one, the row waits in its stream for whoever claims it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from durable.protocol.retry import RetryPolicy
from durable.store.graph_messages import Taken, Work


@dataclass(frozen=True, slots=True)
class WorkSlot:
    """A free slot of a worker.

    Args:
        member: under whose id the work is reserved. consumer: the guid by which throttles may name
            the worker. retry: the worker's policy, for work whose activity has none.
    """

    member: int
    consumer: str
    retry: RetryPolicy | None = None

    def policy(self, work: Work) -> RetryPolicy:
        """The policy in force for work that takes this slot."""
        return work.retry if work.own or self.retry is None else self.retry


class WorkSlots(Protocol):
    """The workers of a process."""

    def serves(self, stream: str) -> bool:
        """Whether a worker of this process takes work from a stream."""
        ...

    def slot(self, stream: str) -> WorkSlot | None:
        """Keep a slot for work of a stream until `slot_taken` is called; None: it has to wait."""
        ...

    def slot_taken(self, stream: str, slot: WorkSlot, taken: Taken | None) -> None:
        """Work has taken the slot and may begin; None: nothing came of it."""
        ...


def taken_by(slot: WorkSlot, work: Work, message_id: int, run_id: int) -> Taken:
    """The work as a worker has it that takes it at once: its first attempt."""
    return Taken(
        message_id,
        run_id,
        work.jid,
        work.aid,
        work.dad,
        work.topic,
        work.graph,
        work.message,
        1,
        slot.policy(work),
        work.attempts,
        trace=work.trace,
    )
