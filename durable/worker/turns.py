"""A turn of a run: what arrived for it, what its commit writes, and what starts with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from durable.descriptor.command_plan import CommandPlan
from durable.errors import DescriptorError
from durable.protocol.commands import (
    CancelStep,
    Command,
    Finish,
    PutAside,
    StartActivity,
    StartChild,
    StartGraph,
    StartTimer,
    Step,
)
from durable.protocol.commits import ChildStart, Commit, GraphStep, Intent
from durable.protocol.facts import Fact
from durable.protocol.failures import Failure
from durable.replay.run import Run
from durable.store.activities import Attempt, Settlement
from durable.worker.local_slots import LocalSlots
from durable.worker.open_steps import OpenSteps


@dataclass(slots=True)
class Arrived:
    """A fact on its way: from the inbox (`inbox` its row), or from an attempt that ran here."""

    fact: Fact
    inbox: int | None = None
    message: int | None = None
    failed: Intent | None = None  # the last attempt, to be kept as an expired row

    def settlement(self, rows: Mapping[int, int]) -> Settlement | None:
        """How an attempt that has a row ended here; None: it has none, or it is in the inbox.

        `rows` are those of steps, by number: an attempt that began without one may have got one.
        """
        message = self.message
        if message is None and self.inbox is None:
            message = rows.get(self.fact.number)
        if message is None:
            return None
        failure = None if self.failed is None else self.failed.failure
        return Settlement(message, self.fact.data, None if failure is None else failure.to_json())


@dataclass(slots=True)
class Retry:
    """An attempt that ran here without a row has failed, and another follows after `delay`."""

    attempt: Attempt
    failure: Failure
    delay: float


@dataclass(slots=True)
class Turn:
    """What came of a turn: a commit (None: nothing to write), and what to start once it passed."""

    commit: Commit | None = None
    here: list[StartActivity] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    timers: list[StartTimer] = field(default_factory=list)
    limits: list[tuple[float, int]] = field(default_factory=list)  # when, which step


class TurnDraft:
    """A turn that is being put together from the commands of the run.

    Args:
        run: the coroutine, which has issued the commands.
        steps: its open steps.
        plan: how its commands are carried out.
        slots: where a slot is reserved for an attempt that can start here.
        intents: rows of attempts that are tried again.

    Attributes:
        turn: what came of it, without its commit.
    """

    def __init__(
        self,
        run: Run,
        steps: OpenSteps,
        plan: CommandPlan,
        slots: LocalSlots,
        intents: list[Intent],
    ) -> None:
        self.turn = Turn()
        self.intents = intents
        self.issued = steps.issued
        self.pending: str | None = None
        self.children: list[ChildStart] = []
        self.cancelled: list[int] = []
        self.aside: list[PutAside] = []
        self.graphs: list[GraphStep] = []
        self.finish: Finish | None = None
        self._run = run
        self._steps = steps
        self._plan = plan
        self._slots = slots
        self._retried = {i.number for i in intents}

    @property
    def is_empty(self) -> bool:
        """Whether the run itself has done nothing that a commit would write."""
        return self.pending is None and not (
            self.cancelled or self.aside or self.finish or self.intents
        )

    def follow(self, commands: Iterable[Command], *, write: bool) -> None:
        """Take in the commands of the turn; `write`: the open steps are to be written down.

        Raises `DescriptorError` for a command that the descriptor has no way for.
        """
        try:
            for command in commands:
                write = self._follow(command) or write
        except DescriptorError:
            self._slots.release(self.turn.here)
            raise
        if self.finish is None and (write or self._retried):
            self._write_open()
            return
        if self.finish is not None:
            self._end()
        self._steps.unwritten.update((c.number, c) for c in self.turn.here)
        if self.cancelled:
            self.pending = self._steps.pending(self._steps.written())

    def _follow(self, command: Command) -> bool:
        """Take in one command; whether it has the open steps written down."""
        if isinstance(command, StartActivity):
            return self._activity(command)
        if isinstance(command, StartTimer):
            self.turn.timers.append(self._steps.route(command, self._plan))
        elif isinstance(command, StartChild | StartGraph):
            self._steps.route(command, self._plan)
            return True
        elif isinstance(command, CancelStep):
            self._cancel(command.number)
            self.graphs += self._steps.give_up_graphs([command.number])
        elif isinstance(command, PutAside):
            self.aside.append(command)
        else:
            self.finish = command
        return False

    def _activity(self, command: StartActivity) -> bool:
        if command.number not in self._run.open:
            return False
        command = self._steps.route(command, self._plan)
        here = self._steps.reserve(command, self._slots)
        if here:
            self.turn.here.append(command)
        return not here or not command.options.repeatable

    def _cancel(self, number: int) -> None:
        turn, steps = self.turn, self._steps
        if number in steps.unwritten:
            del steps.unwritten[number]
            turn.stopped.append(number)
        elif here := [c for c in turn.here if c.number == number]:
            self._slots.release(here)
            turn.here = [c for c in turn.here if c.number != number]
        elif number <= steps.issued:
            self.cancelled.append(number)
            if steps.messages.pop(number, None) is not None:
                turn.stopped.append(number)

    def _end(self) -> None:
        """The function has ended: what runs for it stops."""
        self._slots.release(self.turn.here)
        self.turn.here = []
        self.turn.stopped += list(self._steps.unwritten)
        self._steps.unwritten.clear()
        self.graphs += self._steps.give_up_graphs(list(self._run.open))

    def _write_open(self) -> None:
        """Write down the open steps that are not yet; those tried again have their intents."""
        here = {c.number for c in self.turn.here} | self._steps.unwritten.keys()
        self.issued = self._run.issued
        for step in self._steps.new():
            if step.number not in self._retried:
                self._write(step, here)
                self.graphs += self._steps.begin_graph(step)
                self.turn.limits += self._steps.limit(step)
        self.pending = self._steps.pending(list(self._run.open.values()))

    def _write(self, step: Step, here: set[int]) -> None:
        if isinstance(step, StartActivity):
            queue = step.options.task_queue or self._steps.queue
            intent = Intent(
                step.number, step.name, queue, step.input, step.options, held=step.number in here,
                topic=step.topic,
            )  # fmt: skip
            self.intents.append(intent)
        elif isinstance(step, StartChild):
            queue = step.options.task_queue or self._steps.queue
            priority = step.options.priority
            self.children.append(
                ChildStart(step.number, step.name, step.id, queue, step.input, priority)
            )
