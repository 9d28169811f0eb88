"""Any role of the database may notify any channel: what it says there is ignored, or looked up."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Iterable

import asyncpg
import pytest
import pytest_asyncio

import durable
from durable.composition import connect
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from durable.runtime import channels
from durable.runtime.notifications import member_news, queue_news, row_id

WORDS = [
    *["garbage", "-1", "9" * 30, "9223372036854775808", "turn x y", "turn -5 -5", "turn 1"],
    *["activity 99999999 1", "turn " + "9" * 40 + " 1", "turn 1 2 3", "turn", "e", "x", "eABC"],
    *["xABC", "e-1", "x" + "9" * 30, "\u0663", "1 2 3 a", " ", "  ", "0", "", "q", "w" * 7000],
    *["17", "e17", "x17", '{"type": "throttle"}'],
]

APP = """
app:
  id: strangers
  version: '1'
  graphs:
    - subscribes: t
      publishes: t.done
      activities:
        start: {type: trigger, job: {maps: {n: '{$self.output.data.n}'}}}
"""


@pytest_asyncio.fixture
async def stranger(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of a role that was granted nothing."""
    role = f"stranger_{secrets.token_hex(6)}"
    owner = await asyncpg.connect(dsn)
    await owner.execute(f"create role {role} login")
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"set session authorization {role}")
    yield connection
    await connection.close()
    await owner.execute(f"drop role {role}")
    await owner.close()


async def say(stranger: asyncpg.Connection, where: Iterable[str], words: Iterable[str]) -> None:
    for channel in where:
        for word in words:
            await stranger.execute("select pg_notify($1, $2)", channel, word)


@pytest.mark.parametrize("word", WORDS)
def test_words_are_read_without_an_error(word):
    """Whatever is said is a number that a row may have, known words, or nothing."""
    for number in (row_id(word), *(news.number for news in [member_news(word)] if news)):
        assert number is None or 0 <= number < 2**63
    news = queue_news(word)
    assert news is None or (news.kind in ("turn", "activity", "") and news.amount >= 0)


@pytest.mark.asyncio
async def test_what_strangers_say_hurts_nobody(
    client: durable.Client, stranger: asyncpg.Connection, caplog: pytest.LogCaptureFixture
):
    """A role without grants says everything, right ids too: nothing fails, nothing is stopped."""
    caplog.set_level(logging.WARNING)
    broken: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    began, go_on, calls = asyncio.Event(), asyncio.Event(), []

    @durable.activity
    async def slow() -> str:
        calls.append("slow")
        began.set()
        await go_on.wait()
        return "done"

    @durable.workflow
    async def carried() -> str:
        return await slow()

    async with durable.Worker(client, workflows=[carried], activities=[slow]):
        handle = await client.start(carried(), id="carried")
        await began.wait()
        namespace = client.namespace
        owner = await asyncpg.connect(client.dsn)
        rows = f'"{namespace}".worker_streams'
        while not (  # noqa: ASYNC110 - the database knows when the row of the attempt is written
            attempts := await owner.fetch(f"select id, run_id from {rows} where msg_type <> 'turn'")
        ):
            await asyncio.sleep(0.01)
        members = [r[0] for r in await owner.fetch(f'select member_id from "{namespace}".members')]
        own = [channels.member(namespace, member) for member in members]
        said = [f"{kind}{n}" for row in attempts for n in row for kind in ("", "x", "e")]
        where = [channels.queue(namespace, "default"), *own, client._runs.waiters.channel]
        await say(stranger, where, [*WORDS, *said])
        # What is said in order is heard in order: a start that is announced after it is served.
        async with await connect(client.dsn, namespace=namespace) as other:
            second = await other.start(carried(), id="second")
            go_on.set()
            assert await second.result(timeout=60) == "done"
        assert await handle.result(timeout=60) == "done"
        await owner.close()
    assert calls == ["slow", "slow"], "an attempt was stopped, and made again"
    assert broken == []
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


@pytest.mark.asyncio
async def test_engines_and_subscribers_ignore_strangers(
    database: Database, stranger: asyncpg.Connection, caplog: pytest.LogCaptureFixture
):
    """Engine, quorum, results and subscriptions take nothing from a role without grants."""
    caplog.set_level(logging.WARNING)
    broken: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: broken.append(context))
    namespace, heard = database.schema, []
    mesh = await HotMesh.init(
        app_id="strangers", engine={"connection": database.dsn}, namespace=namespace
    )
    await mesh.deploy(APP)
    await mesh.activate("1")
    await mesh.pubsub("t", {"n": 1})
    # Another kind of run, of whose end nobody asked to hear.
    foreign = await database.fetchval(
        f'insert into "{namespace}".jobs (run_id, jid, scope, app_id, graph, state, created_at,'
        " finished_at) values (17, 'f', '', 'strangers', 'f', 'completed', now(), now())"
        " returning run_id"
    )
    told = asyncio.Event()

    async def subscriber(_topic: str, job: dict[str, object]) -> None:
        heard.append(job["data"])
        told.set()

    await mesh.sub("t.done", subscriber)
    [guid] = [profile["engine_id"] for profile in await mesh.roll_call()]
    where = [
        channels.engine(namespace, "strangers"),
        channels.waiter(namespace, "q:strangers"),
        channels.waiter(namespace, f"q:strangers:{guid}"),
        channels.topic(namespace, "strangers", "t.done"),
    ]
    posted = f'select id from "{namespace}".quorum_messages'
    ids = [str(r[0]) for r in await database.fetch(posted)]
    await say(stranger, where, [*WORDS, *ids, str(foreign)])
    await mesh.pubsub("t", {"n": 2})
    await asyncio.wait_for(told.wait(), 60)
    assert len(await mesh.roll_call()) == 1
    assert heard == [{"n": 2}]
    await mesh.stop(0)
    assert broken == []
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
