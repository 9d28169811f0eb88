"""The code of one attempt of an activity, run as a task or on a thread to its `Outcome`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError as Cancelled
from dataclasses import dataclass, field

from durable.authoring.heartbeats import HEART, Heart
from durable.protocol.carriers import carrier
from durable.protocol.failures import Failure
from durable.replay.definitions import ActivityDefinition
from durable.runtime.clocks import Timer
from durable.runtime.interrupts import is_interrupt
from durable.runtime.user_code import code_failure
from durable.store.activities import Attempt

LOOK = 1.0  # seconds after which a thread that waits for its loop sees whether there is one


@carrier
class Outcome:
    """How an attempt ended: `data` (JSON text) or `failure`.

    `abandoned`: its result is wanted no more. `interrupted`: the process ends, by Ctrl-C or because
    its loop does; that is no failure of an attempt that may be repeated.
    """

    data: str | None = None
    failure: Failure | None = None
    abandoned: bool = False
    interrupted: bool = False


ABANDONED = Outcome(abandoned=True)
INTERRUPTED = Outcome(interrupted=True)

Done = Callable[[Attempt, Outcome], None]


@dataclass(slots=True, eq=False)
class RunningAttempt:
    """An attempt and its code: a task, or (`task` None) a job on a thread.

    Attributes:
        done: called with how it ended.
        verdict: how it ends unless its code returns a value before.
        settled: whether it has ended, though its code may go on.
        returned: whether its thread is done.
        successor: called when the thread is done, in place of the loop.
        timers: what ends it if its code does not.
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

    @property
    def step(self) -> tuple[int, int]:
        """The step that it serves: its run and number."""
        return self.attempt.run_id, self.attempt.number

    @property
    def has_returned(self) -> bool:
        """Whether its code has ended."""
        return self.returned if self.task is None else self.task.done()

    def disarm(self) -> None:
        """Cancel its timers."""
        for timer in self.timers.values():
            timer.cancel()

    def timed_out(self, kind: str, limit: float) -> Outcome:
        """The outcome of an attempt that exceeded a limit."""
        return Outcome(failure=timed_out(self.attempt.name, kind, limit, self.attempt.attempt))

    def started_late(self) -> Outcome | None:
        """The outcome of a first attempt that waited in its queue for too long, else None."""
        limit = self.attempt.options.schedule_to_start
        if limit is not None and self.attempt.attempt == 1 and self.attempt.waited > limit:
            return self.timed_out("schedule_to_start", limit)
        return None


def timed_out(name: str, kind: str, limit: float, attempts: int = 1) -> Failure:
    """An activity that exceeded a limit; `kind` is the option, `limit` in seconds."""
    return Failure(
        type="ActivityTimeout", kind="timeout", name=name, attempts=attempts,
        details={"kind": kind},
        message=f"{name} exceeded its {kind} timeout of {limit:g} s (attempt {attempts})",
        non_retryable=kind not in ("start_to_close", "heartbeat"),
    )  # fmt: skip


async def run_as_task(
    running: RunningAttempt,
    confirmed: Callable[[RunningAttempt], Coroutine[object, object, None]],
    ending: Callable[[], bool],
) -> Outcome:
    """Run an async activity.

    Args:
        running: the attempt.
        confirmed: returns once others cannot have it.
        ending: whether the loop is being torn down, and what is cancelled then has not failed.
    """
    HEART.set(running.heart)
    if (late := running.started_late()) is not None:
        return late
    signature = running.definition.signature
    try:
        await confirmed(running)
        args, kwargs = signature.decode_arguments(running.attempt.input)
        return Outcome(signature.encode_result(await running.definition.fn(*args, **kwargs)))
    except BaseException as error:  # user code may raise anything
        if is_interrupt(error):
            raise
        if isinstance(error, asyncio.CancelledError) and running.verdict is None and ending():
            return INTERRUPTED
        return Outcome(failure=code_failure(error))


def run_on_thread(running: RunningAttempt) -> Outcome:
    """Run a plain activity, on its thread."""
    if running.heart.stopped:
        return ABANDONED  # before it began
    HEART.set(running.heart)
    if (late := running.started_late()) is not None:
        return late
    signature = running.definition.signature
    try:
        args, kwargs = signature.decode_arguments(running.attempt.input)
        return Outcome(signature.encode_result(running.definition.fn(*args, **kwargs)))
    except BaseException as error:  # noqa: BLE001 - as in `run_as_task`
        if running.heart.stopped and isinstance(error, asyncio.CancelledError):
            return ABANDONED  # its heartbeat raised, since it was stopped
        return Outcome(failure=code_failure(error))


def wait_for_loop(action: Coroutine[object, object, None], loop: asyncio.AbstractEventLoop) -> bool:
    """On a thread, wait for what the loop is to do; False if it is closed before."""
    try:
        done = asyncio.run_coroutine_threadsafe(action, loop)
    except RuntimeError:
        action.close()
        return False
    while not loop.is_closed():
        with contextlib.suppress(TimeoutError):
            try:
                done.result(LOOK)
            except Cancelled:
                return False
            return True
    return False
