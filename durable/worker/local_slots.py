"""Slots for steps that run in the process that holds their run, without the queue path."""

from __future__ import annotations

from collections.abc import Iterable

from durable.protocol.commands import StartActivity
from durable.worker.attempts import Attempts
from durable.worker.throttles import QueueThrottles


class LocalSlots:
    """Which steps may run here without taking the queue path.

    Args:
        queue: the task queue of the worker.
        attempts: where its activities run.
        throttles: what is throttled has to be claimed.

    Attributes:
        closed: whether no more steps are started.
    """

    def __init__(self, queue: str, attempts: Attempts, throttles: QueueThrottles) -> None:
        self.closed = False
        self._queue = queue
        self._attempts = attempts
        self._throttles = throttles
        self._backlogged = False

    def close(self) -> None:
        """Start no more steps."""
        self.closed = True

    def note_backlog(self, *, backlogged: bool) -> None:
        """Whether attempts wait in the queue: then steps of runs held here queue behind them."""
        self._backlogged = backlogged

    def reserve(self, command: StartActivity, queue: str) -> bool:
        """Reserve a slot for a step of a run of `queue`; False: it takes the queue path."""
        elsewhere = command.options.task_queue not in (None, self._queue)
        if elsewhere or self._backlogged or self.closed or queue != self._queue:
            return False
        name = command.served_by
        return self._throttles.starts_here(name) and self._attempts.reserve(name)

    def release(self, commands: Iterable[StartActivity]) -> None:
        """Release the slots of steps that are not started here after all."""
        for command in commands:
            self._attempts.release(command.served_by)
