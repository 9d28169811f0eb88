"""Sending again what may safely happen twice, until Postgres can be reached."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_delay,
    stop_never,
    wait_exponential,
    wait_random,
)

from durable.postgres.errors import retryable
from durable.telemetry.logs import logger

R = TypeVar("R")

SAY_AT, SAY_EVERY = 5, 30  # attempts at reaching the server, before somebody should know
CALLER_TIMEOUT = (
    60.0  # seconds that a caller waits for a server that is away: a restart, a failover
)


def _say(state: RetryCallState) -> None:
    if state.attempt_number == SAY_AT or state.attempt_number % SAY_EVERY == 0:
        error = None if state.outcome is None else state.outcome.exception()
        logger.warning("tried %d times, and go on trying: %s", state.attempt_number, error)


async def retry_until_connected(
    action: Callable[[], Awaitable[R]], *, host: bool = True, limit: float | None = None
) -> R:
    """Run `action` until Postgres can be reached; only for what may safely happen twice.

    Args:
        action: called anew for each attempt.
        host: whether who asks is a host that has succeeded before, and so waits for a refused login
            or a revoked right, too. A caller gets these at once.
        limit: seconds after which no other attempt is made, and the last error is raised; None
            for ever.

    Raises:
        DatabaseError: what waiting does not change, or the last error when time is up.

    Example:
        >>> await retry_until_connected(lambda: store.find(1), limit=10)  # doctest: +SKIP
    """
    began = time.monotonic()
    try:
        return await action()  # a retrier takes as long to make as a short statement takes
    except Exception as error:  # whatever it is, it is raised here or by the retrier
        if not retryable(error, host=host):
            raise
        first: Exception | None = error
    async for attempt in AsyncRetrying(
        retry=retry_if_exception(lambda error: retryable(error, host=host)),
        wait=wait_exponential(multiplier=0.05, max=1.0) + wait_random(0, 0.05),
        stop=stop_never if limit is None else stop_after_delay(limit + began - time.monotonic()),
        before_sleep=_say,
        reraise=True,
    ):
        with attempt:
            if first is not None:
                failed, first = first, None
                raise failed
            return await action()
    raise AssertionError  # pragma: no cover - tenacity never ends without a result or an error
