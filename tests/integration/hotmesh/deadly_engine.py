"""An engine that dies, or stands still, as soon as it applies a message of the job "poison".

python deadly_engine.py <dsn> <schema> [die | hang] [tries before a message is put aside]
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import Any

from durable.engine import interpreter
from durable.engine.steps import graph_steps
from durable.engine.steps.graph_steps import GraphSteps
from durable.hotmesh import holding
from durable.hotmesh.mesh import HotMesh

DIED = 9


async def main(dsn: str, schema: str, how: str = "die", tries: str = "3") -> None:
    """Take part until it is over."""
    feed = GraphSteps._feed

    def deadly(self: GraphSteps, batch: Any, walk: Any, row: Any) -> None:
        if walk.job.jid == "poison":
            print("poisoned", flush=True)  # noqa: T201 - the test waits for it
            if how == "die":
                os._exit(DIED)
            threading.Event().wait()
        feed(self, batch, walk, row)

    GraphSteps._feed = deadly  # type: ignore[method-assign]
    holding.STEP_MAX = 1.0  # type: ignore[misc]
    interpreter.TRIES_MAX = graph_steps.TRIES_MAX = int(tries)  # type: ignore[misc]
    await HotMesh.init(app_id="app", namespace=schema, engine={"connection": dsn})
    print("ready", flush=True)  # noqa: T201
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
