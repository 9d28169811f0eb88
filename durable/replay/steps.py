"""The numbers of a run: what it issued, what is open, what is still to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from durable.errors import NotDurableError
from durable.protocol.commands import CancelStep, Command, Step
from durable.replay.tasks import Gone, RunFuture

REFUSED_MAX = 1000  # commands of a run that has ended: more come from a loop that swallows the end


class ResultReader(Protocol):
    """Reads the result of a step."""

    def decode_result(self, text: str) -> object:
        """The result of a text. `PayloadError` if it is none of the type that was asked for."""
        ...


class StepFuture(RunFuture):
    """What user code awaits of an activity, a child or a graph. Cancelling it abandons the step."""

    steps: Steps
    number: int
    signature: ResultReader

    def cancel(self, msg: object | None = None) -> bool:
        """Cancel the wait, at once; the step's answer will be dropped."""
        if not super().cancel(msg):
            return False
        self.steps.abandon(self.number)
        return True


class StepTimer(asyncio.TimerHandle):
    """The handle of a durable timer; the loop abandons the step when it is cancelled."""

    __slots__ = ("number",)

    number: int


Waiter = StepFuture | StepTimer


class Steps:
    """The commands of one run.

    Attributes:
        issued: the highest number given.
        open: steps neither settled nor abandoned, in the order of their numbers.
        held: bytes of the arguments of open steps.
        frozen: who is running and may only look; empty when commands are allowed.
    """

    __slots__ = ("_outbox", "_refused", "_shut", "_waiters", "frozen", "held", "issued", "open")

    def __init__(self) -> None:
        self.issued = 0
        self.open: dict[int, Step] = {}
        self.held = 0
        self._waiters: dict[int, Waiter] = {}
        self._outbox: list[Command] = []
        self._shut = False
        self._refused = 0
        self.frozen = ""

    def next_number(self) -> int:
        """The number that the next command gets; it is taken by `start`.

        Raises `Gone` when the run has ended or is being evicted, `NotDurableError` where commands
        are forbidden for the moment. Code that swallows `Gone` and tries again without end is let
        pass after a while: what it then waits for never comes.
        """
        if self._shut:
            self._refused += 1
            if self._refused <= REFUSED_MAX:
                raise Gone
            return 0
        self.check_moving()
        return self.issued + 1

    def check_moving(self) -> None:
        """Raise `NotDurableError` where code may look, and must not move the run."""
        if self.frozen:
            raise NotDurableError(
                f"{self.frozen} must only look: it may not sleep, call activities, start"
                " children or draw random numbers"
            )

    def start(self, step: Step, waiter: Waiter) -> None:
        """Issue a step whose number came from `next_number`."""
        number = step.number
        waiter.number = number
        if self._shut:
            return
        self.issued = number
        self.open[number] = step
        self._waiters[number] = waiter
        self._outbox.append(step)
        self.held += len(getattr(step, "input", ""))

    def settle(self, number: int) -> Waiter:
        """Close an open step and hand out who waits for it."""
        step = self.open.pop(number)
        self.held -= len(getattr(step, "input", ""))
        return self._waiters.pop(number)

    def abandon(self, number: int) -> None:
        """Close a step because nobody waits for it any more; nothing if it is closed already."""
        if number in self.open:
            self.settle(number)
            self._outbox.append(CancelStep(number))

    def send(self, command: Command) -> None:
        """Add a command that opens no step."""
        self._outbox.append(command)

    def take(self) -> list[Command]:
        """What has been issued since the last time, in order."""
        taken, self._outbox = self._outbox, []
        return taken

    @contextmanager
    def freeze(self, caller: str) -> Iterator[None]:
        """Forbid commands meanwhile: `caller` may only look."""
        before, self.frozen = self.frozen, caller
        try:
            yield
        finally:
            self.frozen = before

    def shut(self) -> None:
        """No commands any more: whoever tries is `Gone`."""
        self._shut = True

    def clear(self) -> None:
        """Let go of everything: the run has been evicted."""
        self.open.clear()
        self._waiters.clear()
        self._outbox.clear()
        self.held = 0
