"""An engine whose process ends as soon as it applies a message of the job "poison".

python deadly_engine.py <dsn> <schema>
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from durable.engine.steps.graph_steps import GraphSteps
from durable.hotmesh.mesh import HotMesh

DIED = 9


async def main(dsn: str, schema: str) -> None:
    """Take part until it is over."""
    feed = GraphSteps._feed

    def deadly(self: GraphSteps, batch: Any, walk: Any, row: Any) -> None:
        if walk.job.jid == "poison":
            os._exit(DIED)
        feed(self, batch, walk, row)

    GraphSteps._feed = deadly  # type: ignore[method-assign]
    await HotMesh.init(app_id="app", namespace=schema, engine={"connection": dsn})
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
