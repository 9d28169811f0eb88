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


@durable.activity
async def echo(text: str) -> str:
    """What it got."""
    return text


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


@durable.workflow
async def carry(text: str) -> str:
    """Carries a payload in, through an activity, and out."""
    return await echo(text)


@durable.workflow
async def long(count: int) -> float:
    """Activities one after the other, a signal, and one more."""
    for number in range(count):
        await tick(number)
    await go.receive()
    return await tick(count)


@durable.workflow
async def first(_: None) -> float:
    """The time at its first line."""
    return time.time()


@durable.workflow
async def far(queue: str) -> float:
    """Seconds from the call of an activity on another queue to its first line."""
    called = time.time()
    return await tick.options(task_queue=queue)(0) - called


WORKFLOWS = {
    "seq": seq, "fan": fan, "sig": sig, "timer": timer,
    "carry": carry, "long": long, "first": first, "far": far,
}  # fmt: skip
