"""Running attempts of activities: async ones as tasks, plain ones on threads, within limits.

An attempt ends in one `Outcome`. What follows from it (a retry, a fact) is not decided here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any

from durable.codec.failures import failure_of
from durable.decorators.heartbeats import HEART, Heart
from durable.definitions import ActivityDefinition
from durable.protocol.clock import Clock
from durable.protocol.failures import Failure
from durable.streams.activities import Attempt


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: `data` (JSON text) or `failure`; `abandoned`: it was told to stop."""

    data: str | None = None
    failure: Failure | None = None
    abandoned: bool = False


Done = Callable[[Attempt, Outcome], None]


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
    """An attempt and its task.

    `threaded`: its slot is freed by its thread; `silent`: it stopped beating.
    """

    attempt: Attempt
    heart: Heart
    silent: bool = False
    task: asyncio.Task[Outcome] | None = None
    abandoned: bool = False
    threaded: bool = False

    def stop(self) -> None:
        self.abandoned = True
        self.cancel()

    def cancel(self) -> None:
        self.heart.stopped = True
        if self.task is not None:
            self.task.cancel()


class Attempts:
    """The attempts that run in this process, bounded: so many tasks, so many threads.

    Args:
        definitions: the activities served, by name.
        clock: the database's time.
        tasks, threads: how many async and plain activities may run at once.
    """

    def __init__(
        self,
        definitions: Mapping[str, ActivityDefinition],
        clock: Clock,
        *,
        tasks: int,
        threads: int,
    ) -> None:
        self.definitions = definitions
        self._clock = clock
        self._free_tasks = tasks
        self._free_threads = threads
        self._threads = threads
        self._executor: ThreadPoolExecutor | None = None
        self._running: dict[int, _Running] = {}
        self._by_step: dict[tuple[int, int], list[_Running]] = {}
        self._freed: Callable[[], None] = lambda: None

    def on_freed(self, freed: Callable[[], None]) -> None:
        """Have `freed()` called whenever a slot becomes free."""
        self._freed = freed

    def free(self) -> int:
        """How many more attempts could be claimed, whatever their kind."""
        return min(
            self._free_tasks if any(d.is_async for d in self.definitions.values()) else 1 << 30,
            self._free_threads
            if any(not d.is_async for d in self.definitions.values())
            else 1 << 30,
        )

    def reserve(self, name: str) -> bool:
        """Take a slot for an attempt, to be started or released; False: none is free."""
        definition = self.definitions.get(name)
        if (
            definition is None
            or (self._free_tasks if definition.is_async else self._free_threads) <= 0
        ):
            return False
        self._take(definition, 1)
        return True

    def release(self, name: str) -> None:
        """Give a reserved slot back."""
        self._take(self.definitions[name], -1)
        self._freed()

    @property
    def count(self) -> int:
        """How many run now; may be read by any thread."""
        return len(self._running)

    def running(self) -> list[Attempt]:
        """What runs now."""
        return [entry.attempt for entry in self._running.values()]

    def start(self, attempt: Attempt, done: Done, *, reserved: bool = False) -> None:
        """Run an attempt; `done` is called once with how it ended, on this loop.

        `reserved` says that its slot has been taken by `reserve`.
        """
        definition = self.definitions[attempt.name]
        if not reserved:
            self._take(definition, 1)
        entry = _Running(attempt, Heart(time.monotonic))
        entry.task = asyncio.get_running_loop().create_task(self._outcome(definition, entry))
        self._running[id(entry)] = entry
        self._by_step.setdefault(_key(attempt), []).append(entry)
        # Not within the task: one that is cancelled before its first step runs no line of its own.
        entry.task.add_done_callback(lambda task: self._ended(entry, done, task))

    def written(self, run_id: int, number: int, message: int) -> None:
        """The attempt of this step that began without a row has one now."""
        for entry in self._by_step.get((run_id, number), ()):
            if entry.attempt.id is None:
                entry.attempt = replace(entry.attempt, id=message)

    def stop(self, run_id: int, number: int, *, unwritten: bool = False) -> None:
        """Cancel the attempts of this step that run here; their outcome is then `abandoned`.

        `unwritten`: only those that began without a row of their own.
        """
        for entry in self._by_step.get((run_id, number), ()):
            if entry.attempt.id is None or not unwritten:
                entry.stop()

    def runs(self, message: int) -> bool:
        """Whether the attempt of this message runs here."""
        return any(entry.attempt.id == message for entry in self._running.values())

    def stop_message(self, message: int) -> bool:
        """Cancel the attempt of this message, if it runs here."""
        for entry in self._running.values():
            if entry.attempt.id == message:
                entry.stop()
                return True
        return False

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for what runs, then cancel the rest."""
        tasks = [entry.task for entry in self._running.values() if entry.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for entry in self._running.values():
                if entry.task in late:
                    entry.stop()
            if late:
                await asyncio.wait(late, timeout=1.0)
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _take(self, definition: ActivityDefinition, n: int) -> None:
        if definition.is_async:
            self._free_tasks -= n
        else:
            self._free_threads -= n

    def _ended(self, entry: _Running, done: Done, task: asyncio.Task[Outcome]) -> None:
        del self._running[id(entry)]
        key = _key(entry.attempt)
        entries = self._by_step[key]
        entries.remove(entry)
        if not entries:
            del self._by_step[key]
        if not entry.threaded:
            self._take(self.definitions[entry.attempt.name], -1)
        if entry.abandoned or task.cancelled():
            done(entry.attempt, Outcome(abandoned=True))
        else:
            done(entry.attempt, task.result())
        self._freed()

    async def _outcome(self, definition: ActivityDefinition, entry: _Running) -> Outcome:
        attempt = entry.attempt
        waited = attempt.options.schedule_to_start
        if waited is not None and attempt.waited > waited:
            return Outcome(failure=_timed_out(attempt, "schedule_to_start", waited))
        limit, kind = self._limit(attempt)
        deadline = asyncio.timeout(limit)
        HEART.set(entry.heart)
        if attempt.options.heartbeat is not None:
            _watch(entry, attempt.options.heartbeat)
        try:
            args, kwargs = definition.signature.decode_arguments(attempt.input)
            async with deadline:
                if definition.is_async:
                    value = await definition.fn(*args, **kwargs)
                else:
                    value = await self._on_thread(definition, entry, args, kwargs)
            return Outcome(data=definition.signature.encode_result(value))
        except asyncio.CancelledError as error:
            failure = failure_of(error)
            if entry.silent:
                failure = _timed_out(attempt, "heartbeat", attempt.options.heartbeat or 0)
        except TimeoutError as error:
            failure = failure_of(error)
            if deadline.expired():
                entry.heart.stopped = True
                failure = _timed_out(attempt, kind, limit or 0)
        except Exception as error:  # noqa: BLE001 - user code may raise anything; it becomes a failure
            failure = failure_of(error)
        return Outcome(failure=failure)

    def _limit(self, attempt: Attempt) -> tuple[float | None, str]:
        """The nearer of the two limits that hold for one attempt, in seconds."""
        options = attempt.options
        limit, kind = options.start_to_close, "start_to_close"
        if options.schedule_to_close is not None:
            rest = max(0.0, attempt.scheduled_at + options.schedule_to_close - self._clock.now())
            if limit is None or rest < limit:
                limit, kind = rest, "schedule_to_close"
        return limit, kind

    async def _on_thread(
        self, definition: ActivityDefinition, entry: _Running, args: Any, kwargs: Any
    ) -> Any:
        loop = asyncio.get_running_loop()
        if self._executor is None:
            self._executor = ThreadPoolExecutor(
                self._threads, thread_name_prefix="durable activity"
            )
        context = copy_context()
        future = self._executor.submit(lambda: context.run(definition.fn, *args, **kwargs))
        # A thread cannot be stopped: its slot is free when it ends, not when we stop waiting.
        entry.threaded = True
        future.add_done_callback(lambda _: _call_on(loop, self._thread_ended))
        return await asyncio.wrap_future(future)

    def _thread_ended(self) -> None:
        self._free_threads += 1
        self._freed()


def _call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)


def _watch(entry: _Running, limit: float) -> None:
    """Cancel the attempt once it has been silent for `limit` seconds."""
    if entry.task is None or entry.task.done():
        return
    rest = entry.heart.last + limit - time.monotonic()
    if rest > 0:
        asyncio.get_running_loop().call_later(rest, _watch, entry, limit)
    else:
        entry.silent = True
        entry.cancel()


def _timed_out(attempt: Attempt, kind: str, limit: float) -> Failure:
    return timed_out(attempt.name, kind, limit, attempt.attempt)


def _key(attempt: Attempt) -> tuple[int, int]:
    return attempt.run_id, attempt.number
