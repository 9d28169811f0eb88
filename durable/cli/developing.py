"""`durable dev`: a database, and a worker that is started again whenever a file changes."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Iterator
from pathlib import Path

from durable.cli.children import ended, started
from durable.cli.command import Session, creating, split
from durable.cli.output import Output
from durable.cli.serving import Queue, Target
from durable.postgres.dsn import shown

LOOK_SECONDS = 0.5  # how often files are looked at
FILES_MAX = 20_000  # beyond that looking would cost more than it gives
STOP_SECONDS = 15  # a little more than the worker's own grace

_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages"})


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
    roots = _roots(name)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    worker = None
    try:
        while not stop.is_set():
            worker = await started(client, module, options)
            changed = await _change(roots, worker, stop, out)
            await ended(worker, STOP_SECONDS)
            if changed is not None:
                out.note(f"{changed} changed: reloading; open runs go on")
    finally:
        if worker is not None:
            await ended(worker, STOP_SECONDS)


def _roots(name: str) -> set[Path]:
    """Below which directories a change counts."""
    return {Path.cwd()} | ({Path(name).resolve().parent} if name.endswith(".py") else set())


async def _change(
    roots: set[Path], worker: Process, stop: asyncio.Event, out: Output
) -> Path | None:
    """The first file that changes; None when we are told to stop."""
    before = await asyncio.to_thread(_times, roots)
    told = False
    while not stop.is_set():
        if worker.returncode is not None and not told:
            told = True
            out.note("the worker ended; mend the code, and it is started again")
        try:
            await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
        except TimeoutError:
            now = await asyncio.to_thread(_times, roots)
            if now != before:
                changed = {path for path, _ in now.items() ^ before.items()}
                return min(changed)
    return None


def _times(roots: set[Path]) -> dict[Path, int]:
    """When each Python file below the directories was last written."""
    found: dict[Path, int] = {}
    for path in (path for root in sorted(roots) for path in _sources(root)):
        try:
            found[path] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue  # gone since it was listed
        if len(found) >= FILES_MAX:
            break
    return found


def _sources(root: Path) -> Iterator[Path]:
    for directory, inner, files in os.walk(root):
        inner[:] = [
            name
            for name in sorted(inner)
            if not name.startswith(".")
            and name not in _SKIPPED
            and not (Path(directory) / name / "pyvenv.cfg").exists()
        ]
        yield from (Path(directory) / name for name in files if name.endswith(".py"))
