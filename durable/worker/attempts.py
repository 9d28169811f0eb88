"""Running attempts of activities: async ones as tasks, plain ones on threads, within limits.

An attempt ends in one `Outcome`, whatever its code raises, and whether or not that ever ends: code
that swallows its cancellation is left behind. What follows (a retry, a fact) is not decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import replace
from functools import partial

from durable.authoring.heartbeats import Heart
from durable.replay.definitions import ActivityDefinition
from durable.runtime.clocks import MemberClock
from durable.runtime.threads import DaemonThreads
from durable.store.activities import Attempt
from durable.store.lease import Lease
from durable.store.members import UNKNOWN
from durable.telemetry.logs import logger
from durable.worker.attempt_code import (
    ABANDONED,
    INTERRUPTED,
    Done,
    Outcome,
    RunningAttempt,
    run_as_task,
    run_on_thread,
    wait_for_loop,
)
from durable.worker.attempt_timeouts import AttemptTimeouts

UNWIND = 5.0  # seconds that code has to end in after it was cancelled; then it is left behind
CANCELLED = 1.0  # the same at a stop, which has little time


class ActivitySlots:
    """Room for attempts: so many tasks, so many threads.

    Args:
        tasks: how many async activities may run at once.
        threads: how many plain ones.
    """

    def __init__(self, tasks: int, threads: int) -> None:
        self.threads = threads
        self._free = {True: tasks, False: threads}  # of async activities, of plain ones
        self._on_freed: list[Callable[[], None]] = []

    def free(self, *, is_async: bool) -> int:
        """How many more may run."""
        return self._free[is_async]

    def take(self, definition: ActivityDefinition) -> None:
        """Take a slot for this activity."""
        self._free[definition.is_async] -= 1

    def give(self, definition: ActivityDefinition) -> None:
        """Give a slot of this activity back."""
        self._free[definition.is_async] += 1

    def on_freed(self, freed: Callable[[], None]) -> None:
        """Have `freed()` called whenever a slot becomes free."""
        self._on_freed.append(freed)

    def notify(self) -> None:
        """A slot has become free."""
        for freed in self._on_freed:
            freed()


class Attempts:
    """The attempts that run in this process.

    Args:
        definitions: the activities served, by name.
        clock: the database's time, and elapsed time for limits.
        lease: that under which attempts begin.
        slots: how many may run at once.
        ending: whether the loop is being torn down, and what is cancelled then has not failed.
        blamed: where the code stands, or stood, that blocked the loop.

    Attributes:
        unknown: rows of interrupted attempts that may not be repeated, so are not to be given back.
    """

    def __init__(
        self, definitions: Mapping[str, ActivityDefinition], clock: MemberClock, lease: Lease,
        slots: ActivitySlots, *, ending: Callable[[], bool] = lambda: False,
        blamed: Callable[[], str] = str,
    ) -> None:  # fmt: skip
        self.definitions = definitions
        self.slots = slots
        self.unknown: set[int | None] = set()
        self._clock = clock
        self._lease = lease
        self._ending = ending
        self._threads = DaemonThreads(slots.threads, "durable activity")
        self._timeouts = AttemptTimeouts(clock, self._end, blamed)
        self._running: dict[int, RunningAttempt] = {}
        self._by_step: dict[tuple[int, int], list[RunningAttempt]] = {}
        self._idle = asyncio.Event()
        self._detaching = threading.Lock()

    def free(self) -> int:
        """How many more attempts could be claimed, whatever their kind."""
        kinds = {d.is_async for d in self.definitions.values()}
        return min(self.slots.free(is_async=kind) for kind in kinds) if kinds else 1 << 30

    def reserve(self, name: str) -> bool:
        """Take a slot for an attempt, to be started or released; False: none is free."""
        definition = self.definitions.get(name)
        if definition is None or self.slots.free(is_async=definition.is_async) <= 0:
            return False
        self.slots.take(definition)
        return True

    def release(self, name: str) -> None:
        """Give a reserved slot back."""
        self.slots.give(self.definitions[name])
        self.slots.notify()

    @property
    def count(self) -> int:
        """How many run now; may be read by any thread."""
        return len(self._running)

    def of_task(self, task: asyncio.Task[object]) -> Attempt | None:
        """The attempt whose code a task is; may be called by any thread."""
        return next((r.attempt for r in list(self._running.values()) if r.task is task), None)

    def running(self) -> list[Attempt]:
        """What runs now."""
        return [running.attempt for running in self._running.values()]

    def start(self, attempt: Attempt, done: Done, *, reserved: bool = False) -> None:
        """Run an attempt; `done` is called once with how it ended, on this loop.

        `reserved`: its slot has been taken by `reserve`.
        """
        definition = self.definitions[attempt.served_by]
        if not reserved:
            self.slots.take(definition)
        running = RunningAttempt(attempt, definition, done, Heart(self._clock.monotonic))
        self._running[id(running)] = running
        self._by_step.setdefault(running.step, []).append(running)
        self._timeouts.arm(running)
        if definition.is_async:
            running.task = asyncio.get_running_loop().create_task(
                run_as_task(running, self._confirmed, self._ending)
            )
            # Not within the task: one that is cancelled before its first step runs no line.
            running.task.add_done_callback(partial(self._task_ended, running))
        else:
            self._start_thread(running)

    def written(self, run_id: int, number: int, message: int) -> None:
        """The attempt of this step that began without a row has one now."""
        for running in self._by_step.get((run_id, number), ()):
            if running.attempt.id is None:
                running.attempt = replace(running.attempt, id=message)

    def returned(self, run_id: int, number: int) -> bool:
        """Whether the code of this step ran here and has ended.

        A loop that is behind is notified of that late: the step does not take as long as it seems.
        """
        entries = self._by_step.get((run_id, number), ())
        return bool(entries) and all(running.has_returned for running in entries)

    def stop(self, run_id: int, number: int, *, unwritten: bool = False) -> None:
        """Cancel the attempts of this step that run here; their outcome is then `abandoned`.

        `unwritten`: only those that began without a row of their own.
        """
        for running in list(self._by_step.get((run_id, number), ())):
            if running.attempt.id is None or not unwritten:
                self._end(running, ABANDONED)

    def stop_all(self) -> None:
        """Cancel all that run: this member was declared dead, and others have them."""
        for attempt in self.running():
            self.stop(attempt.run_id, attempt.number)

    def runs(self, message: int) -> bool:
        """Whether the attempt of this message runs here."""
        return any(running.attempt.id == message for running in self._running.values())

    def stop_message(self, message: int) -> None:
        """Cancel the attempt of this message, if it runs here."""
        for running in self._running.values():
            if running.attempt.id == message:
                self._end(running, ABANDONED)
                return

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for what runs, then cancel the rest, and wait a moment more.

        Threads are notified by their next heartbeat; what still runs afterwards is for `detach`.
        """
        await self._until_idle(grace)
        for running in list(self._running.values()):
            if running.task is not None:
                self._end(running, ABANDONED)
            running.heart.stopped = True
        await self._until_idle(CANCELLED)
        self._threads.close()

    def detach(self, successor: Done) -> list[Attempt]:
        """Hand over what still runs and has a row; `successor` gets each outcome, on any thread."""
        detached = []
        with self._detaching:
            for running in list(self._running.values()):
                if running.attempt.id is not None and not running.returned:
                    running.successor = successor
                    self._forget(running)
                    detached.append(running.attempt)
        return detached

    async def _until_idle(self, limit: float) -> None:
        self._idle.clear()
        if self._running:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await self._idle.wait()

    # --- beginnings --------------------------------------------------------------------------

    async def _confirmed(self, running: RunningAttempt) -> None:
        """Return once others cannot have this attempt; no limit counts what that takes."""
        if not self._lease.fresh():
            running.disarm()
            await self._lease.confirmed()
            running.heart.last = self._clock.monotonic()
            if not running.settled:
                self._timeouts.arm(running)

    def _start_thread(self, running: RunningAttempt) -> None:
        loop, context = asyncio.get_running_loop(), copy_context()

        def job() -> None:
            outcome = ABANDONED
            if self._lease.fresh() or wait_for_loop(self._confirmed(running), loop):
                outcome = context.run(run_on_thread, running)
            with self._detaching:
                running.returned = True
            if running.successor is not None:
                running.successor(running.attempt, outcome)
                return
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                # One turn of the loop later, as for a task that has ended: of attempts that were
                # started together and wait for nothing, each ends in its turn, on whatever it ran.
                loop.call_soon_threadsafe(loop.call_soon, self._code_ended, running, outcome)

        self._threads.run(job)

    # --- ends --------------------------------------------------------------------------------

    def _end(self, running: RunningAttempt, verdict: Outcome) -> None:
        """Have an attempt end; code that is async is cancelled, and has a moment to end."""
        if running.settled or (running.verdict is not None and not verdict.abandoned):
            return
        cancelled, running.verdict = running.verdict is not None, verdict
        running.heart.stopped = True
        if running.task is None:
            # A thread cannot be stopped: its slot is free when it ends, not when we stop waiting.
            asyncio.get_running_loop().call_soon(self._settle, running, verdict)
        elif not cancelled:
            running.task.cancel()
            due = self._clock.monotonic() + UNWIND
            running.timers["unwind"] = self._clock.host.call_at(due, self._leave_behind, running)

    def _leave_behind(self, running: RunningAttempt) -> None:
        logger.warning(
            "the code of activity %r (run %s) goes on %g s after it was cancelled; its attempt has"
            " ended without it: let asyncio.CancelledError out of its except clauses",
            running.attempt.name, running.attempt.jid, UNWIND,
        )  # fmt: skip
        self._settle(running, running.verdict or ABANDONED)

    def _task_ended(self, running: RunningAttempt, task: asyncio.Task[Outcome]) -> None:
        # An exception here can be Ctrl-C alone: the process is about to end.
        whole = not task.cancelled() and task.exception() is None
        self._code_ended(running, task.result() if whole else INTERRUPTED)

    def _code_ended(self, running: RunningAttempt, outcome: Outcome) -> None:
        self.slots.give(running.definition)
        verdict = running.verdict
        if running.successor is not None and running.task is not None:
            running.successor(running.attempt, outcome if verdict is None else ABANDONED)
        if verdict is not None and (verdict.abandoned or outcome.data is None):
            outcome = verdict
        self._settle(running, outcome)

    def _settle(self, running: RunningAttempt, outcome: Outcome) -> None:
        """The attempt has ended, though its code may go on."""
        if not running.settled:
            self._forget(running)
            if outcome.interrupted and running.attempt.last:
                self.unknown.add(running.attempt.id)
                outcome = Outcome(failure=UNKNOWN)
            running.done(running.attempt, outcome)
        if not self._running:
            self._idle.set()
        self.slots.notify()

    def _forget(self, running: RunningAttempt) -> None:
        running.settled = True
        running.disarm()
        del self._running[id(running)]
        same_step = self._by_step[running.step]
        same_step.remove(running)
        if not same_step:
            del self._by_step[running.step]
