"""Three engines that die, or stand still, as soon as they apply a message of the job "poison".

python deadly_engine.py <dsn> <schema> <die | hang | stay> <engines that may be lost of it alone>

"stay" stands still, and nobody in the process minds: it has to be killed. Each engine has a process
of its own, and prints its id with what it comes to.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import Any

from durable.engine import interpreter
from durable.engine.steps.message_batch import MessageBatch
from durable.hotmesh import loop_watch
from durable.hotmesh.mesh import HotMesh

ENGINES = 3


def say(word: str) -> None:
    """A line in one piece, whoever else writes."""
    os.write(1, f"{word} {os.getpid()}\n".encode())


async def main(dsn: str, schema: str, how: str, losses: str) -> None:
    """Take part until it is over."""
    feed = MessageBatch._feed

    def deadly(self: MessageBatch, walk: Any, row: Any) -> None:
        if walk.job.jid == "poison":
            say("poisoned")
            if how == "die":
                os._exit(1)
            threading.Event().wait()
        feed(self, walk, row)

    MessageBatch._feed = deadly  # type: ignore[method-assign]
    loop_watch.STEP_MAX = 1.0 if how == "hang" else 1000.0  # type: ignore[misc]
    interpreter.LOSSES_MAX = int(losses)  # type: ignore[misc]
    await HotMesh.init(app_id="app", namespace=schema, engine={"connection": dsn})
    say("ready")
    await asyncio.Event().wait()


if __name__ == "__main__":
    for _ in range(ENGINES):
        if os.fork() == 0:
            asyncio.run(main(*sys.argv[1:]))
    for _ in range(ENGINES):
        os.wait()
