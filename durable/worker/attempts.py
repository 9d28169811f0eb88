"""Running attempts of activities: async ones as tasks, plain ones on threads, each within its limits.

An attempt ends in one `Outcome`. What follows from it (a retry, a fact) is not decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from durable.codec.failures import failure_of
from durable.definitions import ActivityDefinition
from durable.errors import PayloadError
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


def _timed_out(attempt: Attempt, kind: str, limit: float) -> Failure:
    return Failure(
        type="ActivityTimeout", kind="timeout", name=attempt.name, attempts=attempt.attempt, details=kind,
        message=f"{attempt.name} exceeded its {kind} timeout of {limit:g} s (attempt {attempt.attempt})",
        non_retryable=kind != "start_to_close",
    )  # fmt: skip


class Attempts:
    """The attempts that run in this process, bounded: so many tasks, so many threads.

    Args:
        definitions: the activities served, by name.
        clock: the database's time.
        tasks, threads: how many async and plain activities may run at once.
    """

    def __init__(
        self, definitions: Mapping[str, ActivityDefinition], clock: Clock, *, tasks: int, threads: int
    ) -> None:
        self.definitions = definitions
        self._clock = clock
        self._free_tasks = tasks
        self._free_threads = threads
        self._threads = threads
        self._executor: ThreadPoolExecutor | None = None
        self._running: dict[Any, tuple[Attempt, asyncio.Task[None]]] = {}
        self._freed: Callable[[], None] = lambda: None
        self._abandoned: set[Any] = set()

    def on_freed(self, freed: Callable[[], None]) -> None:
        """Have `freed()` called whenever a slot becomes free."""
        self._freed = freed

    def free(self) -> int:
        """How many more attempts could be claimed, whatever their kind."""
        return min(
            self._free_tasks if any(d.is_async for d in self.definitions.values()) else 1 << 30,
            self._free_threads if any(not d.is_async for d in self.definitions.values()) else 1 << 30,
        )

    def has_slot(self, name: str) -> bool:
        """Whether an attempt of this activity could start now."""
        definition = self.definitions.get(name)
        if definition is None:
            return False
        return (self._free_tasks if definition.is_async else self._free_threads) > 0

    def running(self) -> list[Attempt]:
        """What runs now."""
        return [attempt for attempt, _ in self._running.values()]

    def start(self, attempt: Attempt, done: Done) -> None:
        """Run an attempt; `done` is called once with how it ended, on this loop."""
        definition = self.definitions[attempt.name]
        self._take(definition, 1)
        task = asyncio.get_running_loop().create_task(self._run(definition, attempt, done))
        self._running[_key(attempt)] = (attempt, task)

    def stop(self, run_id: int, number: int) -> bool:
        """Cancel the attempt of this step, if it runs here; its outcome is then `abandoned`."""
        return self._stop((run_id, number))

    def stop_message(self, message: int) -> bool:
        """Cancel the attempt of this message, if it runs here."""
        for key, (attempt, _) in self._running.items():
            if attempt.id == message:
                return self._stop(key)
        return False

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for what runs, then cancel the rest."""
        tasks = [task for _, task in self._running.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for key in [k for k, (_, task) in self._running.items() if task in late]:
                self._stop(key)
            if late:
                await asyncio.wait(late, timeout=1.0)
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _stop(self, key: Any) -> bool:
        entry = self._running.get(key)
        if entry is None:
            return False
        self._abandoned.add(key)
        entry[1].cancel()
        return True

    def _take(self, definition: ActivityDefinition, n: int) -> None:
        if definition.is_async:
            self._free_tasks -= n
        else:
            self._free_threads -= n

    async def _run(self, definition: ActivityDefinition, attempt: Attempt, done: Done) -> None:
        key = _key(attempt)
        try:
            outcome = await self._outcome(definition, attempt)
        finally:
            self._running.pop(key, None)
            if definition.is_async:
                self._take(definition, -1)
        if key in self._abandoned:
            self._abandoned.discard(key)
            outcome = Outcome(abandoned=True)
        done(attempt, outcome)
        self._freed()

    async def _outcome(self, definition: ActivityDefinition, attempt: Attempt) -> Outcome:
        try:
            args, kwargs = definition.signature.decode_arguments(attempt.input)
        except PayloadError as error:
            return Outcome(failure=failure_of(error))
        limit, kind = self._limit(attempt)
        deadline = asyncio.timeout(limit)
        try:
            async with deadline:
                if definition.is_async:
                    value = await definition.fn(*args, **kwargs)
                else:
                    value = await self._on_thread(definition, args, kwargs)
            return Outcome(data=definition.signature.encode_result(value))
        except asyncio.CancelledError as error:
            return Outcome(failure=failure_of(error))
        except TimeoutError as error:
            if deadline.expired():
                return Outcome(failure=_timed_out(attempt, kind, limit or 0))
            return Outcome(failure=failure_of(error))
        except Exception as error:  # noqa: BLE001 - user code may raise anything; it becomes a failure
            return Outcome(failure=failure_of(error))

    def _limit(self, attempt: Attempt) -> tuple[float | None, str]:
        """The nearer of the two limits that hold for one attempt, in seconds."""
        options = attempt.options
        limit, kind = options.start_to_close, "start_to_close"
        if options.schedule_to_close is not None:
            rest = max(0.0, attempt.scheduled_at + options.schedule_to_close - self._clock.now())
            if limit is None or rest < limit:
                limit, kind = rest, "schedule_to_close"
        return limit, kind

    async def _on_thread(self, definition: ActivityDefinition, args: Any, kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="durable activity")
        context = copy_context()
        future = self._executor.submit(lambda: context.run(definition.fn, *args, **kwargs))
        # A thread cannot be stopped: its slot is free when it really ends, not when we stop waiting.
        future.add_done_callback(lambda _: _call_on(loop, self._thread_ended))
        return await asyncio.wrap_future(future)

    def _thread_ended(self) -> None:
        self._free_threads += 1
        self._freed()


def _call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)


def _key(attempt: Attempt) -> tuple[int, int]:
    return attempt.run_id, attempt.number
