"""Inboxes: what arrives is folded once, whatever the network and the moment."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import pytest

import durable
from durable.client.client import Client
from durable.composition import connect
from durable.protocol.commits import Arrival, Histories
from durable.protocol.facts import Fact
from durable.store.runs import Look, Message, RunStream
from durable.worker import reconciler
from durable.worker.worker import Worker
from durable.worker.worker_services import WorkerServices
from tests.integration.proxy import Proxy
from tests.waiting import eventually

number = durable.Signal("number", int)


@durable.workflow
async def collect(count: int) -> list[int]:
    """The first `count` numbers it is told."""
    return [await number.receive() for _ in range(count)]


@asynccontextmanager
async def _lost_answer(
    proxy: Proxy, direct: asyncpg.Connection, lock: str, taken: str
) -> AsyncIterator[None]:
    """What is sent in the block reaches the server; its answer is cut off once `taken` says so.

    `lock` holds the statement up until nobody listens any more.
    """
    holding = direct.transaction()
    await holding.start()
    await direct.execute(lock)
    yield
    await eventually(lambda: direct.fetchval(_BLOCKED))
    proxy.swallowing = True
    await holding.rollback()
    await eventually(lambda: direct.fetchval(taken))
    proxy.swallowing = False
    proxy.cut()


_BLOCKED = """select count(*) from pg_locks
    where not granted and pid <> pg_backend_pid() and locktype <> 'advisory'"""
_TAKEN = """insert into jobs (run_id, jid, app_id, graph, created_at)
    select 1, 'one', 'default', 'collect', statement_timestamp()"""
_WAKE = "select from worker_streams where jid = 'c' and msg_type = 'turn' for update"


async def test_a_signal_whose_answer_is_lost_is_not_put_into_the_inbox_twice(
    client: Client, direct: asyncpg.Connection, dsn: str
) -> None:
    """The resend finds its own row."""
    handle = await client.start(collect(2), id="c")
    async with Proxy(dsn) as proxy, await connect(proxy.dsn, namespace=client.namespace) as other:
        far = other.handle("c")
        async with _lost_answer(proxy, direct, _WAKE, "select count(*) from engine_streams"):
            sending = asyncio.create_task(far.signal(number, 1))
        await asyncio.wait_for(sending, 60)
        await far.signal(number, 2)
    async with Worker(client, workflows=[collect]):
        assert await handle.result(timeout=60) == [1, 2]


async def test_a_signal_that_was_consumed_meanwhile_is_known_by_the_history(
    client: Client, direct: asyncpg.Connection, dsn: str
) -> None:
    """The row is gone, folded into a fact, when the resend comes: it is not received again."""
    async with Worker(client, workflows=[collect]):
        handle = await client.start(collect(2), id="c")
        folded = "select count(*) from history where kind = 'signal'"
        async with (
            Proxy(dsn) as proxy,
            await connect(proxy.dsn, namespace=client.namespace) as other,
        ):
            far = other.handle("c")
            async with _lost_answer(proxy, direct, _WAKE, folded):
                sending = asyncio.create_task(far.signal(number, 1))
            await asyncio.wait_for(sending, 60)
            await far.signal(number, 2)
        assert await handle.result(timeout=60) == [1, 2]


@pytest.mark.parametrize("cold", [False, True], ids=["held", "claimed cold"])
async def test_a_copy_that_comes_after_its_first_was_folded_is_dropped(
    client: Client,
    direct: asyncpg.Connection,
    cold: bool,  # noqa: FBT001
) -> None:
    """Sent before a deadline, it gets to the server after the one sent again has become a fact."""
    stop = AsyncExitStack()
    async with stop:
        await stop.enter_async_context(Worker(client, workflows=[collect]))
        handle = await client.start(collect(2), id="c")
        await handle.signal(number, 1)
        folded = "select request_id from history where kind = 'signal'"
        await eventually(lambda: direct.fetchval(folded))
        if cold:
            await stop.aclose()
        copy = Message(
            await handle.run_id(), "signal", "number", message="1",
            request_id=await direct.fetchval(folded),
        )  # fmt: skip
        assert await client.services.runs.arrive([copy])
        assert await direct.fetchval("select count(*) from engine_streams") == 1
        await handle.signal(number, 2)
        if cold:
            await stop.enter_async_context(Worker(client, workflows=[collect]))
        assert await handle.result(timeout=60) == [1, 2]
    assert await direct.fetchval("select count(*) from engine_streams") == 0


async def test_a_signal_that_ended_the_run_was_a_success(
    client: Client, direct: asyncpg.Connection, dsn: str
) -> None:
    """The run has ended by the very signal whose answer was lost: the sender hears of no error."""
    async with Worker(client, workflows=[collect]):
        handle = await client.start(collect(1), id="c")
        ended = "select count(*) from jobs where state = 'completed'"
        async with (
            Proxy(dsn) as proxy,
            await connect(proxy.dsn, namespace=client.namespace) as other,
        ):
            far = other.handle("c")
            async with _lost_answer(proxy, direct, _WAKE, ended):
                sending = asyncio.create_task(far.signal(number, 1))
            await asyncio.wait_for(sending, 60)
        assert await handle.result(timeout=60) == [1]


async def test_a_start_whose_answer_is_lost_starts_one_run(
    client: Client, direct: asyncpg.Connection, dsn: str
) -> None:
    """The resend finds its own run, and hears that it started it, though the id is taken by now."""
    async with Proxy(dsn) as proxy, await connect(proxy.dsn, namespace=client.namespace) as other:
        async with _lost_answer(proxy, direct, _TAKEN, "select count(*) from jobs"):
            sending = asyncio.create_task(other.start(collect(0), id="one"))
        handle = await asyncio.wait_for(sending, 60)
        assert await direct.fetchval("select count(*) from jobs") == 1
        async with Worker(client, workflows=[collect]):
            assert await handle.result(timeout=60) == []


async def test_closing_does_not_wait_for_ever_for_a_server_that_is_silent(
    client: Client, dsn: str
) -> None:
    """A start is on its way and never answered; the client can be closed all the same."""
    async with Proxy(dsn) as proxy:
        other = await connect(proxy.dsn, namespace=client.namespace)
        proxy.swallowing = True
        sending = asyncio.create_task(other.start(collect(0), id="one"))
        await asyncio.wait_for(other.close(), 60)
        with pytest.raises((asyncio.CancelledError, durable.DatabaseError)):
            await sending


class _Held(Histories):
    """Histories whose answers about inboxes of so many rows are held back after they were read."""

    def __init__(self, real: Histories) -> None:
        self._real = real
        self.gate = asyncio.Event()
        self.holds = -1
        self.read: list[int] = []

    async def facts(self, run_ids: Sequence[int]) -> dict[int, list[Fact]]:
        return await self._real.facts(run_ids)

    async def inboxes(self, run_ids: Sequence[int]) -> dict[int, list[Arrival]]:
        found = await self._real.inboxes(run_ids)
        self.read.append(sum(map(len, found.values())))
        if self.read[-1] == self.holds:
            await self.gate.wait()
        return found


@dataclasses.dataclass
class _Carrier:
    """What a worker takes from its client: services."""

    services: WorkerServices


async def test_a_row_that_is_read_again_while_its_commit_is_answered_is_folded_once(
    client: Client, direct: asyncpg.Connection
) -> None:
    """The second reading of the inbox began before the first row's commit and is heard after it."""
    histories = _Held(client.services.histories)
    carrier = _Carrier(dataclasses.replace(client.services, histories=histories))
    async with Worker(carrier, workflows=[collect]):
        handle = await client.start(collect(3), id="c")
        await eventually(lambda: direct.fetchval("select count(reserved_by) from worker_streams"))
        run_id = await handle.run_id()
        async with direct.transaction():
            await direct.execute("select from jobs where run_id = $1 for update", run_id)
            await handle.signal(
                number, 1
            )  # folded; its commit finds the row locked, and tries again
            await eventually(lambda: _is(histories.read[-1:] == [1]))
            histories.holds = 2
            await handle.signal(number, 2)
            await eventually(lambda: _is(histories.read[-1:] == [2]))
        await eventually(
            lambda: direct.fetchval("select count(*) from history where kind = 'signal'")
        )
        histories.gate.set()
        await handle.signal(number, 3)
        assert await handle.result(timeout=60) == [1, 2, 3]


async def _is(value: bool) -> bool:  # noqa: FBT001
    return value


async def test_what_nobody_told_of_is_read_though_much_is_held(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who wrote died before it could notify: a poll that looks only at what is new finds it."""
    monkeypatch.setattr(reconciler, "ROWS", 0.001)  # one run is as much as the most that is held
    looked: list[int | None] = []
    look = RunStream.look

    async def looking(stream: RunStream, *args: Any) -> Look:
        looked.append(args[-1])
        return await look(stream, *args)

    monkeypatch.setattr(RunStream, "look", looking)
    async with Worker(client, workflows=[collect]):
        handle = await client.start(collect(1), id="c")
        await eventually(lambda: _is(looked[-1:] not in ([], [None])))
        sent = Message(await handle.run_id(), "signal", "number", message="1")
        assert await client.services.runs.arrive([sent])
        assert await handle.result(timeout=60) == [1]
        assert None not in looked[-2:]
