"""Rooms load where a process begins something, never in the middle of a turn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from durable.client.client import Client

ROOT = Path(__file__).parents[2]

PROGRAM = """
import asyncio
import sys

import durable

approval = durable.Signal("approval", str)
began = []


@durable.activity
async def charge(order: str) -> str:
    return order


@durable.activity
def pack(order: str) -> str:
    return order


@durable.workflow
async def child(order: str) -> str:
    raise durable.ApplicationError("no", non_retryable=True)


@durable.workflow
async def fulfil(order: str) -> str:
    began.append(set(sys.modules))
    durable.logger.info("%s %s", durable.now(), durable.uuid4())
    durable.set_attributes(order=order)
    await durable.sleep(0.001)
    await charge.options(retry=durable.RetryPolicy(maximum_attempts=2))(order)
    try:
        await child(order)
    except durable.ChildFailed:
        return await pack(await approval.receive()) + str(durable.random().random())


async def main(dsn: str, namespace: str) -> None:
    async with await durable.connect(dsn, namespace=namespace) as client:
        worker = durable.Worker(client, workflows=[fulfil, child], activities=[charge, pack])
        async with worker:
            handle = await client.start(fulfil("a"))
            await handle.signal(approval, "yes")
            await handle.result()
    print(*sorted(set(sys.modules) - began[0]))


asyncio.run(main(*sys.argv[1:]))
"""


def test_a_first_run_imports_nothing(client: Client) -> None:
    """All verbs, an activity, a child that fails and a signal: a fresh process loads no module."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, client.dsn, client.namespace],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
