"""Running attempts of activities: async ones as tasks, plain ones on threads, within limits.

An attempt ends in one `Outcome`, whatever its code raises, and whether or not that ever ends: code
that swallows its cancellation is left behind. What follows (a retry, a fact) is not decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError as Cancelled
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial

from durable.authoring.heartbeats import HEART, Heart
from durable.protocol.carriers import carrier
from durable.protocol.failures import Failure
from durable.replay.definitions import ActivityDefinition
from durable.runtime.clocks import MemberClock, Timer
from durable.runtime.interrupts import is_interrupt
from durable.runtime.threads import DaemonThreads, carry_into_threads
from durable.runtime.user_code import code_failure
from durable.store.activities import Attempt
from durable.store.lease import Lease
from durable.store.members import UNKNOWN
from durable.telemetry.logs import logger

UNWIND = 5.0  # seconds that code has to end in after it was cancelled; then it is left behind
CANCELLED = 1.0  # the same at a stop, which has little time
LOOK = 1.0  # seconds after which a thread that waits for its loop sees whether there is one
LATE = 0.05  # a timer that comes later than this says that something else blocked the loop


@carrier
class Outcome:
    """How an attempt ended: `data` (JSON text) or `failure`.

    `abandoned`: nobody waits for it any more. `interrupted`: the process ends, by Ctrl-C or because
    its loop does; that is no failure of an attempt that may be repeated.
    """

    data: str | None = None
    failure: Failure | None = None
    abandoned: bool = False
    interrupted: bool = False


Done = Callable[[Attempt, Outcome], None]

_ABANDONED = Outcome(abandoned=True)
_INTERRUPTED = Outcome(interrupted=True)


def timed_out(name: str, kind: str, limit: float, attempts: int = 1) -> Failure:
    """An activity that exceeded a limit; `kind` is the option, `limit` in seconds."""
    return Failure(
        type="ActivityTimeout", kind="timeout", name=name, attempts=attempts,
        details={"kind": kind},
        message=f"{name} exceeded its {kind} timeout of {limit:g} s (attempt {attempts})",
        non_retryable=kind not in ("start_to_close", "heartbeat"),
    )  # fmt: skip


@dataclass(slots=True, eq=False)
class _Running:
    """An attempt and its code: a task, or (`task` None) a job on a thread.

    `verdict`: how it ends unless its code returns a value yet; `settled`: it has ended, though its
    code may go on. `returned`: its thread is done; `successor` is called then, not the loop.
    """

    attempt: Attempt
    definition: ActivityDefinition
    done: Done
    heart: Heart
    task: asyncio.Task[Outcome] | None = None
    verdict: Outcome | None = None
    settled: bool = False
    returned: bool = False
    successor: Done | None = None
    timers: dict[str, Timer] = field(default_factory=dict)


class _Slots:
    """Room for attempts: so many tasks, so many threads; `waiting` are called when one is free."""

    def __init__(self, tasks: int, threads: int) -> None:
        self.tasks = tasks
        self.threads = threads
        self.waiting: list[Callable[[], None]] = []

    def free(self, *, is_async: bool) -> int:
        return self.tasks if is_async else self.threads

    def take(self, n: int, *, is_async: bool) -> None:
        if is_async:
            self.tasks -= n
        else:
            self.threads -= n

    def freed(self) -> None:
        for call in self.waiting:
            call()


class Attempts:
    """The attempts that run in this process, bounded: so many tasks, so many threads.

    Args:
        definitions: the activities served, by name.
        clock: the database's time, and elapsed time for limits.
        lease: that under which attempts begin.
        tasks, threads: how many async and plain activities may run at once.
        ending: whether the loop is being torn down, and what is cancelled then has not failed.

    Attributes:
        blamed: says where the code stands, or stood, that blocked the loop.
        unknown: rows of interrupted attempts that may not be repeated, so are not to be given back.
    """

    def __init__(
        self,
        definitions: Mapping[str, ActivityDefinition],
        clock: MemberClock,
        lease: Lease,
        *,
        tasks: int,
        threads: int,
        ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self.definitions = definitions
        self._clock = clock
        self._lease = lease
        self._slots = _Slots(tasks, threads)
        self._threads = DaemonThreads(threads, "durable activity")
        self._ending = ending
        self._running: dict[int, _Running] = {}
        self._by_step: dict[tuple[int, int], list[_Running]] = {}
        self.unknown: set[int | None] = set()
        self.blamed: Callable[[], str] = str
        self._idle = asyncio.Event()
        self._handing = threading.Lock()

    def sharing(self) -> Attempts:
        """Others of the same activities, which share the slots of these."""
        slots = self._slots
        other = Attempts(
            self.definitions, self._clock, self._lease, tasks=slots.tasks, threads=slots.threads,
            ending=self._ending,
        )  # fmt: skip
        other._slots = slots
        return other

    def on_freed(self, freed: Callable[[], None]) -> None:
        """Have `freed()` called whenever a slot becomes free."""
        self._slots.waiting.append(freed)

    def free(self) -> int:
        """How many more attempts could be claimed, whatever their kind."""
        kinds = {d.is_async for d in self.definitions.values()}
        return min(self._slots.free(is_async=kind) for kind in kinds) if kinds else 1 << 30

    def reserve(self, name: str) -> bool:
        """Take a slot for an attempt, to be started or released; False: none is free."""
        definition = self.definitions.get(name)
        if definition is None or self._slots.free(is_async=definition.is_async) <= 0:
            return False
        self._take(definition, 1)
        return True

    def release(self, name: str) -> None:
        """Give a reserved slot back."""
        self._take(self.definitions[name], -1)
        self._slots.freed()

    @property
    def count(self) -> int:
        """How many run now; may be read by any thread."""
        return len(self._running)

    def of_task(self, task: asyncio.Task[object]) -> Attempt | None:
        """The attempt whose code a task is; may be called by any thread."""
        return next((e.attempt for e in list(self._running.values()) if e.task is task), None)

    def running(self) -> list[Attempt]:
        """What runs now."""
        return [entry.attempt for entry in self._running.values()]

    def start(self, attempt: Attempt, done: Done, *, reserved: bool = False) -> None:
        """Run an attempt; `done` is called once with how it ended, on this loop.

        `reserved` says that its slot has been taken by `reserve`.
        """
        definition = self.definitions[attempt.served_by]
        if not reserved:
            self._take(definition, 1)
        entry = _Running(attempt, definition, done, Heart(self._clock.monotonic))
        self._running[id(entry)] = entry
        self._by_step.setdefault(_key(attempt), []).append(entry)
        self._limit(entry)
        if definition.is_async:
            entry.task = asyncio.get_running_loop().create_task(self._code(entry))
            # Not within the task: one that is cancelled before its first step runs no line.
            entry.task.add_done_callback(partial(self._task_ended, entry))
        else:
            self._start_thread(entry)

    def written(self, run_id: int, number: int, message: int) -> None:
        """The attempt of this step that began without a row has one now."""
        for entry in self._by_step.get((run_id, number), ()):
            if entry.attempt.id is None:
                entry.attempt = replace(entry.attempt, id=message)

    def returned(self, run_id: int, number: int) -> bool:
        """Whether the code of this step ran here and has ended; how, the loop is told any moment.

        A loop that is behind hears of that late: the step does not take as long as it seems.
        """
        entries = self._by_step.get((run_id, number), ())
        return bool(entries) and all(
            entry.returned if entry.task is None else entry.task.done() for entry in entries
        )

    def stop(self, run_id: int, number: int, *, unwritten: bool = False) -> None:
        """Cancel the attempts of this step that run here; their outcome is then `abandoned`.

        `unwritten`: only those that began without a row of their own.
        """
        for entry in list(self._by_step.get((run_id, number), ())):
            if entry.attempt.id is None or not unwritten:
                self._end(entry, _ABANDONED)

    def runs(self, message: int) -> bool:
        """Whether the attempt of this message runs here."""
        return any(entry.attempt.id == message for entry in self._running.values())

    def stop_message(self, message: int) -> bool:
        """Cancel the attempt of this message, if it runs here."""
        for entry in self._running.values():
            if entry.attempt.id == message:
                self._end(entry, _ABANDONED)
                return True
        return False

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for what runs, then cancel the rest, and wait a moment more.

        Threads hear of it by their next heartbeat; what still runs afterwards is for `detach`.
        """
        await self._until_idle(grace)
        for entry in list(self._running.values()):
            if entry.task is not None:
                self._end(entry, _ABANDONED)
            entry.heart.stopped = True
        await self._until_idle(CANCELLED)
        self._threads.close()

    def detach(self, successor: Done) -> list[Attempt]:
        """Hand over what still runs and has a row; `successor` gets each outcome, on any thread."""
        detached = []
        with self._handing:
            for entry in list(self._running.values()):
                if entry.attempt.id is not None and not entry.returned:
                    entry.successor = successor
                    self._forget(entry)
                    detached.append(entry.attempt)
        return detached

    async def _until_idle(self, limit: float) -> None:
        self._idle.clear()
        if self._running:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await self._idle.wait()

    def _take(self, definition: ActivityDefinition, n: int) -> None:
        self._slots.take(n, is_async=definition.is_async)

    # --- limits ------------------------------------------------------------------------------

    def _limit(self, entry: _Running) -> None:
        """Arm what ends the attempt if its code does not."""
        attempt, options = entry.attempt, entry.attempt.options
        limit, kind = options.start_to_close, "start_to_close"
        if options.schedule_to_close is not None:
            rest = max(0.0, attempt.scheduled_at + options.schedule_to_close - self._clock.now())
            if limit is None or rest < limit:
                limit, kind = rest, "schedule_to_close"
        if limit is not None:
            self._arm(entry, kind, limit, partial(self._expire, entry, kind, limit))
        if options.heartbeat is not None:
            carry_into_threads(HEART)
            self._arm(entry, "heartbeat", options.heartbeat, partial(self._watch, entry))

    def _arm(self, entry: _Running, kind: str, delay: float, ring: Callable[[float], None]) -> None:
        due = self._clock.monotonic() + delay
        entry.timers[kind] = self._clock.host.call_at(due, ring, due)

    def _disarm(self, entry: _Running) -> None:
        for timer in entry.timers.values():
            timer.cancel()

    def _expire(self, entry: _Running, kind: str, limit: float, due: float) -> None:
        late = self._clock.monotonic() - due
        if late > LATE and entry.task is not None:
            # What blocked the loop may have kept the code from ending in time: it goes first.
            self._note_blocked(entry, late)
            self._arm(entry, kind, LATE, partial(self._expire, entry, kind, limit))
            return
        self._end(entry, Outcome(failure=_timed_out(entry.attempt, kind, limit)))

    def _watch(self, entry: _Running, due: float) -> None:
        """End the attempt once it has been silent for its limit, by what it has said until now."""
        limit = entry.attempt.options.heartbeat or 0.0
        late = self._clock.monotonic() - due
        rest = entry.heart.last + limit - self._clock.monotonic()
        if rest <= 0 and late > LATE and entry.task is not None:
            self._note_blocked(entry, late)  # while the loop stood still it could not beat
            rest = limit
        if rest > 0:
            self._arm(entry, "heartbeat", rest, partial(self._watch, entry))
        else:
            self._end(entry, Outcome(failure=_timed_out(entry.attempt, "heartbeat", limit)))

    def _note_blocked(self, entry: _Running, late: float) -> None:
        logger.warning(
            "the event loop of this worker was blocked for %.2g s by what did not yield%s;"
            " activity %r (run %s) gets that time again: move blocking code into a plain activity",
            late,
            f" ({where})" if (where := self.blamed()) else "",
            entry.attempt.name,
            entry.attempt.jid,
        )

    # --- ends --------------------------------------------------------------------------------

    def _end(self, entry: _Running, verdict: Outcome) -> None:
        """Have an attempt end: its code is told, and has a moment to do so if it is async."""
        if entry.settled or (entry.verdict is not None and not verdict.abandoned):
            return
        told, entry.verdict = entry.verdict is not None, verdict
        entry.heart.stopped = True
        if entry.task is None:
            # A thread cannot be stopped: its slot is free when it ends, not when we stop waiting.
            asyncio.get_running_loop().call_soon(self._settle, entry, verdict)
        elif not told:
            entry.task.cancel()
            due = self._clock.monotonic() + UNWIND
            entry.timers["unwind"] = self._clock.host.call_at(due, self._leave_behind, entry)

    def _leave_behind(self, entry: _Running) -> None:
        logger.warning(
            "the code of activity %r (run %s) goes on %g s after it was cancelled; its attempt has"
            " ended without it: let asyncio.CancelledError out of its except clauses",
            entry.attempt.name,
            entry.attempt.jid,
            UNWIND,
        )
        self._settle(entry, entry.verdict or _ABANDONED)

    def _task_ended(self, entry: _Running, task: asyncio.Task[Outcome]) -> None:
        # An exception here can be Ctrl-C alone: the process is about to end.
        whole = not task.cancelled() and task.exception() is None
        self._code_ended(entry, task.result() if whole else _INTERRUPTED)

    def _code_ended(self, entry: _Running, outcome: Outcome) -> None:
        self._take(entry.definition, -1)
        if entry.successor is not None and entry.task is not None:
            entry.successor(entry.attempt, outcome if entry.verdict is None else _ABANDONED)
        verdict = entry.verdict
        if verdict is not None and (verdict.abandoned or outcome.data is None):
            outcome = verdict
        self._settle(entry, outcome)

    def _settle(self, entry: _Running, outcome: Outcome) -> None:
        """The attempt has ended, though its code may go on."""
        if not entry.settled:
            self._forget(entry)
            if outcome.interrupted and entry.attempt.last:
                self.unknown.add(entry.attempt.id)
                outcome = Outcome(failure=UNKNOWN)
            entry.done(entry.attempt, outcome)
        if not self._running:
            self._idle.set()
        self._slots.freed()

    def _forget(self, entry: _Running) -> None:
        entry.settled = True
        self._disarm(entry)
        del self._running[id(entry)]
        key = _key(entry.attempt)
        entries = self._by_step[key]
        entries.remove(entry)
        if not entries:
            del self._by_step[key]

    # --- user code ---------------------------------------------------------------------------

    async def _code(self, entry: _Running) -> Outcome:
        HEART.set(entry.heart)
        if (late := _started_late(entry.attempt)) is not None:
            return late
        signature = entry.definition.signature
        try:
            await self._confirmed(entry)
            args, kwargs = signature.decode_arguments(entry.attempt.input)
            return Outcome(signature.encode_result(await entry.definition.fn(*args, **kwargs)))
        except BaseException as error:  # user code may raise anything
            if is_interrupt(error):
                raise
            cancelled = isinstance(error, asyncio.CancelledError)
            if cancelled and entry.verdict is None and self._ending():
                return _INTERRUPTED
            return Outcome(failure=code_failure(error))

    async def _confirmed(self, entry: _Running) -> None:
        """Return once others cannot have this attempt; no limit counts what that takes."""
        if not self._lease.fresh():
            self._disarm(entry)
            await self._lease.confirmed()
            entry.heart.last = self._clock.monotonic()
            if not entry.settled:
                self._limit(entry)

    def _start_thread(self, entry: _Running) -> None:
        loop, context = asyncio.get_running_loop(), copy_context()

        def job() -> None:
            outcome = _ABANDONED
            if self._lease.fresh() or _awaited(self._confirmed(entry), loop):
                outcome = context.run(_on_thread, entry)
            with self._handing:
                entry.returned = True
            if entry.successor is not None:
                entry.successor(entry.attempt, outcome)
                return
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                # One turn of the loop later, as the end of a task is told: of attempts that were
                # started together and wait for nothing, each ends in its turn, on whatever it ran.
                loop.call_soon_threadsafe(loop.call_soon, self._code_ended, entry, outcome)

        self._threads.run(job)


def _awaited(asking: Coroutine[object, object, None], loop: asyncio.AbstractEventLoop) -> bool:
    """On a thread, wait for what the loop is to do; False if it is closed before."""
    try:
        done = asyncio.run_coroutine_threadsafe(asking, loop)
    except RuntimeError:
        asking.close()
        return False
    while not loop.is_closed():
        with contextlib.suppress(TimeoutError):
            try:
                done.result(LOOK)
            except Cancelled:
                return False
            return True
    return False


def _on_thread(entry: _Running) -> Outcome:
    """Run a plain activity, on its thread."""
    if entry.heart.stopped:
        return _ABANDONED  # before it began
    HEART.set(entry.heart)
    if (late := _started_late(entry.attempt)) is not None:
        return late
    signature = entry.definition.signature
    try:
        args, kwargs = signature.decode_arguments(entry.attempt.input)
        return Outcome(signature.encode_result(entry.definition.fn(*args, **kwargs)))
    except BaseException as error:  # noqa: BLE001 - as in `_code`
        if entry.heart.stopped and isinstance(error, asyncio.CancelledError):
            return _ABANDONED  # it heard by its heartbeat that nobody waits
        return Outcome(failure=code_failure(error))


def _started_late(attempt: Attempt) -> Outcome | None:
    limit = attempt.options.schedule_to_start
    if limit is not None and attempt.waited > limit:
        return Outcome(failure=_timed_out(attempt, "schedule_to_start", limit))
    return None


def _timed_out(attempt: Attempt, kind: str, limit: float) -> Failure:
    return timed_out(attempt.name, kind, limit, attempt.attempt)


def _key(attempt: Attempt) -> tuple[int, int]:
    return attempt.run_id, attempt.number
