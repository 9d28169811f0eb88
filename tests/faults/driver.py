"""Worker processes that can be killed, and what must hold however often they are."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest

from durable.store.members import lock_class
from tests.faults.programs import BOOTED, JOURNAL
from tests.waiting import eventually

CLOCKS = 0.25  # seconds by which a member's idea of the database's clock may be off when it is busy
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the journal."""

    word: str
    label: str
    pid: int
    at: float


class Journal:
    """What activities have noted, whichever process ran them."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "journal"
        self.path.touch()
        Path(f"{self.path}.d").mkdir()

    def flaky(self) -> set[str]:
        """The labels, as file names, of steps that failed on purpose."""
        return {mark.name for mark in Path(f"{self.path}.d").iterdir()}

    def size(self) -> int:
        """How many lines there are."""
        return self.path.read_bytes().count(b"\n")

    def lines(self) -> list[Line]:
        """All lines."""
        found = []
        for text in self.path.read_text().splitlines():
            word, label, pid, at = text.split()
            found.append(Line(word, label, int(pid), float(at)))
        return found

    def starts(self) -> list[Line]:
        """The lines of starts."""
        return [line for line in self.lines() if line.word == "start"]

    async def reaches(self, lines: int, *, within: float = 60.0, strict: bool = True) -> None:
        """Return when there are so many lines; unless `strict` also when that took too long."""

        async def there() -> bool:
            return self.size() >= lines

        try:
            await eventually(there, f"{lines} lines in the journal", within=within, every=0.003)
        except pytest.fail.Exception:
            if strict:
                raise

    async def has(self, word: str, label: str, *, within: float = 60.0) -> Line:
        """The first such line, as soon as there is one."""

        async def there() -> Line | None:
            return next((x for x in self.lines() if (x.word, x.label) == (word, label)), None)

        found: Line = await eventually(there, f"{word} {label}", within=within, every=0.01)
        return found


class WorkerProcess:
    """A worker in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    async def spawn(
        cls, dsn: str, namespace: str, journal: Journal, env: dict[str, str] | None = None,
        **options: float,
    ) -> WorkerProcess:  # fmt: skip
        """Start one; returns when it serves."""
        worker = await cls.spare(dsn, namespace, journal, env, **options)
        await worker.serve()
        return worker

    @classmethod
    async def spare(
        cls, dsn: str, namespace: str, journal: Journal, env: dict[str, str] | None = None,
        *, module: str = "tests.faults.worker_process", words: Sequence[str] = (), **options: float,
    ) -> WorkerProcess:  # fmt: skip
        """Start one that has everything imported, soon, and waits for `serve`.

        `module`: another program that prints "ready"; `words`: what it is given beside.
        """
        with await asyncio.to_thread(Path(f"{journal.path}.log").open, "ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, dsn, namespace, *words,
                *[f"{k}={v}" for k, v in options.items()],
                cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
                env={
                    **os.environ, JOURNAL: str(journal.path), **(env or {}),
                    BOOTED: str(time.time() - time.monotonic()),
                },
            )  # fmt: skip
        return cls(process)

    async def serve(self) -> None:
        """Have it serve; returns when it does."""
        self.tell("serve")
        await self.says("ready")

    async def says(self, word: str, *, within: float = 60.0) -> None:
        """Return when the process prints the word."""
        assert self._process.stdout is not None
        async with asyncio.timeout(within):
            while line := await self._process.stdout.readline():
                if line.decode().strip() == word:
                    return
        raise AssertionError(f"the worker ended ({self._process.returncode}) without {word!r}")

    async def lives(self, seconds: float) -> bool:
        """Whether the process is still there after so long."""
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            return True
        return False

    @property
    def exited(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.returncode

    def tell(self, word: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    async def kill(self) -> None:
        """End it without a warning; once is enough."""
        if self._process.returncode is None:
            self.send(signal.SIGKILL)
            await self._process.wait()
        transport = self._process._transport  # type: ignore[attr-defined]  # its pipe stays open else
        transport.close()

    async def ends(self, *, within: float = 60.0) -> int:
        """Its exit code, once it has ended by itself."""
        async with asyncio.timeout(within):
            return await self._process.wait()


class Observer:
    """Looks at the tables of one namespace."""

    def __init__(self, connection: asyncpg.Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def rows(self, query: str, *args: Any) -> list[Any]:
        """Run a query that names tables as `durable.jobs`."""
        return await self._connection.fetch(
            query.replace("durable.", f'"{self._namespace}".'), *args
        )

    async def value(self, query: str, *args: Any) -> Any:
        """The first column of the first row."""
        return (await self.rows(query, *args))[0][0]

    async def deaths_count(self) -> None:
        """Return when the server has run for so long that members may be declared dead."""

        async def old() -> bool:
            return bool(
                await self.value(
                    "select clock_timestamp() > pg_postmaster_start_time() + interval '10.1 s'"
                )
            )

        await eventually(old, "a server that is ten seconds old", within=15, every=0.1)

    async def members_of(self, pid: int) -> list[int]:
        """The members that a process is."""
        return [
            r["member_id"]
            for r in await self.rows("select member_id from durable.members where pid = $1", pid)
        ]

    async def terminate_member(self, member: int) -> bool:
        """Cut the connection that holds a member's lock."""
        return bool(
            await self.value(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
                " and classid::bigint = $1::bigint & 4294967295"
                " and objid::bigint = 1 + $2::bigint % 2147483646",
                lock_class(self._namespace), member,
            )
        )  # fmt: skip

    async def cut(self, kind: str, rng: Random) -> None:
        """Cut one connection of that kind, whichever process has it, or cancel what it does."""
        found = await self.rows(
            "select pid from pg_stat_activity where application_name = $1 order by pid", kind
        )
        if found:
            how = "cancel" if rng.random() < 0.2 else "terminate"
            await self.rows(f"select pg_{how}_backend($1)", rng.choice(found)["pid"])

    async def is_free(self, jid: str) -> None:
        """Return when nobody holds a run any more."""

        async def free() -> bool:
            return not await self.rows(
                "select from durable.worker_streams"
                " where jid = $1 and msg_type = 'turn' and reserved_by is not null",
                jid,
            )

        await eventually(free, f"{jid} held by nobody")

    async def beat_was(self, member: int, seconds: float) -> None:
        """Make a member's last beat so old."""
        await self.rows(
            "update durable.members set beat_at = clock_timestamp() - make_interval(secs => $2)"
            " where member_id = $1",
            member, seconds,
        )  # fmt: skip

    async def sweeps(self, times: int) -> None:
        """Return when dead members have been looked for so many times more."""
        seen: set[Any] = set()

        async def looked() -> bool:
            seen.add(await self.value("select swept_at from durable.sweeps"))
            return len(seen) > times

        await eventually(looked, f"{times} sweeps", every=0.1)

    async def have_swept(self, seconds: float) -> None:
        """Make it so that dead members have been looked for all these seconds."""
        await self.rows(
            "update durable.sweeps set since = clock_timestamp() - make_interval(secs => $1)",
            seconds,
        )

    async def left(self) -> list[Any]:
        """The rows of both streams that are still alive."""
        return await self.rows(
            "select 'worker' as stream, id, jid, msg_type, aid, dad, reserved_by, visible_at::text"
            " from durable.worker_streams where expired_at is null union all"
            " select 'engine', id, jid, msg_type, aid, dad, reserved_by, visible_at::text"
            " from durable.engine_streams where expired_at is null"
        )

    async def nothing_is_left(self) -> None:
        """Both streams are empty, but for expired rows; they may take a moment to become so."""

        async def empty() -> bool:
            return not await self.left()

        try:
            await eventually(empty, "empty streams")
        except pytest.fail.Exception:
            assert not [dict(row) for row in await self.left()]
            raise

    async def recorded(self) -> dict[str, float]:
        """When each label's step ended, by the histories; fails where two facts have one label."""
        found: dict[str, float] = {}
        for row in await self.rows(
            "select extract(epoch from at)::float8 as at, input, failure from durable.history"
            " where kind = 'activity'"
        ):
            arguments = json.loads(row["input"])
            label = next(v for v in _values(arguments) if isinstance(v, str) and "/" in v)
            assert label not in found, f"{label} is in the histories twice"
            found[label] = row["at"]
        return found

    async def no_recorded_step_ran_again(
        self, journal: Journal, *, within_a_process: bool = True
    ) -> None:
        """Every step is recorded once, and no attempt began after that.

        `within_a_process`: nor did any process run a step twice, but for the flaky ones.
        """
        recorded = await self.recorded()
        starts = journal.starts()
        unrecorded = {line.label for line in starts} - set(recorded)
        assert not unrecorded, f"ran, and left no fact: {sorted(unrecorded)[:5]}"
        late = [line for line in starts if line.at > recorded[line.label] + CLOCKS]
        assert not late, f"started again after they were recorded: {late[:5]}"
        if not within_a_process:
            return
        twice = Counter((line.label, line.pid) for line in starts)
        flaky = journal.flaky()
        again = {k: n for k, n in twice.items() if n > 1 and k[0].replace("/", "_") not in flaky}
        assert not again, f"started twice by one process: {again}"


def _values(arguments: Any) -> list[Any]:
    if isinstance(arguments, dict):
        return [leaf for value in arguments.values() for leaf in _values(value)]
    if isinstance(arguments, list):
        return [leaf for value in arguments for leaf in _values(value)]
    return [arguments]
