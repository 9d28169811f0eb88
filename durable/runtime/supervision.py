"""Background tasks of a host, by one policy: no task dies unnoticed.

A task that fails is begun again after a pause that doubles, with jitter. What passes by itself (a
server that is away, a refused login) is waited out for as long as it takes. Anything else is tried
a number of times; then the host is notified, and ends with an error: a worker that has lost one of
its loops must not go on beating as if it worked.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Coroutine

from durable.postgres.errors import retryable
from durable.runtime.clocks import SYSTEM, HostClock
from durable.telemetry.logs import logger

PAUSE = 0.1  # seconds before the first restart
PAUSE_MAX = 30.0
AWAY_MAX = 1.0  # the same while a server is away: it may be back any moment
LOG_AT, LOG_EVERY = 3, 30  # of such failures in a row, those that are logged
STEADY = 60.0  # a task that ran for so long has recovered: its next failure counts as the first
FAILURES_MAX = 10  # in a row, of what does not pass by itself; together about two minutes

Broken = Callable[[str, BaseException], object]


def backoff(failures: int, *, first: float = PAUSE, most: float = PAUSE_MAX) -> float:
    """Seconds before the next try after so many failures: doubling, between half and all of it.

    >>> 0.05 <= backoff(1) <= 0.1
    True
    >>> 15.0 <= backoff(99) <= 30.0
    True
    """
    rng = random.random
    return min(first * 2.0 ** min(failures - 1, 60), most) * (0.5 + rng() / 2)


async def ended(task: asyncio.Task[None] | None) -> None:
    """Cancel a task, if there is one, and wait until it has ended by that."""
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Tasks:
    """The background tasks of one host.

    Args:
        host: for people: whose tasks they are.
        on_broken: called with the name of a task that cannot go on, and its error: the host ends.
        clock: measures how long a task has run.

    Example:
        >>> tasks = Tasks("the worker of queue 'default'", on_broken=worker.end)  # doctest: +SKIP
        >>> tasks.keep("poll", worker.poll)  # doctest: +SKIP
    """

    def __init__(self, host: str, on_broken: Broken, clock: HostClock = SYSTEM) -> None:
        self._host = host
        self._on_broken = on_broken
        self._clock = clock
        self._tasks: set[asyncio.Task[object]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def cancelling(self) -> bool:
        """Whether any of them is being cancelled."""
        return any(task.cancelling() for task in self._tasks)

    def keep(
        self, name: str, loop: Callable[[], Coroutine[object, object, None]]
    ) -> asyncio.Task[None]:
        """Run `loop()`, and again should it fail, until it returns or is cancelled."""
        return self._spawn(name, self._attempt(name, loop, self._on_broken))

    def once(
        self,
        name: str,
        action: Callable[[], Awaitable[object]],
        *,
        otherwise: Broken | None = None,
    ) -> asyncio.Task[None]:
        """Carry out `action()`, which may safely happen twice, until it has succeeded.

        `otherwise` is called instead of the host's `on_broken` when it cannot be: for what
        concerns one run or attempt, and not the whole host.
        """
        return self._spawn(name, self._attempt(name, action, otherwise or self._on_broken))

    def cancel(self) -> None:
        """Cancel what runs, without waiting for it."""
        for task in list(self._tasks):
            task.cancel()

    async def wait(self, seconds: float) -> bool:
        """Wait until all have ended, for so many seconds; whether they have."""
        if not self._tasks:
            return True
        return not (await asyncio.wait(list(self._tasks), timeout=seconds))[1]

    async def _attempt(
        self, name: str, action: Callable[[], Awaitable[object]], give_up: Broken
    ) -> None:
        failures = bugs = 0
        while True:
            began = self._clock.monotonic()
            try:
                await action()
            except Exception as error:  # noqa: BLE001 - all are logged and counted
                if self._clock.monotonic() - began >= STEADY:
                    failures = bugs = 0
                failures += 1
                passing = retryable(error, host=True)
                bugs += not passing
                if bugs >= FAILURES_MAX:
                    logger.critical(
                        "%s: %r failed %d times, and is given up: %s",
                        self._host, name, failures, error, exc_info=error,
                    )  # fmt: skip
                    give_up(name, error)
                    return
                self._log(name, failures, error, passing=passing)
            else:
                return
            await asyncio.sleep(backoff(failures, most=AWAY_MAX if passing else PAUSE_MAX))

    def _log(self, name: str, failures: int, error: Exception, *, passing: bool) -> None:
        if not passing:
            logger.error(
                "%s: %r failed (%d), and is begun again: %s",
                self._host, name, failures, error, exc_info=error,
            )  # fmt: skip
        elif failures == LOG_AT or failures % LOG_EVERY == 0:
            logger.warning("%s: %r goes on when Postgres answers: %s", self._host, name, error)

    def _spawn(self, name: str, coroutine: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine, name=f"durable {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
