"""What the workloads run: four workflows over one activity that does nothing."""

from __future__ import annotations

import asyncio
import time

import durable

go = durable.Signal("go", str)


@durable.activity
async def tick(number: int) -> float:  # noqa: ARG001 - it tells the calls apart
    """The time."""
    return time.time()


@durable.workflow
async def seq(count: int) -> list[float]:
    """Activities one after the other."""
    return [await tick(number) for number in range(count)]


@durable.workflow
async def fan(count: int) -> int:
    """Activities at once."""
    return len(await asyncio.gather(*[tick(number) for number in range(count)]))


@durable.workflow
async def sig(_: None) -> float:
    """Waits for one signal; the time at which it was received, by the wall clock of the worker."""
    await go.receive()
    return time.time()


@durable.workflow
async def timer(delay: float) -> float:
    """Sleeps; the time at which it woke."""
    await durable.sleep(delay)
    return time.time()


WORKFLOWS = {"seq": seq, "fan": fan, "sig": sig, "timer": timer}
