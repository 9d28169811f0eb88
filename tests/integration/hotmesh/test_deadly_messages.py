"""A message that takes engines down is counted, and put aside before it has taken down all."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from durable.engine.interpreter import LOSSES_MAX, Interpreter
from durable.engine.steps.graph_steps import EngineStep, GraphSteps
from durable.engine.steps.graph_walks import Plans
from durable.engine.steps.local_path import LocalPath
from durable.engine.steps.message_batch import MessageBatch
from durable.engine.versions import Versions
from durable.errors import JobFailed, JobNotFound
from durable.hotmesh import loop_watch
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from durable.postgres.errors import ConnectionLost
from durable.protocol.retry import RetryPolicy
from durable.store.graph_messages import EngineStream
from durable.store.members import MemberStore
from durable.store.membership import Membership
from tests.integration.hotmesh import deadly_engine
from tests.integration.hotmesh.conftest import Begin
from tests.waiting import eventually

DOC = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 600
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        nap: {type: hook, sleep: '{t1.output.data.seconds}'}
      transitions: {t1: [{to: nap}]}
"""


BLOCKING = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        up: {type: worker, topic: up, job: {maps: {named: '{$self.output.data.named}'}}}
      transitions: {t1: [{to: up}]}
"""
INNOCENT = [f"fine-{n}" for n in range(5)]


class Gone(Exception):
    """An engine dies."""


@dataclass
class Engines:
    """Engines of one namespace without loops: each claims, and lives or dies, as it is told."""

    database: Database
    members: MemberStore
    plans: Plans

    async def join(self) -> tuple[int, GraphSteps, Interpreter]:
        """One more."""
        async with self.database.connection() as connection:
            member = await self.members.join(connection, "app", "here", 1)
        steps = GraphSteps(
            self.database, self.plans, RetryPolicy(), lambda: 0.5, member=lambda: member
        )
        return member, steps, Interpreter(steps, "app", lambda _written: None)

    async def die(self) -> None:
        """One claims all that is due, and is gone."""
        async with self.dying() as connection:
            await EngineStream(self.database.schema).claim(connection, "app", 64)

    @asynccontextmanager
    async def dying(self) -> AsyncIterator[Any]:
        """A connection whose transaction is rolled back."""
        with suppress(Gone):
            async with self.database.connection() as connection, connection.transaction():
                yield connection
                raise Gone

    async def die_alone(self) -> int:
        """One reserves what it is to apply alone, and is gone; its member."""
        member, steps, _ = await self.join()
        step = EngineStep()
        await steps.apply("app", step)
        assert step.suspect is not None
        return member

    async def reap(self, member: int) -> tuple[str, ...]:
        """A member is reaped; the apps whose engines are woken."""
        async with self.database.connection() as connection:
            return (await self.members.reap(connection, member)).engines

    async def rows(self, columns: str, where: str = "jid = 'poison'") -> list[tuple[Any, ...]]:
        """Messages as they are."""
        query = f'select {columns} from "{self.database.schema}".engine_streams where {where}'
        return [tuple(row) for row in await self.database.fetch(f"{query} order by id")]


async def waiting(mesh: HotMesh, *jids: str) -> None:
    """Jobs that nap, and no engine for when they wake."""
    for jid in jids:
        await mesh.pub("t", {"id": jid, "seconds": 3600})
    await mesh.stop(0)


async def wake(database: Database) -> None:
    """All of them, in one moment."""
    schema = f'"{database.schema}"'
    await database.fetch(f"update {schema}.engine_streams set visible_at = {schema}.now()")


@pytest_asyncio.fixture
async def engines(begin: Begin, database: Database) -> Engines:
    """With a message of "poison" before those of the innocent, which are due with it."""
    await waiting(await begin(DOC), "poison", *INNOCENT)
    await wake(database)
    return Engines(database, MemberStore(database.schema), Versions(database).plans)


async def test_the_innocent_of_a_batch_are_cleared_at_once_and_what_kills_alone_is_put_aside(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No death goes uncounted, nobody waits for another's, and it is kept, not failed."""
    await engines.die()
    for lost in range(LOSSES_MAX):
        member = await engines.die_alone()
        assert await engines.rows("losses, reserved_by") == [(lost + 1, member)]
        if lost == 0:
            assert await engines.rows("losses", "jid <> 'poison'") == [(1,)] * len(INNOCENT)
            _, _, survivor = await engines.join()
            assert await survivor.drain() is False
            assert survivor.applied == len(INNOCENT), "nobody waits for the dead one to be missed"
            assert await engines.rows("jid", "expired_at is null") == [("poison",)]
        assert await engines.reap(member) == ("app",)
    assert await engines.rows("losses, reserved_by") == [(LOSSES_MAX + 1, None)]
    _, _, last = await engines.join()
    monkeypatch.setattr(MessageBatch, "_feed", None)  # it is not applied again
    await last.drain()
    ((error, dead),) = await engines.rows("error ->> 'message', dead_lettered_at is not null")
    assert dead
    assert f"{LOSSES_MAX} engines died" in error


async def test_what_fails_without_a_death_is_not_counted(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that lives gives back what it could not apply alone, however often."""
    await engines.die()
    interpreter = (await engines.join())[2]
    feed, broken = MessageBatch._feed, 0

    def breaking(self: MessageBatch, walk: Any, row: Any) -> None:
        nonlocal broken
        if walk.job.jid == "poison" and broken <= LOSSES_MAX:
            broken += 1
            raise ConnectionLost("the test broke the connection here")
        feed(self, walk, row)

    monkeypatch.setattr(MessageBatch, "_feed", breaking)
    for _ in range(LOSSES_MAX + 1):
        with pytest.raises(ConnectionLost):
            await interpreter.drain()
        assert await engines.rows("losses, reserved_by") == [(1, None)]
    await interpreter.drain()
    assert await engines.rows("jid", "true") == []
    assert interpreter.dead_lettered == 0


async def test_a_message_whose_transaction_still_stands_is_counted_when_it_does_not(
    engines: Engines, database: Database
) -> None:
    """A member that hangs is reaped at once, its locked message when it is free: by any sweep."""
    await engines.die()
    member, steps, _ = await engines.join()
    step = EngineStep()
    await steps.apply("app", step)
    assert step.suspect is not None
    async with engines.dying() as hanging:
        await EngineStream(database.schema).claim_these(hanging, [step.suspect.id], member)
        assert await engines.reap(member) == ()
        assert await engines.rows("losses, reserved_by") == [(1, member)]
    async with database.connection() as connection:
        other = await engines.members.join(connection, "app", "here", 1)
        await connection.execute(f"update \"{database.schema}\".sweeps set swept_at = '-infinity'")
        assert member in (await engines.members.sweep(connection, other)).dead
    await engines.reap(member)
    assert await engines.rows("losses, reserved_by") == [(2, None)]


@asynccontextmanager
async def fleet(database: Database, how: str) -> AsyncIterator[list[int]]:
    """Three engines, one loss alone from putting a message aside; which came to "poison"."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, deadly_engine.__file__, database.dsn, database.schema, how, "1",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output = program.stdout
    assert output is not None
    ready = [(await output.readline()).split() for _ in range(deadly_engine.ENGINES)]
    assert [word for word, _ in ready] == [b"ready"] * deadly_engine.ENGINES
    poisoned: list[int] = []

    async def watch() -> None:
        async for line in output:
            poisoned.append(int(line.split()[1]))
            if how == "stay":
                os.kill(poisoned[-1], signal.SIGKILL)

    watching = asyncio.create_task(watch())
    try:
        yield poisoned
    finally:
        for _, pid in ready:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        await program.wait()
        await watching


@pytest.mark.parametrize("how", ["die", "hang", "stay"])
async def test_of_engines_that_run_already_each_counts_what_it_was_lost_of(
    begin: Begin, database: Database, how: str
) -> None:
    """One is lost with a batch, one alone, the third goes on; its job can be repaired or ended."""
    await waiting(await begin(DOC), "poison", *INNOCENT)
    rows, count = f'"{database.schema}".engine_streams', "select count(*) from"
    async with fleet(database, how) as poisoned:
        await wake(database)

        async def aside() -> bool:
            return await database.fetchval(f"{count} {rows} where dead_lettered_at is not null") > 0

        async def over() -> bool:
            return await database.fetchval(f"{count} {rows} where expired_at is null") == 0

        async def left() -> bool:
            return await database.fetchval(f'{count} "{database.schema}".members') == 1

        for happens in (aside, over, left):
            await eventually(happens, within=90)
    assert len(poisoned) == deadly_engine.ENGINES - 1

    mesh = await begin(None)
    metadata = (await mesh.get_state("t", "poison"))["metadata"]
    assert metadata["js"] > 0
    assert "err" not in metadata
    assert "1 engines died, or stood still" in metadata["put_aside"]["message"]
    assert [await mesh.get_status(jid) for jid in INNOCENT] == [0] * len(INNOCENT)
    if how == "die":
        await mesh.resume("poison")
        await eventually(lambda: has_ended(mesh))
        with pytest.raises(JobNotFound):
            await mesh.resume("poison")
    else:
        assert await mesh.interrupt("t", "poison")
        await eventually(lambda: has_ended(mesh))
    assert "put_aside" not in (await mesh.get_state("t", "poison"))["metadata"]


async def has_ended(mesh: HotMesh) -> bool:
    """Whether the job "poison" has."""
    return await mesh.get_status("poison") <= 0


async def test_a_callback_that_holds_the_loop_is_named(
    begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    """With its topic, its job and where it stands; it has its time, and its answer counts."""
    caplog.set_level(logging.WARNING, "durable")
    said = threading.Event()

    async def blocks(_message: dict[str, Any]) -> dict[str, Any]:
        return {"data": {"named": said.wait(100)}}

    class Waiting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "has not yielded" in record.getMessage():
                said.set()

    handler = Waiting()
    logging.getLogger("durable").addHandler(handler)
    try:
        mesh = await begin(BLOCKING, up=blocks)
        assert (await mesh.pubsub("t", {"id": "b"}, timeout=150))["data"] == {"named": True}
    finally:
        logging.getLogger("durable").removeHandler(handler)
    assert "the callback of topic 'up' (job b) has not yielded for 2 s" in caplog.text
    assert "said.wait(100)" in caplog.text


async def test_a_step_in_memory_that_holds_the_loop_is_given_up(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its attempt is freed as of a member that was lost, and run again; the process joins anew."""
    monkeypatch.setattr(loop_watch, "STEP_MAX", 1.0)
    calls: list[str] = []
    given_up = threading.Event()
    following, give_up = LocalPath._following, Membership.give_up

    def held(self: LocalPath, *args: Any) -> Any:
        given_up.wait(100)
        return following(self, *args)

    def noticed(self: Membership, *args: Any) -> bool:
        try:
            return give_up(self, *args)
        finally:
            given_up.set()

    monkeypatch.setattr(LocalPath, "_following", held)
    monkeypatch.setattr(Membership, "give_up", noticed)

    async def answers(message: dict[str, Any]) -> dict[str, Any]:
        calls.append(message["metadata"]["jid"])
        return {"data": {"named": len(calls)}}

    mesh = await begin(BLOCKING.replace(", stats: {id: '{$self.input.data.id}'}", ""), up=answers)
    given_up.set()
    await mesh.pubsub("t", timeout=100)  # from now on its version is known
    given_up.clear()
    calls.clear()
    out = await mesh.pubsub("t", timeout=90)
    assert out["data"] == {"named": 2}
    assert "a step of a graph has held the event loop for 1 s" in caplog.text
    assert "following" in caplog.text


PATTERN = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 600
      activities:
        t1: {type: trigger}
        found:
          type: hook
          job:
            maps:
              at: {'@pipe': [['{t1.output.data.s}', 'PATTERN'], ['{@string.search}']]}
      transitions: {t1: [{to: found}]}
"""


async def test_a_pattern_of_a_stored_version_ends_the_job_never_the_engine(
    begin: Begin, database: Database
) -> None:
    """A version whose pattern today's engine refuses still loads; each job says why it failed."""
    mesh = await begin(PATTERN.replace("PATTERN", "b+"))
    assert (await mesh.pubsub("t", {"s": "abb"}))["data"] == {"at": 1}
    await mesh.stop(0)
    await database.fetch(
        f'update "{database.schema}".app_versions'
        r" set descriptor = replace(descriptor, 'b+', '(b)\1')"
    )
    mesh = await begin(None)
    for _ in range(2):
        with pytest.raises(JobFailed, match="backreference"):
            await mesh.pubsub("t", {"s": "abb"})
