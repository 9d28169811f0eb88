"""What the parts of one worker share: its member, services, queue, clock and background tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from durable.runtime.clocks import MemberClock
from durable.runtime.notifications import QueueKind
from durable.runtime.supervision import Tasks
from durable.worker.worker_services import WorkerServices


def left_to_reconciler(_name: str, _error: BaseException) -> None:
    """A task gave up, and has logged why; the reconciler finds the rows that stay reserved."""


class RowActions:
    """Background actions on reserved rows, which count as known here until their action has ended.

    Attributes:
        rows: the rows of actions under way.
    """

    def __init__(self, tasks: Tasks) -> None:
        self.rows: set[int] = set()
        self._tasks = tasks

    def begin(self, row: int, name: str, action: Callable[[], Awaitable[object]]) -> None:
        """Carry out `action`, which may safely happen twice, until it has succeeded."""
        self.rows.add(row)
        task = self._tasks.once(name, action, otherwise=left_to_reconciler)
        task.add_done_callback(lambda _: self.rows.discard(row))


class WorkerContext:
    """The member that a worker is, and what it acts with.

    Args:
        services: what its client gave it.
        queue: its task queue.
        clock: the database's time.
        tasks: where it does what has to be waited for.

    Attributes:
        member: the id under which rows are reserved; 0 while this process is no member.
        actions: what is under way for single rows.
    """

    def __init__(
        self, services: WorkerServices, queue: str, clock: MemberClock, tasks: Tasks
    ) -> None:
        self.member = 0
        self.services = services
        self.queue = queue
        self.clock = clock
        self.tasks = tasks
        self.actions = RowActions(tasks)

    def join(self, member: int) -> None:
        """Reserve rows as `member` from now on."""
        self.member = member

    def leave(self) -> int:
        """Reserve no more rows; returns the member that it was."""
        member, self.member = self.member, 0
        return member

    def announce_turns(self, amount: int = 1) -> None:
        """Notify the workers of the queue of turns to take; `amount` 0: all of them are to look."""
        self.services.announcer.queue(self.queue, QueueKind.TURN, amount)
