"""One run: facts in, commands out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from durable.codec.exceptions import exception_of
from durable.codec.failures import failure_of
from durable.errors import (
    ActivityFailed,
    ChildFailed,
    InternalError,
    PayloadError,
)
from durable.protocol.codes import UNREADABLE
from durable.protocol.commands import Command, Finish, Step
from durable.protocol.facts import Fact, FactKind
from durable.protocol.failures import Failure
from durable.replay.call_sites import NOWHERE, waiting_site
from durable.replay.context import Context, RunIdentity
from durable.replay.definitions import WorkflowDefinition
from durable.replay.drains import Drains
from durable.replay.loop import CALLBACKS_MAX, ReplayLoop
from durable.replay.mailbox import Letter, Mailbox
from durable.replay.mismatch import (
    ExpectedStep,
    Where,
    after_the_end,
    check_finished,
    check_open,
    check_settled,
    python_hint,
)
from durable.replay.outside_access import raise_where_it_awaits
from durable.replay.steps import StepFuture, Steps, StepTimer
from durable.replay.tasks import Gone, RunTask
from durable.runtime.interrupts import is_interrupt
from durable.runtime.user_code import code_failure

_ACTIVITY_KINDS = frozenset({"activity", "timeout", "lost"})  # wrapped when recorded
T = TypeVar("T")

# Bytes, measured: a run that waits for its first step holds about 5,000.
_EMPTY_WEIGHT = 3_000
_TASK_WEIGHT = 1_200
_STEP_WEIGHT = 800


class Run:
    """The coroutine of a workflow, folded over its history.

    Args:
        definition: the workflow.
        identity: the run's id, task queue and workflow.
        callbacks_max: how many callbacks one drain may take; more means that the code never waits.
        drains: where it notes that its code runs, for the thread that watches.

    Attributes:
        revision: facts applied.
        finished: how the function ended, None until it has.

    Feed it facts in order. When `apply` raises, the run is evicted, and what was fed is of no
    consequence: build a new one from the history.
    """

    def __init__(
        self,
        definition: WorkflowDefinition,
        identity: RunIdentity,
        *,
        callbacks_max: int = CALLBACKS_MAX,
        drains: Drains | None = None,
    ) -> None:
        self.definition = definition
        self.identity = identity
        self.revision = 0
        self.finished: Finish | None = None
        self._label = f"run {identity.id!r} (workflow {identity.workflow!r})"
        self._steps = Steps()
        self._mailbox = Mailbox()
        seed = identity.run_id if identity.seed is None else identity.seed
        self._loop = ReplayLoop(  # type: ignore[abstract]  # the rest is set by guards
            self._steps, seed, self._label, callbacks_max
        )
        self._loop.drains, self._loop.run_id = drains, identity.run_id
        self._context = Context(identity, self._loop, self._steps, self._mailbox)
        self._loop.context = self._context
        self._main: RunTask | None = None
        self._outcome: Finish | None = None
        self._cancelled = False
        self._dead = False
        self._received = 0
        self._where = Where(self._label, definition.site)

    # --- what a worker reads -----------------------------------------------------------------

    @property
    def issued(self) -> int:
        """The highest command number given so far."""
        return self._steps.issued

    @property
    def open(self) -> Mapping[int, Step]:
        """Steps issued, not settled, not cancelled, in the order of their numbers."""
        return self._steps.open

    def carry_out(self, step: Step) -> None:
        """Have an open step be the one of its number that is carried out: with other options."""
        self._steps.open[step.number] = step

    @property
    def time(self) -> float:
        """Unix seconds of the last fact."""
        return self._loop.now

    @property
    def replaying(self) -> bool:
        """Set it while facts are fed that have been folded before: logs stay silent."""
        return self._loop.replaying

    @replaying.setter
    def replaying(self, value: bool) -> None:
        self._loop.replaying = value

    @property
    def weight(self) -> int:
        """Bytes held, about: tasks, open steps, unread signals, and what its facts brought."""
        objects = _TASK_WEIGHT * len(self._loop.tasks) + _STEP_WEIGHT * len(self._steps.open)
        payloads = self._steps.held + self._mailbox.held + self._received
        return _EMPTY_WEIGHT + objects + payloads + self._context.held

    def take_state(self) -> tuple[str | None, str | None]:
        """Attributes and entity as JSON text, each None unless it changed since the last time."""
        return self._context.take_state()

    def unread(self) -> list[Letter]:
        """Signals that the code has not received."""
        return self._mailbox.unread()

    # --- what a worker does ------------------------------------------------------------------

    def apply(self, fact: Fact) -> list[Command]:
        """Feed one fact, let the code go on until it waits, and return what it issued, in order.

        Raises:
            NonDeterminismError: the fact does not fit what the code did.
            PayloadError: the arguments or a step's result cannot be read as the annotated type.
            NotDurableError: the code never waits.
        """
        if self._dead:
            raise InternalError(f"{self._label} has been evicted and cannot take facts")
        try:
            with self._loop.turn():
                self._feed(fact)
                self._loop.drain()
                self._check_readable()
                if self._outcome is not None and self.finished is None and self._main is not None:
                    self._loop.wind_up(self._main)
                    self.finished = self._outcome
                    self._steps.send(self.finished)
        except BaseException:
            self.evict()
            raise
        self.revision = self._context.revision
        return self._steps.take()

    def expect(self, steps: Sequence[ExpectedStep], issued: int | None = None) -> None:
        """After a cold fold: what the store holds open must be what the code waits for.

        Args:
            steps: the steps that the store holds as issued and open.
            issued: the highest number that the store has written down; then no other step up to
                it may be open.

        Raises `NonDeterminismError` when they disagree; the run is evicted then.
        """
        try:
            check_open(steps, self._steps.open, issued, self._where)
        except BaseException:
            self.evict()
            raise

    @property
    def reached(self) -> bool:
        """Whether somebody reached into it from outside of its turn, and it is to be ended."""
        return self._loop.outside_access is not None and self.finished is None and not self._dead

    def on_reached(self, reached: Callable[[], None]) -> None:
        """Have `reached()` called when that happens, on whatever thread."""
        self._loop.on_outside_access = reached

    def end_reached(self) -> list[Command]:
        """End it: the error is raised where it awaits, and whatever the code does then, it failed.

        Nothing else of what the code does is sent, since no replay would do it again.
        """
        access, main = self._loop.outside_access, self._main
        if access is None or main is None:
            raise InternalError(f"{self._label} was not reached into")
        error = access.error(self._label, waiting_site(self._where.main))
        with self._loop.turn():
            raise_where_it_awaits(error, access, main)
            self._loop.drain()
            self._steps.shut()
        self._steps.take()
        self.finished = Finish("failed", failure=failure_of(error))
        return [self.finished]

    def evict(self) -> None:
        """End its tasks without a trace, and let go of everything. Can be called twice."""
        if self._dead:
            return
        self._dead = True
        self._loop.evict()
        self._steps.clear()
        self._main = self._where.main = None

    def look(self, reader: Callable[[], T]) -> T:
        """Call `reader` as workflow code that only looks, for a query: nothing moves.

        Raises what it raises, and `NotDurableError` if it tries to issue a command. If it started
        or woke a task, the run is evicted beside: its state would differ from its history.
        """
        if self._dead:
            raise InternalError(f"{self._label} has been evicted and cannot be looked at")
        try:
            return self._loop.look(reader)
        finally:
            if self._loop.is_disturbed:
                self.evict()

    # --- facts -------------------------------------------------------------------------------

    def _feed(self, fact: Fact) -> None:
        if self.finished is not None:
            if fact.kind is not FactKind.FINISHED:
                raise after_the_end(fact, self.finished, self._where)
        elif fact.kind is FactKind.STARTED:
            self._start(fact)
        elif self._main is None:
            raise InternalError(f"{self._label}: its history begins with {fact.kind.value!r}")
        self._loop.now = max(self._loop.now, fact.at)
        self._context.revision += 1
        _FEED[fact.kind](self, fact)

    def _start(self, fact: Fact) -> None:
        if self._main is not None:
            raise InternalError(f"{self._label}: its history begins twice")
        self._loop.now = fact.at
        begun = json.loads(fact.data) if fact.data else {}
        self._where.hint = python_hint(begun)
        self._context.begin_state(begun)
        try:
            args, kwargs = self.definition.signature.decode_arguments(fact.input or "{}")
        except PayloadError as error:
            if not begun.get("published"):
                raise
            main = self._refuse(error)
        else:
            main = self._run(args, kwargs)
        self._where.main = main
        self._main = self._loop.create_task(main, name="main", context=self._loop.variables)
        self._main.site = _site_of(self.definition.site)

    def _started(self, fact: Fact) -> None:
        """All done by `_start`, before the fact was counted."""

    def _settled(self, fact: Fact) -> None:
        step = self._steps.open.get(fact.number)
        check_settled(fact, step, self._steps.issued, self._where)
        if step is None:
            return
        self._received += len(fact.data or "")
        waiter = self._steps.settle(fact.number)
        if isinstance(waiter, StepTimer):
            self._loop.now = max(self._loop.now, waiter.when())  # however `at` was rounded
            self._loop.fire(waiter)
        else:
            self._answer(waiter, step, fact)

    def _answer(self, waiter: StepFuture, step: Step, fact: Fact) -> None:
        if fact.failure is None:
            try:
                result = waiter.signature.decode_result(fact.data or "null")
            except PayloadError as exc:
                raise PayloadError(
                    f"{self._label}: the result of step {step.number} ({step.name!r}, awaited at "
                    f"{step.site}) cannot be read: {exc}"
                ) from exc
            waiter.set_result(result)
        elif fact.failure.kind == "cancelled":
            waiter.cancel(fact.failure.message or None)
        else:
            waiter.set_exception(_raised(fact, fact.failure))

    def _check_readable(self) -> None:
        if (error := self._loop.unreadable) is not None:
            raise PayloadError(
                f"{self._label}: a signal that its code has received cannot be read any more:"
                f" {error}"
            )

    def _signalled(self, fact: Fact) -> None:
        aside = fact.failure is not None
        self._mailbox.put(Letter(fact.name, fact.data, fact.at, self._context.revision, aside))

    def _cancel(self, fact: Fact) -> None:
        if self._cancelled or self._main is None:
            return  # asked twice is cancelled once
        self._cancelled = True
        reason = json.loads(fact.data) if fact.data else None
        self._main.cancel(reason)

    def _finished(self, fact: Fact) -> None:
        check_finished(fact, self.finished, self._where)

    # --- the main task -----------------------------------------------------------------------

    async def _refuse(self, error: PayloadError) -> None:
        """Fail with what `HotMesh.pub` was given: no other code makes arguments of it."""
        failure = replace(failure_of(error), details={"attributes": {"code": UNREADABLE}})
        self._outcome = Finish("failed", failure=failure)
        self._steps.shut()

    async def _run(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        try:
            value = await self.definition.fn(*args, **kwargs)
            self._outcome = Finish("completed", data=self.definition.signature.encode_result(value))
        except Gone:
            raise
        except BaseException as exc:  # it becomes the run's failure
            if self._dead or is_interrupt(exc):
                raise  # the run is being evicted: its coroutine is closed, or cancelled
            if self._cancelled and isinstance(exc, asyncio.CancelledError):
                self._outcome = Finish("cancelled", failure=failure_of(exc))
            else:
                self._outcome = Finish("failed", failure=code_failure(exc))
        # What the other tasks do from here on has no effect: see ReplayLoop.wind_up.
        self._steps.shut()


_FEED: Mapping[FactKind, Any] = {
    FactKind.STARTED: Run._started,  # noqa: SLF001 - this class's own table
    FactKind.ACTIVITY: Run._settled,  # noqa: SLF001
    FactKind.TIMER: Run._settled,  # noqa: SLF001
    FactKind.CHILD: Run._settled,  # noqa: SLF001
    FactKind.GRAPH: Run._settled,  # noqa: SLF001
    FactKind.SIGNAL: Run._signalled,  # noqa: SLF001
    FactKind.CANCEL: Run._cancel,  # noqa: SLF001
    FactKind.FINISHED: Run._finished,  # noqa: SLF001
}


def _site_of(place: str) -> tuple[str, int]:
    name, _, line = place.rpartition(":")
    return (name, int(line)) if line.isdigit() else NOWHERE


def _raised(fact: Fact, failure: Failure) -> Exception:
    """What user code sees of a step that failed: of the step's own family, with the cause in it."""
    cause = exception_of(failure)
    if fact.kind is FactKind.GRAPH:
        message = f"graph {fact.name!r} failed: {failure.message}"
        return ChildFailed(message, name=fact.name, cause=cause)
    if fact.kind is FactKind.CHILD:
        # Always wrapped: a child that failed by a child of its own must not look like that one.
        message = f"child workflow {fact.name!r} failed: {failure.type}: {failure.message}"
        return ChildFailed(message, name=fact.name, cause=cause)
    if isinstance(cause, ActivityFailed) and failure.kind in _ACTIVITY_KINDS:
        cause.name = cause.name or fact.name
        return cause
    tries = "" if failure.attempts == 1 else f" after {failure.attempts} attempts"
    message = f"activity {fact.name!r} failed{tries}: {failure.type}: {failure.message}"
    return ActivityFailed(message, name=fact.name, attempts=failure.attempts, cause=cause)
