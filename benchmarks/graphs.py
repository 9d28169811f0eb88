"""Graphs of one worker, run through `HotMesh`: latency, throughput, activation; one JSON line each.

python -m benchmarks.graphs [G1 G2 G3] [--runs 3] [--scale 1.0] [--apart] [--dsn …]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import durable
from benchmarks.meter import Meter, clear
from benchmarks.run import CAVEATS
from benchmarks.systems.children import end_with_parent
from benchmarks.workloads import Figures, capped, milliseconds, percentile, spread, timed

NAMESPACE = "durable_bench_graphs"
READY = "READY"

GRAPH = """
app:
  id: bench
  version: '{version}'
  graphs:
    - subscribes: work
      activities:
        t: {{type: trigger}}
        w:
          type: worker
          topic: work.do
          input: {{maps: {{a: '{{t.output.data.a}}'}}}}
          job: {{maps: {{b: '{{$self.output.data.b}}'}}}}
      transitions: {{t: [{{to: w}}]}}
"""


async def double(message: dict[str, Any]) -> dict[str, Any]:
    """The callback: what it computes costs nothing."""
    return {"data": {"b": message["data"]["a"] * 2}}


async def mesh(dsn: str, *, serves: bool) -> durable.HotMesh:
    """An engine, with the worker if it `serves`."""
    return await durable.HotMesh.init(
        app_id="bench",
        engine={"connection": dsn},
        workers=[{"topic": "work.do", "callback": double, "concurrency": 200}] if serves else [],
        namespace=NAMESPACE,
    )


async def one(client: durable.HotMesh, number: int) -> None:
    """One job, and its result is the right one."""
    result = await client.pubsub("work", {"a": number}, timeout=60)
    assert result["data"]["b"] == number * 2


async def g1(client: durable.HotMesh, scale: float) -> Figures:
    """Jobs one by one."""
    count = int(500 * scale)
    took = [await timed(lambda: one(client, 21)) for _ in range(count)]
    return {"n": count, **spread(took), "per_s": round(count / sum(took), 1)}


async def g2(client: durable.HotMesh, scale: float) -> Figures:
    """Many jobs, 200 in flight."""
    count = int(10_000 * scale)
    before = time.perf_counter()
    took = await capped(count, 200, lambda number: timed(lambda: one(client, number)))
    seconds = time.perf_counter() - before
    return {
        "n": count,
        "s": round(seconds, 3),
        "job_per_s": round(count / seconds, 1),
        **spread(took),
    }


async def g3(client: durable.HotMesh, scale: float) -> Figures:
    """Activations of further versions."""
    took = []
    for _ in range(max(1, int(20 * scale))):
        deployed = (await client.deploy(GRAPH.format(version=f"{time.time_ns()}x")))["app"]
        took.append(await timed(lambda v=deployed["version"]: client.activate(v)))
    return {"n": len(took), "activation_p50_ms": milliseconds(percentile(took, 0.5))}


QUESTIONS: dict[str, Callable[[durable.HotMesh, float], Awaitable[Figures]]] = {
    "G1": g1,
    "G2": g2,
    "G3": g3,
}


async def serve(dsn: str) -> None:
    """The worker process of `--apart`: an engine and the worker, until it is ended."""
    end_with_parent()
    async with await mesh(dsn, serves=True):
        print(READY, flush=True)
        await asyncio.Event().wait()


async def apart(dsn: str) -> asyncio.subprocess.Process:
    """A worker process that is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.graphs", "--serve", "--dsn", dsn,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 60)
    assert line.strip() == READY.encode()
    return process


async def main(args: argparse.Namespace) -> None:
    """Run everything that was asked for, in a schema that is made anew."""
    host = await durable.connect(args.dsn, namespace="durable_bench", migrate=True)
    await clear(host.dsn, NAMESPACE)
    client = await mesh(host.dsn, serves=not args.apart)
    await client.deploy(GRAPH.format(version="1"))
    await client.activate("1")
    worker = await apart(host.dsn) if args.apart else None
    meter = await Meter.open(host.dsn, {} if worker is None else {"worker": worker.pid})
    try:
        for line in (*await meter.surroundings(), *CAVEATS):
            print(f"# {line}", flush=True)
        for name in args.questions or QUESTIONS:
            await asyncio.gather(*[one(client, number) for number in range(20)])
            for run in range(args.runs):
                before = await meter.read()
                figures = await asyncio.wait_for(QUESTIONS[name](client, args.scale), args.limit)
                figures |= meter.difference(before, await meter.read())
                where = "apart" if args.apart else "together"
                print(json.dumps({"w": name, "variant": where, "run": run + 1, **figures}))
    finally:
        if worker is not None:
            worker.terminate()
            await worker.wait()
        await meter.close()
        await client.stop()
        await host.close()


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("questions", nargs="*", choices=[*QUESTIONS, []], metavar="G1…G3")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--limit", type=float, default=180, help="seconds allowed for one run")
    parser.add_argument("--dsn", default=None, help="without it, an embedded Postgres")
    parser.add_argument("--apart", action="store_true", help="the worker in another process")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    asyncio.run(serve(given.dsn) if given.serve else main(given))
