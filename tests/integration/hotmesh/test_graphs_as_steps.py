"""A workflow awaits a graph as a step: its data, its type, its failures, and being given up."""

from __future__ import annotations

import asyncio
import contextlib
import re
from datetime import date
from typing import Any

import asyncpg
import pytest
import yaml
from pydantic import BaseModel

import durable
from durable.cli.run_reports import run_shown
from durable.client.client import Client
from durable.client.deployments import Deployment
from durable.errors import ChildFailed, JobFailed, WorkflowFailed
from durable.postgres.database import Database
from durable.store.graph_jobs import GraphJobStore
from durable.store.interop import InteropStore
from durable.worker.worker import Worker
from tests.faults.test_commit_points import Gate, Point
from tests.integration.hotmesh.conftest import Begin
from tests.waiting import eventually

GRAPHS = """
app:
  id: calc
  version: '1'
  graphs:
    - subscribes: double
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w1:
          type: worker
          topic: work
          retry: {maximumAttempts: 1}
          input: {maps: {n: '{t1.output.data.n}'}}
          job: {maps: {twice: '{$self.output.data.result}', on: '{t1.output.data.on}'}}
      transitions: {t1: [{to: w1}]}
    - subscribes: at.once
      activities:
        t1: {type: trigger, job: {maps: {n: '{$self.output.data.n}'}}}
    - subscribes: typed
      input: {schema: {type: object, required: [n]}, validate: true}
      activities: {t1: {type: trigger}}
    - subscribes: wait
      activities:
        t1: {type: trigger}
        h1: {type: hook, sleep: 1 day}
      transitions: {t1: [{to: h1}]}
"""


class Doubled(BaseModel):
    """What the graph gives."""

    twice: int
    on: date | None = None


@durable.activity
async def work(n: int) -> int:
    """Twice."""
    if n < 0:
        raise ValueError("negative")
    return 2 * n


@durable.workflow
async def typed(n: int) -> Doubled:
    """One graph, with a type."""
    return await durable.graph(
        "double", {"n": n, "on": date(2026, 1, 2)}, app="calc", returns=Doubled
    )


@durable.workflow
async def at_home(n: int) -> Any:
    """A graph of the app that its task queue is."""
    return (await durable.graph("at.once", {"n": n}))["n"]


@durable.workflow
async def many(n: int) -> list[int]:
    """Several at once, and one of them as a task, beside an activity."""
    task = asyncio.create_task(
        durable.graph("at.once", {"n": n}, app="calc", returns=dict[str, int])
    )
    found = await asyncio.gather(
        *(durable.graph("double", {"n": k}, app="calc") for k in range(n)),
        work.options(task_queue="calc")(5),
    )
    return [*(f["twice"] for f in found[:-1]), found[-1], (await task)["n"]]


@durable.workflow
async def asks(topic: str, app: str, data: dict[str, Any]) -> str:
    """What the error of a graph says."""
    try:
        await durable.graph(topic, data, app=app)
    except ChildFailed as error:
        code = error.cause.code if isinstance(error.cause, JobFailed) else None
        return f"{error.name} {code} {error}"
    return "none"


async def test_what_waits_for_an_engine_says_so(
    begin: Begin, client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the description, in what `durable show` prints, and once in the log; then one comes."""
    monkeypatch.setattr("durable.worker.poll.UNSERVED_EVERY", 0.5)
    await (await begin(GRAPHS, app_id="calc")).stop()
    async with Worker(client, workflows=[typed, at_home]):
        handle = await client.start(typed(2))

        async def open_graph() -> dict[str, Any] | None:
            pending = (await handle.describe()).pending
            return pending[0] if pending else None

        step = await eventually(open_graph)
        assert step["waits_for"] == "an engine of app 'calc', of which none runs"
        report = run_shown(await handle.describe(), await handle.history())
        assert "#1 graph double waiting for an engine of app 'calc'" in "\n".join(map(str, report))
        await eventually(lambda: "await graphs of app 'calc'" in caplog.text)
        await begin(None, app_id="calc")
        assert "waits_for" not in ((await open_graph()) or {})
        async with Worker(client, activities=[work], task_queue="calc"):
            assert (await handle.result(timeout=60)).twice == 4
    assert caplog.text.count("await graphs of app 'calc'") == 1


go = durable.Signal("go")


@durable.workflow
async def gives_up() -> str:
    """A graph under a timeout, which ends once it is told so."""
    graph = asyncio.create_task(durable.graph("wait", {}, app="calc"))
    await go.receive()
    try:
        async with asyncio.timeout(0.01):
            await graph
    except TimeoutError:
        await durable.sleep(0.01)
        return "gave up"
    return "none"


@durable.workflow
async def times_out() -> str:
    """A graph under a timeout that leaves it time to begin."""
    try:
        async with asyncio.timeout(3):
            await durable.graph("wait", {}, app="calc")
    except TimeoutError:
        await go.receive()
        return "gave up"
    return "none"


@durable.workflow
async def waits() -> None:
    """A graph that takes long."""
    await durable.graph("wait", {}, app="calc")


WORKFLOWS = [typed, many, asks, gives_up, times_out, waits]


async def test_a_graph_is_a_step(begin: Begin, client: Client) -> None:
    """It gets JSON, and its data come back as the type that was asked for; several run at once."""
    await begin(GRAPHS, app_id="calc")
    async with (
        Worker(client, workflows=WORKFLOWS),
        Worker(client, activities=[work], task_queue="calc"),
    ):
        assert await client.execute(typed(4)) == Doubled(twice=8, on=date(2026, 1, 2))
        handle = await client.start(many(3))
        assert await handle.result(timeout=60) == [0, 2, 4, 10, 3]
        kinds = [event.kind for event in await handle.history() if event.step]
    assert sorted(kinds) == ["activity", "graph", "graph", "graph", "graph"]


@pytest.mark.parametrize(
    ("topic", "app", "data", "said"),
    [
        ("double", "calc", {"n": -1}, "double 500 .*negative"),
        ("none", "calc", {}, "none 404 .*no graph of app 'calc', version 1, subscribes to 'none'"),
        ("typed", "calc", {}, "typed 422 .*'n'"),
        ("double", "idle", {}, "double 404 .*no version of app 'idle' is active: deploy one"),
    ],
)
async def test_a_failure_says_what_it_was(
    begin: Begin, client: Client, topic: str, app: str, data: dict[str, Any], said: str
) -> None:
    """An error of the job, an unknown topic and an app that is not active fail the step."""
    await begin(GRAPHS, app_id="calc")
    await begin(None, app_id="idle")
    async with (
        Worker(client, workflows=WORKFLOWS),
        Worker(client, activities=[work], task_queue="calc"),
    ):
        found = await client.execute(asks(topic, app, data))
    assert re.match(said, found.replace("\n", " ")), found


async def test_a_graph_is_that_of_the_runs_task_queue(begin: Begin, client: Client) -> None:
    """Without `app` it is looked for where the workflow runs; one worker serves both."""
    await begin(GRAPHS, app_id="calc")
    async with Worker(client, workflows=[at_home], activities=[work], task_queue="calc"):
        assert await client.execute(at_home(5), task_queue="calc") == 5


async def test_a_second_job_of_an_id_fails_the_step(begin: Begin, client: Client) -> None:
    """A job id that is taken is a conflict, as it is for whoever else starts the graph."""
    mesh = await begin(GRAPHS, app_id="calc")
    await mesh.pub("double", {"id": "one", "n": 1})
    async with Worker(client, workflows=WORKFLOWS):
        assert "409" in await client.execute(asks("double", "calc", {"id": "one", "n": 2}))


def _of_graphs(found: Deployment, app: str, *, to: bool = True) -> dict[str, Any]:
    """The document with another app for graphs, and with or without the way to them."""
    document: dict[str, Any] = yaml.safe_load(found.document)
    document["app"]["version"] = found.version
    for graph in document["app"]["graphs"]:
        graph["activities"][".graph"]["taskQueue"] = app
        ways = graph["transitions"][graph["subscribes"]]
        ways[:] = [t for t in ways if to or t["to"] != ".graph"]
    return document


async def test_operators_say_in_which_app_graphs_run(begin: Begin, client: Client) -> None:
    """An edited task queue of `.graph` is their app, unless the call has named one."""
    await begin(GRAPHS, app_id="calc")
    await begin(None, app_id="idle")
    async with Worker(client, workflows=[at_home, asks]):
        generated = await client.deployment("default")
        nowhere = await client.deploy(_of_graphs(generated, "nowhere"))
        assert all(change.unserved for change in nowhere.changes)
        found = await client.deploy(_of_graphs(generated, "calc"))
        assert not any(change.unserved for change in found.changes)
        assert await client.execute(at_home(5)) == 5
        assert "'idle'" in await client.execute(asks("at.once", "idle", {}))
        await client.deploy(_of_graphs(generated, "calc", to=False), open_runs=True)
        handle = await client.start(at_home(6))

        async def suspended() -> bool:
            return await handle.status() == "suspended"

        await eventually(suspended)
        failure = (await handle.describe()).failure
        assert failure is not None
        assert "leads to '.graph'" in failure.message
        await client.deploy(_of_graphs(generated, "calc"), open_runs=True)
        assert await client.resume(handle.id)
        assert await handle.result(timeout=60) == 6


async def test_a_graph_that_runs_stays_in_its_app(
    begin: Begin, client: Client, database: Database
) -> None:
    """Another app is for graphs to come: a cold worker interrupts the job where it was begun."""

    @durable.workflow
    async def waits_here() -> None:
        await durable.graph("wait")

    await begin(GRAPHS, app_id="calc")
    await begin(None, app_id="idle")

    async def interrupted() -> bool:
        return await _states(database) == ["interrupted"]

    async def running() -> bool:
        return await _states(database) == ["running"]

    async with Worker(client, workflows=[waits_here]):
        generated = await client.deployment("default")
        await client.deploy(_of_graphs(generated, "calc"))
        handle = await client.start(waits_here())
        await eventually(running)
        await client.deploy(_of_graphs(generated, "idle"), open_runs=True)
    async with Worker(client, workflows=[waits_here]):
        await handle.cancel()
        await eventually(interrupted)


async def _states(database: Database) -> list[str]:
    rows = await database.fetch(f"select state from {database.schema}.jobs where scope <> ''")
    return [row["state"] for row in rows]


async def test_a_graph_that_is_given_up_is_interrupted(
    begin: Begin, client: Client, database: Database
) -> None:
    """A timeout around the step interrupts the job, and the workflow goes on at once."""
    await begin(GRAPHS, app_id="calc")
    async with Worker(client, workflows=WORKFLOWS):
        handle = await client.start(gives_up())

        async def begun() -> bool:
            return await _states(database) == ["running"]

        async def over() -> bool:
            return await _states(database) == ["interrupted"]

        await eventually(begun)
        await handle.signal(go)
        assert await handle.result(timeout=60) == "gave up"
        await eventually(over)


async def test_a_graph_that_was_given_up_before_it_began_never_begins(
    begin: Begin, client: Client, database: Database
) -> None:
    """Without an engine nothing begins; the one that comes finds that nobody waits."""
    async with Worker(client, workflows=WORKFLOWS):
        handle = await client.start(gives_up())
        await handle.signal(go)
        assert await handle.result(timeout=60) == "gave up"
    await begin(GRAPHS, app_id="calc")

    async def empty() -> bool:
        count = f"select count(*) = 0 from {database.schema}.engine_streams"
        return bool(await database.fetchval(count))

    await eventually(empty)
    assert await _states(database) == []


async def test_a_graph_that_is_given_up_while_it_begins_is_interrupted(
    begin: Begin, client: Client, database: Database, direct: asyncpg.Connection
) -> None:
    """One engine is about to commit the job when another applies that nobody waits for it."""
    await begin(GRAPHS, app_id="calc")
    await begin(None, app_id="calc")
    gate = Gate(direct, database.schema)
    point = Point("begins", _nothing, "insert", "jobs", "new.graph = 'wait'")
    await gate.shut(point)
    async with Worker(client, workflows=WORKFLOWS):
        handle = await client.start(times_out())
        await gate.standing()
        kept = (
            f"select xmax::text <> '0' from {database.schema}.engine_streams"
            " where msg_type = 'abandon'"
        )
        try:
            # A machine that is slow may end the transaction first: then it never begins.
            with contextlib.suppress(pytest.fail.Exception):
                await eventually(lambda: database.fetchval(kept), within=8)
        finally:
            await direct.execute("select pg_advisory_unlock_all()")

        async def over() -> bool:
            count = f"select count(*) from {database.schema}.engine_streams"
            gone = await _states(database) in ([], ["interrupted"])
            return gone and not await database.fetchval(count)

        await eventually(over)
        await handle.signal(go)
        assert await handle.result(timeout=60) == "gave up"


async def test_a_graph_that_has_begun_while_its_step_is_given_up_is_interrupted(
    begin: Begin, client: Client, database: Database, direct: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The job is committed between the two looks of the engine that applies the abandonment."""
    await begin(GRAPHS, app_id="calc")
    await begin(None, app_id="calc")
    gate = Gate(direct, database.schema)
    await gate.shut(Point("begins", _nothing, "insert", "jobs", "new.graph = 'wait'"))
    looks: list[str] = []

    def then_begun(store: type, name: str) -> None:
        look = getattr(store, name)

        async def looked(self: Any, connection: Any, request: Any) -> Any:
            found = await look(self, connection, request)
            looks.append(name)
            if len(looks) == 1:
                await direct.execute("select pg_advisory_unlock_all()")
                await eventually(lambda: _states(database))
            return found

        monkeypatch.setattr(store, name, looked)

    async with Worker(client, workflows=WORKFLOWS):
        handle = await client.start(times_out())
        await gate.standing()
        then_begun(GraphJobStore, "requested")
        then_begun(InteropStore, "is_asked")

        async def interrupted() -> bool:
            return await _states(database) == ["interrupted"]

        await eventually(interrupted)
        assert set(looks) == {"requested", "is_asked"}
        await handle.signal(go)
        assert await handle.result(timeout=60) == "gave up"


async def _nothing(_client: Any, _key: str) -> None:
    """The point is begun by the test itself."""


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_the_end_of_the_workflow_interrupts_its_graphs(
    begin: Begin, client: Client, database: Database, how: str
) -> None:
    """A run that is stopped takes the graphs with it that it awaits."""
    await begin(GRAPHS, app_id="calc")
    async with Worker(client, workflows=WORKFLOWS):
        handle = await client.start(waits())

        async def begun() -> bool:
            return await _states(database) == ["running"]

        async def over() -> bool:
            return await _states(database) == ["interrupted"]

        await eventually(begun)
        await (handle.cancel() if how == "cancel" else handle.terminate())
        await eventually(over)


async def test_an_interruption_is_the_step_s_failure(
    begin: Begin, client: Client, database: Database
) -> None:
    """Whoever interrupts the job by its id: the workflow hears of it, with the code 410."""
    mesh = await begin(GRAPHS, app_id="calc")
    async with Worker(client, workflows=WORKFLOWS):
        handle = await client.start(asks("wait", "calc", {}))

        async def begun() -> str | None:
            found: str | None = await database.fetchval(
                f"select jid from {database.schema}.jobs where scope <> ''"
            )
            return found

        await mesh.interrupt("wait", await eventually(begun))
        assert "410" in await handle.result(timeout=60)


async def test_a_graph_that_breaks_its_engine_fails_the_step(
    begin: Begin, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its message is put aside, and the workflow does not wait for what nobody tries again."""

    def broken(*_args: Any, **_given: Any) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("durable.engine.steps.workflow_awaits.Start", broken)
    await begin(GRAPHS, app_id="calc")
    async with Worker(client, workflows=WORKFLOWS):
        assert "500" in await client.execute(asks("double", "calc", {}))


async def test_data_of_another_type_suspend_the_run(begin: Begin, client: Client) -> None:
    """As the result of an activity does: it goes on when the code is right."""

    @durable.workflow(name="typed")
    async def wrong(n: int) -> None:
        await durable.graph("double", {"n": n}, app="calc", returns=list[int])

    await begin(GRAPHS, app_id="calc")
    async with Worker(client, activities=[work], task_queue="calc"):
        async with Worker(client, workflows=[wrong]):
            handle = await client.start(wrong(4), id="w")

            async def suspended() -> bool:
                return await handle.status() == "suspended"

            await eventually(suspended)
            failure = (await handle.describe()).failure
            assert failure is not None
            assert "cannot be read" in failure.message
        async with Worker(client, workflows=[typed]):
            assert (await client.handle("w", typed).result(timeout=60)).twice == 8


async def test_a_cold_worker_goes_on(begin: Begin, client: Client) -> None:
    """Replay does not begin the graph again, and the answer finds whoever holds the run then."""
    await begin(GRAPHS, app_id="calc")
    async with Worker(client, workflows=WORKFLOWS):
        handle = await client.start(typed(21))

        async def written() -> bool:
            return bool((await handle.describe()).pending)

        await eventually(written)
    async with (
        Worker(client, workflows=WORKFLOWS),
        Worker(client, activities=[work], task_queue="calc"),
    ):
        assert (await handle.result(timeout=60)).twice == 42


async def test_outside_of_a_workflow_it_raises() -> None:
    """Nothing would be durable there; the message says what to write instead."""
    with pytest.raises(durable.DurableError, match=r"mesh\.pubsub\('double'"):
        await durable.graph("double", {})


async def test_data_that_are_no_json_fail_the_workflow(client: Client) -> None:
    """NaN is refused where it is given, and says what it is for."""

    @durable.workflow
    async def odd() -> None:
        await durable.graph("double", {"n": float("nan")})

    async with Worker(client, workflows=[odd]):
        with pytest.raises(WorkflowFailed, match="the data for graph 'double'"):
            await client.execute(odd())
