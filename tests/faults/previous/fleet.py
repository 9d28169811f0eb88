"""Runs on the first release and on the present one: nothing but the API that both have.

    python fleet.py worker DSN NAMESPACE    serves until SIGTERM; prints "ready" and "stopped"
    python fleet.py w2 DSN NAMESPACE        keeps a hundred short runs under way until its input
                                            ends; then prints how many ended, and the slowest
    python fleet.py load DSN NAMESPACE      starts and signals runs until its input ends; then
                                            prints their ids and results as JSON

The build is that which PYTHONPATH names.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time

import durable

go = durable.Signal("go", int)
STEPS = 8


@durable.activity
async def step(run: str, number: int, pause: float) -> int:
    """One step of a run."""
    await asyncio.sleep(pause)
    return number + len(run)


@durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
async def once(token: str) -> int:
    """A step that may not be repeated; it gets what the workflow drew at random."""
    return len(token)


@durable.workflow
async def part(run: str) -> int:
    """A child."""
    return await step(run, 100, 0.0)


@durable.workflow
async def order(run: str, pause: float) -> int:
    """Steps, a signal, a timer, a child, and a step that is not repeated where it was lost."""
    total = 0
    for number in range(STEPS):
        total += await step(run, number, pause)
    total += await go.receive()
    await durable.sleep(0.05)
    total += await part(run)
    try:
        return total + await once(str(durable.uuid4()))
    except durable.ActivityFailed as error:
        if "is unknown" not in str(error):
            raise
        return total + 36  # its worker was killed, and it may not be repeated


@durable.workflow
async def brief(number: int) -> int:
    """One step."""
    return number + await step("x", 0, 0.0)


def worth(run: str) -> int:
    """The result of `order(run)` that was signalled 5."""
    return sum(n + len(run) for n in range(STEPS)) + 5 + 100 + len(run) + 36


async def _worker(client: durable.Client) -> None:
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    workflows, activities = [order, part, brief], [step, once]
    async with durable.Worker(client, workflows=workflows, activities=activities):
        print("ready", durable.__file__, flush=True)  # noqa: T201 - the test reads it
        await ending.wait()
    print("stopped", flush=True)  # noqa: T201


async def run_one(client: durable.Client, run: str, pause: float = 0.05) -> int:
    """Start one, signal it, and wait for its result."""
    handle = await client.start(order(run, pause), id=run)
    await handle.signal(go, 5)
    return await handle.result(timeout=120)


async def _load(client: durable.Client) -> None:
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    running: dict[str, asyncio.Task[int]] = {}
    print("ready", durable.__file__, flush=True)  # noqa: T201
    while not ended.done():
        run = f"old-{len(running)}"
        running[run] = asyncio.create_task(run_one(client, run))
        await asyncio.sleep(0.15)
    await asyncio.gather(*running.values())
    print(json.dumps({run: task.result() for run, task in running.items()}))  # noqa: T201


async def _w2(client: durable.Client) -> None:
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print("ready", durable.__file__, flush=True)  # noqa: T201
    wrong, slowest, count = 0, 0.0, 0

    async def one_after_the_other() -> None:
        nonlocal wrong, slowest, count
        while not ended.done():
            began = time.monotonic()
            wrong += await client.execute(brief(count)) < 1
            slowest, count = max(slowest, time.monotonic() - began), count + 1

    await asyncio.gather(*[one_after_the_other() for _ in range(100)])
    print(json.dumps({"ended": count, "wrong": wrong, "slowest": slowest}))  # noqa: T201


async def _main(what: str, dsn: str, namespace: str) -> None:
    async with await durable.connect(dsn, namespace=namespace) as client:
        await {"worker": _worker, "load": _load, "w2": _w2}[what](client)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:4]))
