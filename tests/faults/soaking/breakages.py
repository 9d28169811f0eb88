"""The faults of a soak: each is one coroutine that breaks something, and lets it be whole again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import asyncpg

from tests.faults.driver import WorkerProcess
from tests.faults.soaking.actors import LIBRARY, ROLE, Actors
from tests.waiting import eventually

REFUSED = 3.0  # seconds for which logins are refused and rights are gone
FROZEN = (1.0, 6.0)  # seconds that a process stands still; now and then longer than a minute
LONG_FREEZE = 66.0
SILENT = (5.0, 40.0)  # seconds that connections are dead without a word
STEPS = ("+7200", "-7200", "+86400", "-40", "+0")


class Breakages:
    """All faults, to be drawn by name.

    Args:
        admin: a DSN of the superuser, which no fault touches.
        home: of the embedded Postgres.
        namespace: the schema.
        actors: the processes.
        rng: what decides.
    """

    def __init__(self, admin: str, home: Path, namespace: str, actors: Actors, rng: Random) -> None:
        self._admin = admin
        self._home = home
        self._namespace = namespace
        self._actors = actors
        self._rng = rng
        self._server = asyncio.Lock()  # what concerns the whole server comes one after the other
        self.named: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "kill a worker": (12, lambda: self._kill("worker")),
            "kill a caller": (4, lambda: self._kill("caller")),
            "terminate a backend": (30, self._terminate),
            "half-open connections": (4, self._half_open),
            "restart the server": (1, lambda: self._restart(signal.SIGINT)),
            "crash the server": (1, self._crash),
            "refuse logins": (2, self._refuse),
            "revoke rights": (2, self._revoke),
            "freeze a process": (4, self._freeze),
            "freeze a process for a minute": (1, self._freeze_long),
        }
        if LIBRARY is not None:
            self.named["step a clock"] = (5, self._step)

    def only(self, names: Sequence[str]) -> None:
        """Leave out all others."""
        self.named = {name: self.named[name] for name in names if name in self.named}

    def draw(self) -> str:
        """The name of one, the frequent ones more often."""
        names = list(self.named)
        return self._rng.choices(names, [self.named[n][0] for n in names])[0]

    async def query(self, statement: str) -> list[Any]:
        """Run a statement as the superuser, whatever the server is going through."""

        async def ask() -> list[Any] | None:
            try:
                connection = await asyncpg.connect(self._admin, timeout=5)
            except (OSError, TimeoutError, asyncpg.PostgresError):
                return None
            try:
                return [await connection.fetch(statement)]
            except (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError):
                return None
            except (asyncpg.AdminShutdownError, asyncpg.CrashShutdownError):
                return None
            finally:
                connection.terminate()

        (rows,) = await eventually(ask, f"an answer to {statement}", within=60, every=0.2)
        return list(rows)

    async def _kill(self, module: str) -> None:
        actor = self._actors.some(self._rng, module)
        assert actor.process is not None
        _send(actor.process, signal.SIGKILL)

    async def _terminate(self) -> None:
        rows = await self.query(
            f"select pid, application_name from pg_stat_activity where usename = '{ROLE}'"
        )
        if rows:
            how = "cancel" if self._rng.random() < 0.2 else "terminate"
            pid = self._rng.choice(rows)["pid"]
            await self.query(f"select pg_{how}_backend({pid})")

    async def _half_open(self) -> None:
        actor = self._actors.some(self._rng)
        actor.proxy.freeze()
        await asyncio.sleep(self._rng.uniform(*SILENT))
        actor.proxy.drop_frozen()

    async def _restart(self, how: int) -> None:
        async with self._server:
            postmaster = self._home / "data" / "postmaster.pid"
            down = postmaster.read_text().split()[0]
            os.kill(int(down), how)

            async def another() -> bool:
                return postmaster.exists() and postmaster.read_text().split()[:1] not in (
                    [],
                    [down],
                )

            await eventually(another, "another server process")  # its watcher starts it again
            await self.query("select 1")

    async def _crash(self) -> None:
        async with self._server:
            rows = await self.query(
                f"select pid from pg_stat_activity where usename = '{ROLE}' limit 1"
            )
            if rows:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rows[0]["pid"], signal.SIGKILL)
            await self.query("select 1")

    async def _refuse(self) -> None:
        async with self._server:
            await self.query(f"alter role {ROLE} nologin")
            await self.query(
                f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{ROLE}'"
            )
            await asyncio.sleep(REFUSED)
            await self.query(f"alter role {ROLE} login")

    async def _revoke(self) -> None:
        async with self._server:
            tables = f"on all tables in schema {self._namespace}"
            await self.query(f"revoke insert, update, delete {tables} from {ROLE}")
            await asyncio.sleep(REFUSED)
            await self.query(f"grant all {tables} to {ROLE}")

    async def _step(self) -> None:
        actor = self._actors.some(self._rng)
        await asyncio.to_thread(actor.clock.write_text, self._rng.choice(STEPS))

    async def _freeze(self) -> None:
        await self._stand_still(self._rng.uniform(*FROZEN))

    async def _freeze_long(self) -> None:
        await self._stand_still(LONG_FREEZE)

    async def _stand_still(self, seconds: float) -> None:
        actor = self._actors.some(self._rng, "worker")
        process = actor.process
        assert process is not None
        if process.exited is not None:
            return
        actor.frozen = True
        _send(process, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            actor.frozen = False
            _send(process, signal.SIGCONT)


def _send(process: WorkerProcess, number: int) -> None:
    """Send a signal to a process that may have ended by itself a moment ago."""
    with contextlib.suppress(ProcessLookupError):
        process.send(number)
