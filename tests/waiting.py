"""Waiting for what another process, thread or task will do: by asking, with a deadline."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed


async def eventually(
    ask: Callable[[], Awaitable[Any] | Any],
    what: str = "",
    *,
    within: float = 100.0,
    every: float = 0.01,
) -> Any:
    """The first true answer.

    Args:
        ask: a function, plain or async.
        what: is waited for, for the message.
        within: seconds after which the test fails, with the last answer.
        every: so many seconds it is asked again.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        answer = ask()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        if loop.time() > deadline:
            pytest.fail(f"{what or 'it'}: still {answer!r} after {within:g} s")
        await asyncio.sleep(every)


def wait_for(ask: Callable[[], Any], what: str, within: float = 100.0) -> Any:
    """The first true answer, for tests without an event loop."""
    tries = Retrying(
        retry=retry_if_result(lambda holds: not holds),
        stop=stop_after_delay(within),
        wait=wait_fixed(0.02),
    )
    try:
        return tries(ask)
    except RetryError:
        pytest.fail(f"after {within:g} s not yet: {what}")
