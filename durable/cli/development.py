"""`durable dev`: a database, and a worker that is started again whenever a file changes."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import Process
from pathlib import Path

from durable.cli.child_workers import ended, started
from durable.cli.command import Session, creating, split
from durable.cli.output import Output
from durable.cli.workers import Queue, Target
from durable.postgres.dsn import shown

STOP_SECONDS = 15  # a little more than the worker's own grace


@creating
async def dev(session: Session, module: Target, queue: Queue = None) -> None:
    """Develop: a Postgres of your own, and a worker that reloads when a file changes."""
    client, out = session.client, session.out
    name = split(module)[0]
    out.event(
        {"dsn": shown(client.dsn), "namespace": client.namespace},
        f"database  {shown(client.dsn)}\n"
        f"next      durable start {name}:WORKFLOW --args '[…]'     in another terminal\n"
        f"          durable list, durable show ID\n"
        f"stop      Ctrl-C; what is open goes on at the next start",
    )
    options = [
        *(["--queue", queue] if queue is not None else []),
        *(["--json"] if out.as_json else []),
    ]
    from durable.cli.file_changes import changes  # noqa: PLC0415 - loads watchfiles

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    worker = None
    changed_files = changes(_roots(name), stop, out.note)
    try:
        while not stop.is_set():
            coming = asyncio.ensure_future(
                anext(changed_files, None)
            )  # begun before the worker reads them
            worker = await started(client, module, options)
            changed = await _change(coming, worker, out)
            await ended(worker, STOP_SECONDS)
            if changed is not None:
                out.note(f"{changed} changed: reloading; open runs go on")
    finally:
        stop.set()  # the watch ends, too
        if worker is not None:
            await ended(worker, STOP_SECONDS)


def _roots(name: str) -> set[Path]:
    """Below which directories a change counts."""
    return {Path.cwd()} | ({Path(name).resolve().parent} if name.endswith(".py") else set())


async def _change(coming: asyncio.Future[Path | None], worker: Process, out: Output) -> Path | None:
    """The file that changes; None at a stop."""

    def ended_by_itself(_: asyncio.Future[int]) -> None:
        if not coming.done():
            out.note("the worker ended; fix the code, and it is started again")

    ending = asyncio.ensure_future(worker.wait())
    ending.add_done_callback(ended_by_itself)
    changed = await coming
    ending.cancel()
    return changed
