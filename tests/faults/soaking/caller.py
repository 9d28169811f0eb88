"""Starts and signals: `… dsn namespace log`. What it has done is in the log, for who follows it.

A word is logged before an act ("sending") and after it ("sent"). Who is started after a kill does
again what has no second word: only that may have happened twice, and what was tried again after an
error ("again").
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import durable
from durable.errors import DatabaseError, DuplicateJob, WorkflowEnded, WorkflowNotFound
from durable.hotmesh.mesh import HotMesh
from tests.faults import programs
from tests.faults.soaking.programs import NAP, NUMBERS, listener, napping, number

KINDS = ("order", "listener", "napping", "census", "once", "ledger", "steps", "parcel")
OPEN_MAX = 60  # runs that are begun and not done
ATTACH: Any = {"if_running": "attach", "if_ended": "attach"}


class Log:
    """What callers have begun and done, one line each: "word key detail"."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_RDWR)
        self.words: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for line in path.read_text().splitlines():
            key, word, detail = (*line.split(), "")[:3]
            self.words[key].append((word, detail))

    def note(self, key: str, word: str, detail: object = "") -> None:
        """Write it down, in one piece."""
        self.words[key].append((word, str(detail)))
        os.write(self._file, f"{key} {word} {detail}\n".encode())

    def has(self, key: str, word: str, detail: object = "") -> bool:
        """Whether it was written down."""
        return (word, str(detail)) in self.words[key]


async def insist(
    act: Callable[[], Awaitable[Any]], again: Callable[[], None] = lambda: None
) -> Any:
    """What a caller does who is told of an error of the database: the same again.

    `again` is called before each try but the first: the one before may have done it.
    """
    while True:
        try:
            return await act()
        except (DatabaseError, TimeoutError, OSError):
            await asyncio.sleep(0.3)
        again()


class Caller:
    """Begins runs of every kind, one after the other, and sees each through its signals."""

    def __init__(self, client: durable.Client, mesh: HotMesh, log: Log) -> None:
        self._client = client
        self._mesh = mesh
        self._log = log

    async def see_through(self, key: str) -> None:
        """Begin what `key` names unless that is done, and send what it waits for."""
        if self._log.has(key, "done"):
            return
        kind, _, n = key.partition("-")
        if not self._log.has(key, "begun"):
            await insist(lambda: self._begin(kind, key))
            self._log.note(key, "begun")
        if kind in ("order", "ledger"):
            await self._send(key, programs.approval, [int(n)])
        elif kind == "listener":
            await self._send(key, number, list(range(NUMBERS)))
        elif kind == "parcel":
            await self._arrive(key)
        self._log.note(key, "done")

    async def _begin(self, kind: str, key: str) -> None:
        if kind == "parcel":
            with contextlib.suppress(DuplicateJob):
                await self._mesh.pub("parcel", {"id": key})
            return
        calls: dict[str, Callable[[], Any]] = {
            "order": lambda: programs.order(key),
            "listener": lambda: listener(key, NUMBERS),
            "napping": lambda: napping(key, NAP),
            "census": lambda: programs.census(key, 2, 3, 0.01),
            "once": lambda: programs.once(key, 0.05),
            "ledger": lambda: programs.ledger(key, 4),
            "steps": lambda: programs.steps(key, 30, 0.02),
        }
        more: Any = {"entity": {"log": ["begun"]}} if kind == "ledger" else {}
        await self._client.start(calls[kind](), id=key, **ATTACH, **more)

    async def _send(self, key: str, signal: Any, values: list[int]) -> None:
        handle = self._client.handle(key)
        for value in values:
            if self._log.has(key, "sent", value):
                continue
            if self._log.has(key, "sending", value):
                self._log.note(key, "again", value)  # may have arrived: twice is no fault then
            self._log.note(key, "sending", value)
            try:
                await insist(
                    partial(handle.signal, signal, value),
                    partial(self._log.note, key, "again", value),
                )
            except (WorkflowEnded, WorkflowNotFound):
                if not self._log.has(key, "again", value):
                    raise
            self._log.note(key, "sent", value)

    async def _arrive(self, key: str) -> None:
        if not self._log.has(key, "sent"):
            word = {"id": key, "word": key}
            await insist(lambda: self._mesh.hook("arrived", word, request_id=key))
            self._log.note(key, "sent")


async def main(dsn: str, namespace: str, path: str) -> None:
    """Go on where the log ends; begin nothing more once standard input says "enough"."""
    log = Log(Path(path))
    enough = asyncio.Event()
    reader = asyncio.get_running_loop().add_reader
    reader(0, lambda: enough.set() if os.read(0, 100) else os._exit(1))
    client = await insist(lambda: durable.connect(dsn, namespace=namespace, migrate=True))
    mesh = await insist(
        lambda: HotMesh.init(app_id="soak", namespace=namespace, engine={"connection": client})
    )
    caller = Caller(client, mesh, log)
    print("ready", flush=True)  # noqa: T201 - the driver waits for it
    running = {asyncio.create_task(caller.see_through(key)) for key in list(log.words)}
    n = len(log.words)
    while not enough.is_set() or running:
        while not enough.is_set() and len(running) < OPEN_MAX:
            key = f"{KINDS[n % len(KINDS)]}-{n}"
            n += 1
            log.note(key, "begin")
            running.add(asyncio.create_task(caller.see_through(key)))
            await asyncio.sleep(0.1)
        done, running = await asyncio.wait(running, timeout=0.2) if running else (set(), running)
        for task in done:
            task.result()
    print("stopped", flush=True)  # noqa: T201
    os._exit(0)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    while os.read(0, 1) != b"\n":  # and no byte more: the next line is for the loop
        pass
    asyncio.run(main(*sys.argv[1:4]))
