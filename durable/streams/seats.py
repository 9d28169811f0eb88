"""Work that a worker of the very process takes with the commit that brings it: no claim, no wait.

Whoever commits a step asks for a seat for each piece of work. With a seat, the row is written as
reserved by the worker's member, unless a throttle says otherwise, and the worker begins when the
commit is through. Without one, the row waits in its stream for whoever claims it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from durable.protocol.retry import RetryPolicy
from durable.streams.graph_messages import Taken, Work


@dataclass(frozen=True, slots=True)
class Seat:
    """A free slot of a worker.

    Args:
        member: under whose id the work is reserved. consumer: the guid by which throttles may name
            the worker. retry: the worker's policy, for work whose activity has none.
    """

    member: int
    consumer: str
    retry: RetryPolicy | None = None

    def policy(self, work: Work) -> RetryPolicy:
        """The policy in force for work that takes this seat."""
        return work.retry if work.own or self.retry is None else self.retry


class Seats(Protocol):
    """The workers of a process."""

    def serves(self, stream: str) -> bool:
        """Whether a worker of this process takes work from a stream."""
        ...

    def seat(self, stream: str) -> Seat | None:
        """Keep a slot for work of a stream until `seated` is called; None: it has to wait."""
        ...

    def seated(self, stream: str, seat: Seat, taken: Taken | None) -> None:
        """Work has taken the seat and may begin; None: nothing came of it."""
        ...


def taken_by(seat: Seat, work: Work, message_id: int, run_id: int) -> Taken:
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
        seat.policy(work),
        work.attempts,
        trace=work.trace,
    )
