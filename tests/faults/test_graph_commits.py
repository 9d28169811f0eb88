"""Who moves a hand-written graph dies at each of its commits in turn.

A commit is known by a message that it claims, answers or consumes. A first run notes them all; then
there is a run for each, in which a trigger lets that commit stand still when everything is written.
Its process is killed: before the commit (the session is ended, it never happens), after it (it
happens, and nobody is there to hear of it), or long before it (it happens when others have taken
over). Among these commits is the acknowledgement of each callback.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from durable.engine.effects import Reply
from durable.engine.job_queries import JobQueries
from durable.engine.signals import Signals
from durable.engine.steps.graph_starts import Start
from durable.engine.steps.graph_steps import GraphSteps
from durable.engine.versions import Versions
from durable.hotmesh.export import exported
from durable.postgres.database import Database
from durable.postgres.migrator import migrate
from durable.protocol.retry import RetryPolicy
from durable.runtime import channels
from durable.store.members import MemberStore
from tests.faults.driver import ROOT, Observer
from tests.faults.graphs import EVERY_KIND, TOPICS
from tests.waiting import eventually

KEPT = {  # what steps write beside the job and its activities, once each
    "job_stats": "kind, target, key, value",
    "emissions": "output::jsonb -> 'open' as open, emitted_at is null as odd",
    "escalations": "aid, status, role, metadata, resolver_payload::text",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A callback that was called: for which activity of which job, by which message, and where."""

    jid: str
    aid: str
    dad: str
    guid: int
    pid: int


class Commits:
    """Notes the commits of one namespace, the test's own left out, and stops one of them."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._key = secrets.randbits(62)

    async def watch(self) -> None:
        """Put the triggers up. Deferred, they run when all is written, just before the commit."""
        rows = self._observer.rows
        await rows("create table durable.stop_at (name text)")
        await rows("create table durable.commits (name text primary key)")
        await rows(
            "create function durable.stand() returns trigger language plpgsql as $$"
            # What an engine holds has no attempts; that it is applied alone is no step.
            " declare engine boolean := tg_table_name = 'engine_streams';"
            "  this text := concat_ws(' ', tg_table_name, lower(tg_op), old.msg_type,"
            "  coalesce(old.aid, old.topic), old.dad,"
            "  case when not engine then 'attempt ' || old.retry_attempt end);"
            " begin if current_setting('outside.test', true) = 'yes' then return null; end if;"
            " if engine and tg_op = 'UPDATE' and"
            " (new.losses, new.reserved_by) is distinct from (old.losses, old.reserved_by) then"
            " return null; end if;"
            " insert into durable.commits values (this) on conflict do nothing;"
            " if exists (select from durable.stop_at s where s.name = this) then"
            f" perform pg_advisory_xact_lock_shared({self._key}); end if; return null; end $$"
        )
        for table in ("worker_streams", "engine_streams"):
            await rows(
                f"create constraint trigger stand after update or delete on durable.{table}"
                " deferrable initially deferred for each row execute function durable.stand()"
            )

    async def names(self) -> list[str]:
        """All commits so far, by name."""
        return [
            row["name"]
            for row in await self._observer.rows("select * from durable.commits order by 1")
        ]

    async def stop_at(self, name: str) -> None:
        """Let that commit stand still when it comes."""
        await self._observer.value("select pg_advisory_lock($1)", self._key)
        await self._observer.rows("insert into durable.stop_at values ($1)", name)

    async def standing(self) -> list[int]:
        """The session that stands still, as soon as it does."""

        async def found() -> list[int]:
            rows = await self._observer.rows(
                "select pid from pg_locks where locktype = 'advisory' and not granted"
                " and (classid::bigint << 32) + objid::bigint = $1", self._key,
            )  # fmt: skip
            return [row["pid"] for row in rows]

        pids: list[int] = await eventually(found, "a commit that stands still", every=0.005)
        return pids

    async def end(self, pids: list[int]) -> None:
        """End that session: its commit never happens."""
        for pid in pids:
            await self._observer.rows("select pg_terminate_backend($1)", pid)

    async def go_on(self, pids: list[int]) -> None:
        """Let it commit, and everybody else; returns when that session is gone."""
        await self._observer.rows("delete from durable.stop_at")
        await self._observer.value("select pg_advisory_unlock($1)", self._key)

        async def gone() -> bool:
            return not await self._observer.rows(
                "select from pg_stat_activity where pid = any($1)", pids
            )

        await eventually(gone, "the end of the dead process's session")


@dataclass
class House:
    """A namespace with its app, the world outside of it, and the processes that move it."""

    database: Database
    observer: Observer
    commits: Commits
    journal: Path
    forking: asyncio.subprocess.Process
    alive: set[int] = field(default_factory=set)
    repeated: set[str] = field(default_factory=set)

    async def fork(self) -> int:
        """A process more; its id, once it serves."""
        assert self.forking.stdin is not None
        assert self.forking.stdout is not None
        self.forking.stdin.write(b".")
        pid = int(await asyncio.wait_for(self.forking.stdout.readline(), 60))
        self.alive.add(pid)
        return pid

    async def kill(self, pid: int) -> None:
        """End a process without a warning, and have its death known soon."""
        members = await self.observer.members_of(pid)
        os.kill(pid, signal.SIGKILL)
        self.alive.remove(pid)
        for member in members:
            await self.observer.beat_was(member, 5)

    async def is_buried(self, pid: int) -> None:
        """Return when what a process held is free."""

        async def free() -> bool:
            return not await self.observer.members_of(pid)

        await eventually(free, "reaped")

    def calls(self, key: str) -> list[Call]:
        """All calls for a job and those that it started."""
        lines = (line.split() for line in self.journal.read_text().splitlines())
        return [
            Call(jid, aid, dad, int(guid), int(pid))
            for jid, aid, dad, guid, pid in lines
            if jid.split("-")[0] == key
        ]

    async def begin(self, key: str) -> None:
        """What comes from outside before anything moves: the start, and an early signal."""
        versions = Versions(self.database)
        steps = GraphSteps(self.database, versions.plans, RetryPolicy(), lambda: 0.5)
        await steps.start(Start("app", "t", {"id": key}))
        word = Reply("webhook", {"id": key, "word": "early"}, "pending", 202)
        await Signals(self.database).send("app", "say", word)
        await self._wake()

    async def _wake(self) -> None:
        """Tell engines at once, as a mesh does."""
        channel = channels.engine(self.database.schema, "app")
        await self.database.fetch("select pg_notify($1, '')", channel)

    async def answer_again(self, key: str) -> None:
        """What comes from outside later: the last answer of the activity that answered 202."""
        schema = self.database.schema

        async def answered() -> Any:
            return await self.database.fetchval(
                f'select a.dad from "{schema}".activities a join "{schema}".jobs j using (run_id)'
                " where j.jid = $1 and a.aid = 'open' and a.replies = 1", key,
            )  # fmt: skip

        dad = await eventually(answered, "an answer 202")
        reply = Reply("response", {"v": "outside"})
        await Signals(self.database).answer("app", key, ("open", dad), reply)
        await self._wake()

    async def ended(self, key: str) -> bool:
        """Whether the job and those that it started have ended, and nothing is left to do."""
        return bool(
            await self.observer.value(
                "select count(*) = 3 and bool_and(finished_at is not null)"
                " and not exists (select from durable.engine_streams where expired_at is null)"
                " and not exists (select from durable.worker_streams where expired_at is null)"
                " from durable.jobs where jid = $1 or jid like $1 || '-%'", key,
            )
        )  # fmt: skip

    async def open_messages(self) -> set[int]:
        """What workers still have to do."""
        rows = await self.observer.rows(
            "select id from durable.worker_streams where expired_at is null"
        )
        return {row["id"] for row in rows}

    async def state(self, key: str) -> Any:
        """All that is left of the job and those that it started, ids and times apart.

        What was kept of calls that were lost, and made again, is no part of it.
        """
        jobs = JobQueries(self.database, Versions(self.database).plans)
        found: dict[str, Any] = {}
        for jid in (key, f"{key}-child", f"{key}-sleeper"):
            job, plan, now = await jobs.find("app", jid)
            document = exported(job, plan, now, await jobs.history(job))
            del document["activities"], document["process"]["metadata"]
            found[jid] = {**document, "state": job.state, "error": job.error}
        for table in ("worker_streams", "engine_streams"):
            rows = await self.observer.rows(
                "select msg_type, aid, dad, case when 'worker_streams' = $2 then retry_attempt end"
                " as attempt, reserved_by, expired_at is null as open,"
                f" error is null as well from durable.{table} where jid like $1 || '%'"
                " and (error ->> 'kind') is distinct from 'lost' order by 1, 2, 3, 4", key, table,
            )  # fmt: skip
            found[table] = [dict(row) for row in rows]
        for table, columns in KEPT.items():
            rows = await self.observer.rows(
                f"select {columns} from durable.{table} where run_id in"
                " (select run_id from durable.jobs where jid like $1 || '%') order by 1, 2",
                key,
            )
            found[table] = [dict(row) for row in rows]
        for table in ("hooks", "early_signals"):
            found[table] = await self.observer.value(f"select count(*) from durable.{table}")
        text = json.dumps(found, default=str).replace(key, "*")
        return json.loads(re.sub(r"\b20\d{12}\.\d{3}\b", "(a time)", text))


@asynccontextmanager
async def house(dsn: str, journal: Path) -> AsyncIterator[House]:
    """A new one; everything of it is gone afterwards."""
    namespace = f"t_{secrets.token_hex(6)}"
    outside = f"{dsn}{'&' if '?' in dsn else '?'}outside.test=yes"
    database = await Database.open(outside, schema=namespace)
    connection = await asyncpg.connect(outside)
    gravedigger = await asyncpg.connect(outside, server_settings={"search_path": namespace})
    forking = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.graph_process", dsn, namespace, str(journal),
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    digging: asyncio.Task[None] | None = None
    found = House(
        database, Observer(connection, namespace), Commits(Observer(connection, namespace)),
        journal, forking,
    )  # fmt: skip
    try:
        await migrate(database)
        versions = Versions(database)
        await versions.deploy(EVERY_KIND)
        await versions.activate("app", "1")
        await found.commits.watch()
        await found.observer.deaths_count()
        digging = asyncio.create_task(_bury(MemberStore(namespace), gravedigger))
        yield found
    finally:
        for pid in found.alive:
            os.kill(pid, signal.SIGKILL)
        forking.kill()
        await forking.wait()
        if digging is not None:
            digging.cancel()
            await asyncio.wait([digging])
        gravedigger.terminate()
        await database.close()
        await connection.execute(f'drop schema if exists "{namespace}" cascade')
        await connection.close()


async def _bury(members: MemberStore, connection: asyncpg.Connection) -> None:
    """Do what members do once a second, more often: the test has many deaths."""
    while True:
        await connection.execute("update sweeps set swept_at = swept_at - interval '1 second'")
        for member in (await members.sweep(connection, 0)).dead:
            await members.reap(connection, member)
        await asyncio.sleep(0.03)


async def _undisturbed(house: House, key: str) -> tuple[Any, Counter[tuple[str, str, str]]]:
    pid = await house.fork()
    await house.begin(key)
    await house.answer_again(key)
    await eventually(lambda: house.ended(key), "the end of an undisturbed job")
    calls = house.calls(key)
    assert len({call.guid for call in calls}) == len(calls)
    await house.kill(pid)
    await house.is_buried(pid)
    return await house.state(key), _places(calls, key)


def _places(calls: list[Call], key: str) -> Counter[tuple[str, str, str]]:
    """How many messages there were for each activity: those of a retry are two."""
    found = {(call.jid.replace(key, "*"), call.aid, call.dad, call.guid) for call in calls}
    return Counter(place[:3] for place in found)


async def _killed_at(house: House, key: str, name: str, pid: int, how: str) -> int:
    """Run a job whose process is killed at that commit; the process that went on."""
    await house.commits.stop_at(name)
    await house.begin(key)
    answering = asyncio.create_task(house.answer_again(key))
    standing = await house.commits.standing()
    await house.kill(pid)
    successor = await house.fork() if how == "late" else 0
    if how == "before":
        await house.commits.end(standing)
    await house.commits.go_on(standing)
    await house.is_buried(pid)
    left, before = await house.open_messages(), {call.guid for call in house.calls(key)}
    successor = successor or await house.fork()
    await answering
    await eventually(lambda: house.ended(key), "the end of the job")
    again = {c.guid: c.aid for c in house.calls(key) if c.pid == successor and c.guid in before}
    if how != "late":  # then nobody can look between commit and reaped
        assert left.issuperset(again), f"answered, and called again: {again}"
    house.repeated.update(again.values())
    return successor


@pytest.mark.timeout(600)  # some fifty deaths each
@pytest.mark.parametrize("how", ["before", "after", "late"])
async def test_a_process_killed_at_every_commit_of_a_graph(
    dsn: str, tmp_path: Path, how: str
) -> None:
    """With each kind of activity in it, it ends in the same state, and children ran once."""
    (tmp_path / "journal").touch()
    async with house(dsn, tmp_path / "journal") as found:
        whole, places = await _undisturbed(found, "whole")
        assert whole["*"]["state"] == "completed"
        assert whole["*"]["entity"] == {
            "kind": "order", "attributes": {"answers": 2, "told": 3},
            "context": {"done": 7, "told": {"below": 1, "each": 1, "sorry": 1}},
        }  # fmt: skip
        assert [len(whole[table]) for table in KEPT] == [2, 2, 1]
        names = await found.commits.names()
        pid = await found.fork()
        for number, name in enumerate(names):
            if how != "before" and number % 2 != (how == "late"):
                continue  # after and late share them: they are the same commit to who takes over
            key = f"{how}{number}"
            pid = await _killed_at(found, key, name, pid, how)
            assert await found.state(key) == whole, f"killed {how} {name}"
            calls = found.calls(key)
            assert _places(calls, key) == places, f"killed {how} {name}"
            twice = Counter((call.guid, call.pid) for call in calls)
            assert set(twice.values()) == {1}, f"killed {how} {name}: called twice: {twice}"
        assert len(names) >= 40
        if how == "before":  # each of them was killed between callback and acknowledgement
            assert found.repeated == set(TOPICS)
