"""Engines and workers in processes that can be killed: one that forks them as it is told.

python -m tests.faults.graph_process <dsn> <schema> <journal>

For each line that it reads it forks a process that moves the graphs of `EVERY_KIND` and runs its
callbacks; each prints its id when it serves. Forked, a process is there at once, with everything
imported.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from durable.hotmesh.mesh import HotMesh
from tests.faults.graphs import TOPICS

KEPT = ("below", "each", "sorry", "born")  # whose answers change the state of their job


class Callbacks:
    """What the activities do; each call is noted first."""

    def __init__(self, journal: str) -> None:
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND)

    async def __call__(self, message: dict[str, Any]) -> dict[str, Any]:
        """Answer with something that tells the activity and what it was given."""
        about = message["metadata"]
        words = [about[key] for key in ("jid", "aid", "dad", "guid")]
        os.write(self._journal, f"{' '.join(words)} {os.getpid()}\n".encode())
        given = message["data"].get("v", "")
        answer: dict[str, Any] = {"data": {"v": f"{about['aid']}({given})"}}
        if about["aid"] == "flaky" and about["try"] == 0:
            raise ConnectionError("the first attempt fails")
        if about["aid"] == "broken":
            return {"status": "error", "code": 422, "data": {"message": "not today"}}
        if about["aid"] == "open":
            answer["code"] = 202
        if about["aid"] in KEPT:
            answer["state"] = [
                {"op": "entity.increment", "path": f"told.{about['aid']}"},
                {"op": "attributes.incr", "name": "told"},
            ]
        return answer


async def serve(dsn: str, schema: str, journal: str) -> None:
    """Move graphs and run callbacks until killed."""
    callback = Callbacks(journal)
    async with await HotMesh.init(
        app_id="app",
        namespace=schema,
        engine={"connection": dsn},
        workers=[{"topic": topic, "callback": callback} for topic in TOPICS],
    ):
        os.write(1, f"{os.getpid()}\n".encode())
        await asyncio.Event().wait()


def main(dsn: str, schema: str, journal: str) -> None:
    """Fork a process for each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead
    while os.read(0, 1):
        if os.fork() == 0:
            os.close(0)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asyncio.run(serve(dsn, schema, journal))


if __name__ == "__main__":
    main(*sys.argv[1:])
