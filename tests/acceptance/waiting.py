"""Waiting for what another process or task will do: by asking, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(ask: Callable[[], Awaitable[T]], within: float = 100.0) -> T:
    """The first true answer; fails after `within` seconds with the last one."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        answer = await ask()
        if answer:
            return answer
        assert loop.time() < deadline, f"still {answer!r} after {within:g} s"
        await asyncio.sleep(0.01)
