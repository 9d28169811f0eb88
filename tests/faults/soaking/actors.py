"""The processes of a soak, each behind a proxy and with a wall clock that can be made to step."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.driver import Journal, WorkerProcess
from tests.integration.proxy import Proxy

LIBRARY = next((str(p) for p in Path("/usr/lib").glob("**/libfaketime.so.1")), None)
ROLE = "soak"  # who workers and callers log in as: its rights can be taken away


@dataclass
class Actor:
    """One process, started again whenever it has ended.

    Attributes:
        stopping: whether it is to end.
        ends: how often it ended by itself, and with which codes.
    """

    name: str
    module: str
    words: tuple[str, ...]
    proxy: Proxy
    clock: Path
    process: WorkerProcess | None = None
    frozen: bool = False
    stopping: bool = False
    ends: list[int] = field(default_factory=list)


class Actors:
    """Starts them, and starts them again."""

    def __init__(self, dsn: str, namespace: str, journal: Journal, directory: Path) -> None:
        self._dsn = dsn
        self._namespace = namespace
        self._journal = journal
        self._directory = directory
        self._keeping: list[asyncio.Task[None]] = []
        self.all: list[Actor] = []

    async def add(self, name: str, module: str, *words: str) -> Actor:
        """Another process; it is kept running from now on."""
        proxy = Proxy(self._dsn)
        await proxy.__aenter__()
        clock = self._directory / f"{name}.clock"
        await asyncio.to_thread(clock.write_text, "+0")
        actor = Actor(name, f"tests.faults.soaking.{module}", words, proxy, clock)
        await self._start(actor)
        assert actor.process is not None
        await actor.process.says("ready")
        self.all.append(actor)
        self._keeping.append(asyncio.create_task(self._keep(actor)))
        return actor

    def some(self, rng: Random, module: str = "") -> Actor:
        """One of them that runs."""
        return rng.choice([a for a in self.all if module in a.module and not a.frozen])

    async def close(self) -> None:
        """Kill all that is left."""
        for task in self._keeping:
            task.cancel()
        await asyncio.wait(self._keeping)
        for actor in self.all:
            if actor.process is not None:
                await actor.process.kill()
            await actor.proxy.__aexit__()

    async def _start(self, actor: Actor) -> None:
        scheme, _, rest = actor.proxy.dsn.partition("://")
        dsn = f"{scheme}://{ROLE}@{rest.partition('@')[2]}"
        env = {}
        if LIBRARY is not None:
            env = {
                "LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(actor.clock),
                "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }  # fmt: skip
        actor.process = await WorkerProcess.spare(
            dsn, self._namespace, self._journal, env, module=actor.module, words=actor.words
        )
        actor.process.tell("serve")

    async def _keep(self, actor: Actor) -> None:
        while True:
            assert actor.process is not None
            code = await actor.process.ends(within=1e6)
            if actor.stopping:
                return
            if code not in (-signal.SIGKILL, 0):
                actor.ends.append(code)
            await actor.process.kill()
            await self._start(actor)
