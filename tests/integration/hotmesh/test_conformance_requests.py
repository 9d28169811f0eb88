# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Starts, signals and answers are sent again when the connection breaks, and happen once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from durable.engine.retention import Retention
from durable.errors import ConfigurationError, DuplicateJob
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from durable.protocol.ids import new_request, request_named
from durable.protocol.retention import pruning
from tests.integration.hotmesh.conftest import Begin
from tests.integration.proxy import Proxy
from tests.waiting import eventually

FLOW = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: named
      expire: 100
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        h: {type: hook}
        n: {type: hook, job: {maps: {heard: '{h.hook.data.n}'}}}
      transitions: {t1: [{to: h}], h: [{to: n}]}
      hooks:
        x:
          - to: h
            conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}
    - subscribes: fresh
      expire: 100
      activities:
        t2: {type: trigger}
        w: {type: worker, topic: work}
        m: {type: hook, job: {maps: {got: '{w.output.data.n}'}}}
      transitions: {t2: [{to: w}], w: [{to: m}]}
"""


class Broken:
    """A mesh behind a proxy, whose next call is committed and not answered."""

    def __init__(self, proxy: Proxy, mesh: HotMesh, database: Database) -> None:
        self.mesh = mesh
        self._proxy = proxy
        self._db = database

    async def once(self, call: Any, happened: str, last: bytes = b"COMMIT") -> Any:
        """What the call gives whose answer is lost: what comes after `last`, its last words.

        The connection is cut when `happened`, a query, is true.
        """
        self._proxy.deaf_after = last
        calling = asyncio.ensure_future(call)
        query = happened.format(s=f'"{self._db.schema}"')
        await eventually(lambda: self._db.fetchval(query), within=15)
        self._proxy.deaf_after, self._proxy.swallowing = None, False
        self._proxy.cut()
        return await calling


@pytest_asyncio.fixture
async def broken(database: Database, begin: Begin) -> AsyncIterator[Any]:
    """Gives a function that makes a mesh behind a proxy, as an engine or readonly."""
    await begin(FLOW, work=_never)
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(Proxy(database.dsn))

        async def make(*, readonly: bool) -> Broken:
            mesh = await HotMesh.init(
                app_id="app",
                engine={"connection": proxy.dsn, "readonly": readonly},
                namespace=database.schema,
            )
            stack.push_async_callback(mesh.stop, 0)
            return Broken(proxy, mesh, database)

        yield make


async def _never(_message: dict[str, Any]) -> dict[str, Any]:
    """It stays open, and takes further answers."""
    return {"code": 202, "data": {"n": 0}}


COUNT = "select count(*) from {s}.jobs"


@pytest.mark.parametrize(
    ("topic", "data", "readonly"),
    [("named", {"id": "j"}, True), ("fresh", {}, True), ("fresh", {"a": "marked"}, False)],
)
async def test_a_start_whose_answer_is_lost_happens_once(
    broken: Any, database: Database, topic: str, data: dict[str, Any], *, readonly: bool
) -> None:
    """Its caller gets the id of the job that the first attempt has started, on either path."""
    it = await broken(readonly=readonly)
    if not readonly:  # the fast path is taken once the active version is known
        await it.mesh.pub(topic, {})
    before = await database.fetchval(COUNT.format(s=f'"{database.schema}"'))
    happened = f"{COUNT} having count(*) > {before}"
    jid = await it.once(it.mesh.pub(topic, data), happened, b"COMMIT" if readonly else b"marked")
    rows = await database.fetch(f'select jid from "{database.schema}".jobs order by run_id')
    assert (len(rows), rows[-1]["jid"]) == (before + 1, jid)


async def test_a_signal_whose_answer_is_lost_arrives_once(broken: Any, database: Database) -> None:
    """Also when an engine has handed it over before it is sent again: nothing is left for a next job."""
    it = await broken(readonly=True)
    await it.mesh.pub("named", {"id": "j"})
    ended = "select count(*) from {s}.jobs where finished_at is not null"
    assert int(await it.once(it.mesh.hook("x", {"id": "j", "n": 1}), ended)) > 0
    left = "select count(*) from {s}.engine_streams where expired_at is null or error is not null"
    assert await database.fetchval(left.format(s=f'"{database.schema}"')) == 0
    parked = f'select count(*) from "{database.schema}".early_signals'
    assert await database.fetchval(parked) == 0


async def test_an_answer_whose_answer_is_lost_arrives_once(broken: Any, database: Database) -> None:
    """An activity that stays open gets one further answer, not two."""
    it = await broken(readonly=True)
    jid = await it.mesh.pub("fresh")
    answers = (
        "select count(*) from {s}.activities where aid = 'w' and dad like ',0,%' and replies >= "
    )
    await eventually(lambda: database.fetchval(f"{answers}1".format(s=f'"{database.schema}"')))
    message = {
        "metadata": {"jid": jid, "aid": "w", "dad": ",0,0"},
        "data": {"n": "marked"},
        "code": 202,
    }
    await it.once(it.mesh.add(message), f"{answers}2", b"marked")
    await it.mesh.add({**message, "code": 200})

    async def done() -> bool:
        return await it.mesh.get_status(jid) == 0

    assert await eventually(done)
    counted = (
        f"""select replies from "{database.schema}".activities where aid = 'w' and dad = ',0,0'"""
    )
    assert await database.fetchval(counted) == 3


async def test_callers_may_name_their_requests(begin: Begin, database: Database) -> None:
    """A second call by the same name does nothing and gives what the first gave; other names, topics and jobs are apart."""
    mesh, other = await begin(FLOW, work=_never), await begin(None)
    jid = await mesh.pub("fresh", request_id="a")
    again = [m.pub("fresh", request_id="a") for m in (mesh, other) for _ in range(3)]
    assert set(await asyncio.gather(*again)) == {jid}
    assert await mesh.pub("fresh", request_id="b") != jid
    assert await mesh.pub("named", {"id": "j"}, request_id="a") == "j"
    assert await other.pub("named", {"id": "j"}, request_id="a") == "j"
    with pytest.raises(DuplicateJob):
        await mesh.pub("named", {"id": "j"}, request_id="other")
    both = [m.pub("named", {"id": "k"}, request_id="k") for m in (mesh, other)]
    assert await asyncio.gather(*both) == ["k", "k"]
    signal = {"id": "j", "n": 1}
    first = await mesh.hook("x", signal, code=202, request_id="s")
    assert await other.hook("x", signal, code=202, request_id="s") == first
    counted = f"""select replies from "{database.schema}".activities where aid = 'h'
        and run_id = (select run_id from "{database.schema}".jobs where jid = 'j') and dad = ',0,0'"""
    # either engine may take what is sent next, and a signal that ends the job overtakes no other
    assert await eventually(lambda: database.fetchval(counted)) == 1
    assert await mesh.hook("x", signal, request_id="t") != first

    async def done() -> bool:
        return await mesh.get_status("j") == 0

    assert await eventually(done)
    assert await database.fetchval(counted) == 2
    with pytest.raises(ConfigurationError, match="must be text"):
        await mesh.pub("fresh", request_id=7)  # type: ignore[arg-type]


async def test_what_tells_of_sent_requests_goes(begin: Begin, database: Database) -> None:
    """An hour later nothing is left of a signal; one whose request its sender has named stays as long as dead letters do."""
    mesh = await begin(FLOW, work=_never)
    await mesh.pub("named", {"id": "j"})
    await mesh.hook("x", {"id": "j"}, code=202)
    await mesh.hook("x", {"id": "j"}, request_id="mine")

    async def done() -> bool:
        return await mesh.get_status("j") == 0

    await eventually(done)
    rows = f'select count(*) from "{database.schema}".engine_streams'
    retention = Retention(database)
    await retention.prune(pruning(None, (), streams=True))
    assert await database.fetchval(rows) == 2
    schema, old = f'"{database.schema}"', f"{(new_request().int >> 80) - 3_700_000:012x}{'0' * 20}"
    await database.fetch(
        f"update {schema}.engine_streams set request_id = '{old}'::uuid where request_id <> $1",
        request_named("mine", "hook", "app", "x"),
    )
    await retention.prune(pruning(None, (), streams=True))
    assert await database.fetchval(rows) == 1
    assert await mesh.hook("x", {"id": "j"}, request_id="mine")
    assert await database.fetchval(rows) == 1
