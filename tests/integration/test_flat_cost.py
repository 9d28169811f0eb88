"""Every statement that workers, clients and engines really send touches live rows only.

Among a million finished runs and 50,000 of each kind that waits, what is sent is explained before
it runs, with the very parameters that it was sent with. Plans and pages count, never time.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

import durable
from durable.client.client import Client
from durable.composition import connect
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from durable.worker.worker import Worker
from tests.integration.filling import BIG, fill
from tests.integration.programs import add, chain
from tests.sql_files import sql_files
from tests.waiting import eventually

FINISHED, WAITING = 1_000_000, 50_000
PAGES = 150  # the greatest touches about 70; the smallest index of what waits has over 200
ROWS = 500  # that one scan reads and may throw away
HOT = {
    "store/runs": "claim look inboxes arrive give_back",
    "store/activities": "claim settle",
    "store/members": "sweep reap",
    "store/graph_messages": (
        "claim take answer next_due look_for_work consume send dispatch disarm"
    ),
    "steps/commits": "commit_step commit_end commit_batch",
    "steps/graph_commits": "begin advance",
    "store/jobs": "start_runs latest outcomes",
    "store/histories": "facts page",
    "store/graph_jobs": "lock instances save",
    "store/hooks": "register find remove",
}

go = durable.Signal("go", str)


@durable.workflow
async def fan(steps: int) -> int:
    """So many steps at once, one elsewhere, and a child."""
    far = add.options(task_queue="elsewhere")
    return len(await asyncio.gather(*[add(n) for n in range(steps)], far(1), chain(1)))


@durable.workflow
async def told() -> str:
    """A step, a timer, a signal."""
    await add(1)
    await durable.sleep(0.05)
    return await go.receive()


GRAPH = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: work
      expire: 60
      activities:
        t: {type: trigger}
        w:
          type: worker
          topic: work.do
          input: {maps: {a: '{t.output.data.a}'}}
        h:
          type: hook
          hook:
            type: object
        z: {type: hook, sleep: 0.1}
      transitions: {t: [{to: w}], w: [{to: h}], h: [{to: z}]}
      hooks:
        work.on:
          - to: h
            conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}
    - subscribes: plain
      activities:
        t2: {type: trigger}
        w2: {type: worker, topic: work.do, input: {maps: {a: '{t2.output.data.a}'}}}
      transitions: {t2: [{to: w2}]}
"""


class Explaining:
    """Explains statements before they run: what the worst of each touched, by its name."""

    def __init__(self, schema: str) -> None:
        self._names = {text: name for name, text in _blocks(schema)}
        self.pages: dict[str, int] = defaultdict(int)
        self.scans: dict[str, set[str]] = defaultdict(set)

    async def explain(self, connection: asyncpg.Connection, query: str, args: Any) -> None:
        """Run it inside of what is rolled back, and keep what its plan says."""
        name = self._names.get(query)
        if name is None:
            return
        for _ in range(2):  # the second time the connection knows the catalogues
            undone = connection.transaction()
            await undone.start()
            try:
                text = await connection.fetchval(
                    f"explain (analyze, buffers, timing off, format json) {query}", *args
                )
            finally:
                await undone.rollback()
        plan = json.loads(text)[0]["Plan"]
        touched = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        self.pages[name] = max(self.pages[name], touched)
        self.scans[name] |= set(_greedy(plan))


def _blocks(schema: str) -> Iterator[tuple[str, str]]:
    for (package, path), file in sql_files().items():
        room = package.rpartition(".")[2]
        if room in ("streams", "store", "steps"):
            blocks = file.load(schema)
            for name in blocks:
                yield f"{room}/{path[4:-4]}: {name}", blocks[name]


def _greedy(plan: dict[str, Any]) -> Iterator[str]:
    """The scans that read a whole big table, or far more rows than there are live ones."""
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] in BIG:
        yield f"a whole table: {plan['Relation Name']}"
    if "Scan" in plan["Node Type"]:
        read = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        if read * plan["Actual Loops"] > ROWS:
            yield f"{read} × {plan['Actual Loops']} rows of {plan.get('Relation Name')}"
    for below in plan.get("Plans", ()):
        yield from _greedy(below)


@pytest.fixture
def namespace(unmigrated: str) -> str:
    """A new schema: rows of earlier tests would be read as dead ones, and change plans."""
    return unmigrated


@pytest_asyncio.fixture
async def filled(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A schema with much in it, and a connection that sees it."""
    connection = await asyncpg.connect(
        database.dsn, server_settings={"search_path": database.schema}
    )
    await fill(connection, finished=FINISHED, waiting=WAITING)
    yield connection
    await connection.close()


@pytest.fixture
def explaining(
    database: Database, filled: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> Explaining:
    """What every connection sends from now on is explained first, `filled` left out."""
    found = Explaining(database.schema)

    def explained(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def sending(self: asyncpg.Connection, query: str, *args: Any, **more: Any) -> Any:
            if self is not filled:
                await found.explain(self, query, args)
            return await method(self, query, *args, **more)

        return sending

    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        monkeypatch.setattr(asyncpg.Connection, name, explained(getattr(asyncpg.Connection, name)))
    return found


async def _functions(client: Client, explaining: Explaining) -> None:
    """Steps, fan-out, a child, another queue, signals to runs that were given back."""
    async with await connect(client.dsn, namespace=client.namespace) as other:
        async with (
            Worker(client, workflows=[chain, fan, told], activities=[add], task_queue="q"),
            Worker(other, activities=[add], task_queue="elsewhere"),
        ):
            for _ in range(3):
                await client.execute(chain(3), task_queue="q")
            await client.execute(fan(5), task_queue="q")
            handles = [
                await client.start(told(), task_queue="q", id=f"told-{n}") for n in (1, 2, 3)
            ]

            async def waits() -> bool:
                return all([len(await handle.history()) >= 3 for handle in handles])

            await eventually(waits)

            async def looked() -> bool:
                return {"store/runs: look", "store/members: sweep"} <= set(explaining.pages)

            await eventually(looked)
        alone, *together = handles
        for handle in together:  # whose histories are read at once
            await handle.signal(go, "x")
        async with Worker(other, workflows=[told], activities=[add], task_queue="q"):
            for handle in together:
                assert await handle.result(timeout=60) == "x"
            await client.handle(alone.id).signal(go, "x")
            assert await client.handle(alone.id).result(timeout=60) == "x"


async def _hooked(direct: asyncpg.Connection, jid: str) -> bool:
    return bool(
        await direct.fetchval(
            "select exists(select from hooks h join jobs j using (run_id) where j.jid = $1)", jid
        )
    )


async def _graphs(dsn: str, schema: str, direct: asyncpg.Connection) -> None:
    """Jobs with a worker, a signal and a timer."""

    async def do(message: dict[str, Any]) -> dict[str, Any]:
        return {"data": {"a": message["data"]["a"]}}

    mesh = await HotMesh.init(
        app_id="app", engine={"connection": dsn}, namespace=schema,
        workers=[{"topic": "work.do", "callback": do}],
    )  # fmt: skip
    try:
        await mesh.deploy(GRAPH)
        await mesh.activate("1")
        for number in range(3):
            job = await mesh.pub("work", {"a": number})
            await eventually(partial(_hooked, direct, job))
            await mesh.hook("work.on", {"id": job})

            async def over(jid: str = job) -> bool:
                return await mesh.get_status(jid) == 0

            await eventually(over)
            await mesh.pubsub("plain", {"a": number}, timeout=60)
    finally:
        await mesh.stop()


async def test_what_is_sent_reads_live_rows_only(
    client: Client, explaining: Explaining, filled: asyncpg.Connection
) -> None:
    """Claims, looks, sweeps, commits, arrivals, histories, starts; of functions and of graphs."""
    await _functions(client, explaining)
    await _graphs(client.dsn, client.namespace, filled)
    hot = {f"{file}: {name}" for file, names in HOT.items() for name in names.split()}
    assert hot - set(explaining.pages) == set()
    assert {name: pages for name, pages in explaining.pages.items() if pages > PAGES} == {}
    assert {name: scans for name, scans in explaining.scans.items() if scans} == {}
