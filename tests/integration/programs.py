"""The workflow by which tests count what steps cost."""

from __future__ import annotations

import durable


@durable.activity
async def add(a: int) -> int:
    """One step."""
    return a + 1


@durable.workflow
async def chain(steps: int) -> int:
    """So many steps, one after the other."""
    n = 0
    for _ in range(steps):
        n = await add(n)
    return n
