"""Programs that use asyncio's locks, events, queues and barriers inside of a run."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from tests.unit.replay.cases import Cases
from tests.unit.replay.driving import do, here

PRIMITIVES = Cases()
case = PRIMITIVES.case


@case(["set", "one", "two"], "1 timer +1", "completed")
async def event() -> Any:
    event, log = asyncio.Event(), []

    async def wait(name: str) -> None:
        await event.wait()
        log.append(name)

    tasks = [asyncio.create_task(wait(n)) for n in ("one", "two")]
    await asyncio.sleep(1)
    log.append("set")
    event.set()
    await asyncio.gather(*tasks)
    return log


@case([1, [0, 1, 2, 3, 4], 5.0])
async def lock() -> Any:
    lock, inside, peak, order = asyncio.Lock(), 0, 0, []
    begun = here().now()

    async def enter(n: int) -> None:
        nonlocal inside, peak
        async with lock:
            inside += 1
            peak = max(peak, inside)
            await do(f"w{n}")
            order.append(n)
            inside -= 1

    await asyncio.gather(*(enter(n) for n in range(5)))
    return [peak, order, (here().now() - begun).total_seconds()]


@case([3, 4.0, "ValueError"])
async def semaphore() -> Any:
    limit, inside, peak = asyncio.BoundedSemaphore(3), 0, 0
    begun = here().now()

    async def enter(n: int) -> None:
        nonlocal inside, peak
        async with limit:
            inside += 1
            peak = max(peak, inside)
            await do(f"w{n}")
            inside -= 1

    await asyncio.gather(*(enter(n) for n in range(10)))
    try:
        limit.release()
    except ValueError as exc:
        return [peak, (here().now() - begun).total_seconds(), type(exc).__name__]


@case([["one", "two"], ["three"]])
async def condition() -> Any:
    condition, woken = asyncio.Condition(), []

    async def wait(name: str) -> None:
        async with condition:
            await condition.wait()
            woken.append(name)

    tasks = [asyncio.create_task(wait(n)) for n in ("one", "two", "three")]
    await asyncio.sleep(1)
    async with condition:
        condition.notify(2)
    await asyncio.sleep(1)
    first = list(woken)
    async with condition:
        condition.notify_all()
    await asyncio.gather(*tasks)
    return [first, woken[2:]]


@case([["a", "b", "c"], ["c", "b", "a"], ["a", "b", "c"], "QueueFull", "QueueEmpty"])
async def queues() -> Any:
    found: list[Any] = []
    for kind in (asyncio.Queue, asyncio.LifoQueue, asyncio.PriorityQueue):
        queue: asyncio.Queue[str] = kind()
        for item in "abc":
            await queue.put(item)
        found.append([await queue.get() for _ in range(3)])
    small: asyncio.Queue[int] = asyncio.Queue(1)
    small.put_nowait(1)
    for call in (lambda: small.put_nowait(2), lambda: (small.get_nowait(), small.get_nowait())):
        try:
            call()
        except (asyncio.QueueFull, asyncio.QueueEmpty) as exc:
            found.append(type(exc).__name__)
    return found


@case([["w0", "w1", "w2", "w3", "w4", "w5"], 2.0])
async def workers_on_a_queue() -> Any:
    queue: asyncio.Queue[int] = asyncio.Queue(maxsize=2)
    found: list[str] = []
    begun = here().now()

    async def worker() -> None:
        while True:
            n = await queue.get()
            found.append(await do(f"w{n}"))
            queue.task_done()

    workers = [asyncio.create_task(worker()) for _ in range(3)]
    for n in range(6):
        await queue.put(n)
    await queue.join()
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return [found, (here().now() - begun).total_seconds()]


@case([[3.0, 3.0, 3.0], [0, 1, 2]])
async def barrier() -> Any:
    barrier = asyncio.Barrier(3)
    begun = asyncio.get_running_loop().time()

    async def come(n: int) -> tuple[float, int]:
        await asyncio.sleep(1 + n)
        place = await barrier.wait()
        return asyncio.get_running_loop().time() - begun, place

    found = await asyncio.gather(*(come(n) for n in range(3)))
    return [[t for t, _ in found], sorted(p for _, p in found)]


if sys.version_info >= (3, 13):

    @case(["one", "QueueShutDown"])
    async def queue_shutdown() -> Any:
        queue: asyncio.Queue[str] = asyncio.Queue()
        queue.put_nowait("one")
        queue.shutdown()
        found = [await queue.get()]
        try:
            await queue.get()
        except asyncio.QueueShutDown as exc:
            found.append(type(exc).__name__)
        return found
