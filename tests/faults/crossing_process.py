"""Engine, workflows and activities of one process: `python -m tests.faults.crossing_process …`.

It moves the graphs of the app "hub", runs the workflow that they await, and serves their topics
with activities. Waits for a line on its standard input; prints "ready" when it serves.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import durable
from durable.composition import connect
from durable.hotmesh.mesh import HotMesh
from durable.worker.worker import Worker
from tests.faults.programs import SOON, note, worth

GRAPHS = """
app:
  id: hub
  version: '1'
  graphs:
    - subscribes: outer
      expire: 1 day
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.key}'}}
        a1: {type: worker, topic: visit, input: {maps: {label: '{t1.output.data.first}'}}}
        w1:
          type: await
          topic: middle
          app: default
          input: {maps: {label: '{t1.output.data.second}', added: '{a1.output.data.result}'}}
          job: {maps: {sum: '{$self.output.data.sum}'}}
      transitions: {t1: [{to: a1}], a1: [{to: w1}]}
    - subscribes: inner
      expire: 1 day
      activities:
        t1: {type: trigger}
        a1:
          type: worker
          topic: visit
          input: {maps: {label: '{t1.output.data.label}'}}
          job: {maps: {worth: '{$self.output.data.result}'}}
      transitions: {t1: [{to: a1}]}
"""


@durable.activity(retry=SOON)
async def visit(label: str) -> int:
    """Leave a line in the journal."""
    note("start", label)
    return worth(label)


@durable.workflow
async def middle(label: str, added: int) -> dict[str, int]:
    """What a graph awaits; it awaits another one."""
    found = await durable.graph("inner", {"label": label}, app="hub", returns=dict[str, int])
    return {"sum": found["worth"] + added}


async def serve(dsn: str, namespace: str, **_options: Any) -> None:
    """Serve until killed."""
    async with (
        await connect(dsn, namespace=namespace, migrate=True) as client,
        await HotMesh.init(app_id="hub", namespace=namespace, engine={"connection": client}),
        Worker(client, workflows=[middle]),
        Worker(client, activities=[visit], task_queue="hub"),
    ):
        print("ready", flush=True)  # noqa: T201 - the driver waits for it
        await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    sys.stdin.readline()
    asyncio.run(serve(sys.argv[1], sys.argv[2]))
