"""The descriptor is what runs: what operators deploy of it holds on a live fleet, at one moment."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml

import durable
from durable.cli.deployments import as_text
from durable.client.client import Client
from durable.client.deployments import Deployment
from tests.waiting import eventually

Program = Callable[..., subprocess.Popen[str]]
Cli = Callable[..., subprocess.CompletedProcess[str]]

QUICK = durable.RetryPolicy(3, initial_interval=0.01, backoff_coefficient=1)
go = durable.Signal("go", str)


@durable.activity(retry=QUICK)
async def charge(order: str) -> str:
    """Fail, so that each attempt leaves a row."""
    raise ValueError(f"declined: {order}")


@durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
async def ponder() -> str:
    """Take as long as it is let."""
    await asyncio.sleep(3_600)
    return "done"


@durable.activity
async def where() -> str:
    """Where it ran is in its row."""
    return "ran"


@durable.workflow
async def fulfil(order: str) -> str:
    """Charge, once it is asked to; how that ended."""
    if order.startswith("late"):
        await durable.sleep(0.01)
        await go.receive()
    try:
        return await charge(order)
    except durable.ActivityFailed as error:
        return type(error).__name__


@durable.workflow
async def think() -> str:
    """Ponder; how that ended."""
    try:
        return await ponder()
    except durable.ActivityTimeout:
        return "timed out"


@durable.workflow
async def locate() -> str:
    """Run the activity whose place is changed."""
    return await where()


@durable.workflow
async def nap() -> str:
    """Wait for nothing."""
    await durable.sleep(0.01)
    return "rested"


WORKFLOWS = [fulfil, think, locate, nap]
ACTIVITIES = [charge, ponder, where]
MODULE = Path(__file__)


def edited(found: Deployment, *path: str | int, **fields: Any) -> dict[str, Any]:
    """The document in force with fields of one part set; None takes one out."""
    document: dict[str, Any] = yaml.safe_load(found.document)
    here: Any = document["app"]
    for step in path:
        here = here[step]
    for field, value in fields.items():
        if value is None:
            del here[field]
        else:
            here[field] = value
    return document


async def attempts(
    direct: asyncpg.Connection, handle: durable.Handle[Any]
) -> list[tuple[int, int, str]]:
    """The failed attempts of a run, as their columns say: number, limit, task queue."""
    rows = await direct.fetch(
        "select retry_attempt, max_retry_attempts, stream_name from worker_streams"
        " where run_id = $1 and msg_type = 'activity' order by retry_attempt",
        await handle.run_id(),
    )
    return [tuple(row) for row in rows]


async def test_a_fleet_of_processes_changes_over_at_one_moment(
    program: Program, cli: Cli, database_url: str, tmp_path: Path
) -> None:
    """Two worker processes follow a deployed retry policy from its commit on; old runs do not."""
    for _ in range(2):
        program("-m", "durable", "worker", MODULE, "--grace", "0s")
    client = await durable.connect(database_url)
    direct = await asyncpg.connect(database_url, server_settings={"search_path": "durable"})

    both = "select count(*) = 2 from members where app_version is not null"
    await eventually(lambda: direct.fetchval(both))
    old = [await client.start(fulfil(f"late {n}")) for n in range(4)]

    async def waiting() -> bool:
        return await direct.fetchval("select count(edit) = 4 from jobs")

    await eventually(waiting)
    retry = {"maximumAttempts": 5, "backoffCoefficient": 1, "initialInterval": 0.01}
    shown = await asyncio.to_thread(cli, "deploy", "--document")
    document = yaml.safe_load(shown.stdout)
    document["app"]["shared"]["activities"]["charge"]["retry"] = retry
    file = tmp_path / "edited.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    done = await asyncio.to_thread(cli, "deploy", file, "--author", "ann")
    assert done.returncode == 0, done.stderr
    assert "shared.charge.retry.maximumAttempts: default (3) → 5" in done.stdout
    assert "ann" in done.stdout

    new = [await client.start(fulfil(str(n))) for n in range(20)]
    for handle in new:
        assert await handle.result(60) == "ActivityFailed"
        assert await attempts(direct, handle) == [(n, 5, "default") for n in range(5)]
    for handle in old:
        await handle.signal(go, "now")
        assert await handle.result(60) == "ActivityFailed"
        assert await attempts(direct, handle) == [(n, 3, "default") for n in range(3)]
    assert sum(b.workers for b in (await client.deployment("default")).builds) == 2
    await direct.close()
    await client.close()


async def test_open_runs_follow_where_that_is_asked(
    client: Client, direct: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """With `open_runs` the next step of a run that is held, or waits, has the new policy."""
    caplog.set_level("INFO", "durable")
    async with durable.Worker(client, workflows=WORKFLOWS, activities=ACTIVITIES):
        held = await client.start(fulfil("late 1"))

        async def waits() -> bool:
            return await direct.fetchval("select count(edit) = 1 from jobs")

        await eventually(waits)
        before = await client.deployment("default")
        document = edited(before, "shared", "activities", "charge", retry={"maximumAttempts": 1})
        after = await client.deploy(document, open_runs=True)
        assert after.number == 1
        await eventually(lambda: "open runs follow deployment 1" in caplog.text)
        await held.signal(go, "now")
        assert await held.result(60) == "ActivityFailed"
        assert await attempts(direct, held) == [(0, 1, "default")]


async def test_a_task_queue_is_changed_in_yaml(client: Client, direct: asyncpg.Connection) -> None:
    """An activity whose task queue was deployed runs on the workers of that queue."""
    mine = durable.Worker(client, workflows=WORKFLOWS, activities=ACTIVITIES)
    theirs = durable.Worker(client, activities=[where], task_queue="gpu")
    async with mine, theirs:
        found = await client.deployment("default")
        await client.deploy(edited(found, "shared", "activities", "where", taskQueue="gpu"))
        handle = await client.start(locate())
        assert await handle.result(60) == "ran"
    pinned = await direct.fetchval("select edit from jobs where run_id = $1", await handle.run_id())
    assert pinned == 1
    shown = await client.deployment("default")
    assert [(c.path, c.value, c.generated) for c in shown.changes] == [
        ("shared.where.taskQueue", "gpu", None)
    ]


async def test_an_activity_on_a_changed_queue_waits_there(
    client: Client, direct: asyncpg.Connection
) -> None:
    """Its row stands in the stream of the queue that the YAML names, whoever serves it here."""
    async with durable.Worker(client, workflows=WORKFLOWS, activities=ACTIVITIES):
        found = await client.deployment("default")
        fields = {"taskQueue": "gpu", "priority": 7}
        await client.deploy(edited(found, "shared", "activities", "where", **fields))
        await client.start(locate())

        async def row() -> Any:
            return await direct.fetchrow(
                "select stream_name, priority from worker_streams where msg_type = 'activity'"
            )

        assert tuple(await eventually(row)) == ("gpu", 7)


async def test_a_timeout_is_changed_in_yaml(client: Client) -> None:
    """A deployed limit of an attempt ends it, where the code knows of none."""
    async with durable.Worker(client, workflows=WORKFLOWS, activities=ACTIVITIES):
        found = await client.deployment("default")
        part = ("shared", "activities", "ponder")
        await client.deploy(edited(found, *part, startToCloseTimeout="100ms"))
        assert await client.execute(think()) == "timed out"


@pytest.mark.parametrize(
    ("part", "place", "workflow", "named"),
    [
        (("shared", "transitions"), "charge", "fulfil", "'charge'"),
        (("graphs", 0, "transitions", "fulfil"), ".activity", None, ""),
        (("graphs", 2, "transitions", "nap"), ".timer", "nap", "'.timer'"),
    ],
)
async def test_a_command_whose_transition_was_taken_out_suspends_its_run(
    client: Client, part: tuple[Any, ...], place: str, workflow: str | None, named: str
) -> None:
    """The run says which command has no way; after `reset_deployment` and `resume` it goes on."""
    async with durable.Worker(client, workflows=WORKFLOWS, activities=ACTIVITIES):
        found = await client.deployment("default")
        document: Any = yaml.safe_load(found.document)
        here = document["app"]
        for step in part:
            here = here[step]
        here[:] = [t for t in here if t["to"] != place]
        await client.deploy(document)
        if workflow is None:
            assert await client.execute(locate()) == "ran"  # a listed activity has its own way
            return
        handle = await client.start(fulfil("1") if workflow == "fulfil" else nap())

        async def suspended() -> Any:
            shown = await handle.describe()
            return shown if shown.state == "suspended" else None

        shown = await eventually(suspended)
        assert named in str(shown.failure)
        assert "no transition of the graph" in str(shown.failure)
        await client.reset_deployment("default", open_runs=True)
        assert await client.resume(handle.id)
        assert await handle.result(60) in ("ActivityFailed", "rested")


async def test_a_call_overrides_what_is_deployed(
    client: Client, direct: asyncpg.Connection
) -> None:
    """What `.options` names lies over the edit; the rest of the edit holds."""

    @durable.workflow
    async def twice() -> None:
        policy = durable.RetryPolicy(2, initial_interval=0.01, backoff_coefficient=1)
        with pytest.raises(durable.ActivityFailed):
            await charge.options(retry=policy)("overridden")

    async with durable.Worker(client, workflows=[twice], activities=[charge]):
        found = await client.deployment("default")
        fields = {"retry": {"maximumAttempts": 9}, "priority": 4}
        await client.deploy(edited(found, "shared", "activities", "charge", **fields))
        handle = await client.start(twice())
        await handle.result(60)
    assert [row[:2] for row in await attempts(direct, handle)] == [(0, 2), (1, 2)]
    assert (
        await direct.fetchval("select min(priority) from worker_streams where topic = 'charge'")
        == 4
    )


async def test_what_is_registered_elsewhere_is_called_as_it_is_declared(
    client: Client, direct: asyncpg.Connection
) -> None:
    """A step of an activity that the workflow's own worker does not register keeps its policy."""

    @durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
    async def once() -> None:
        raise ValueError("once")

    @durable.workflow
    async def asks() -> str:
        try:
            await once()
        except durable.ActivityFailed:
            return "failed"
        return "no"

    mine = durable.Worker(client, workflows=[asks])
    theirs = durable.Worker(client, activities=[once])
    async with mine, theirs:
        handle = await client.start(asks())
        assert await handle.result(60) == "failed"
    assert await attempts(direct, handle) == [(0, 1, "default")]


async def test_an_edit_holds_for_what_another_worker_registers(
    client: Client, direct: asyncpg.Connection
) -> None:
    """The worker of a workflow takes edits of activities that only its neighbour registers."""

    @durable.activity(retry=durable.RetryPolicy(4, initial_interval=0.01, backoff_coefficient=1))
    async def ship() -> None:
        raise ValueError("no ship")

    @durable.workflow
    async def asks() -> str:
        try:
            await ship()
        except durable.ActivityFailed:
            return "failed"
        return "no"

    mine = durable.Worker(client, workflows=[asks])
    async with durable.Worker(client, activities=[ship]):
        found = await client.deployment("default")
        retry = {"maximumAttempts": 2, "initialInterval": 0.02, "backoffCoefficient": 1}
        await client.deploy(edited(found, "shared", "activities", "ship", retry=retry, priority=6))
        async with mine:
            handle = await client.start(asks())
            assert await handle.result(60) == "failed"
    assert [row[:2] for row in await attempts(direct, handle)] == [(0, 2), (1, 2)]
    columns = "initial_interval_seconds, backoff_coefficient, priority"
    row = await direct.fetchrow(f"select {columns} from worker_streams where topic = 'ship'")
    assert [float(value) for value in row] == [0.02, 1, 6]


async def test_a_new_build_keeps_edits_and_says_where_it_differs(
    client: Client, direct: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """An edit of a field that a new build declares otherwise holds, and both values are shown."""
    caplog.set_level("INFO", "durable")
    async with durable.Worker(client, workflows=[fulfil], activities=[charge, where]):
        found = await client.deployment("default")
        charged = {"retry": {"maximumAttempts": 2, "initialInterval": 0.01}}
        document = edited(found, "shared", "activities", "charge", **charged)
        document["app"]["shared"]["activities"]["where"]["priority"] = 5
        await client.deploy(document)

    @durable.activity(name="charge", retry=durable.RetryPolicy(7, initial_interval=0.01))
    async def charge_anew(order: str) -> str:
        raise ValueError(order)

    async with durable.Worker(client, workflows=[fulfil], activities=[charge_anew]):

        async def served() -> Any:
            return [b for b in (await client.deployment("default")).builds if b.contested]

        (build,) = await eventually(served)
        assert build.contested["shared.charge.retry.maximumAttempts"] == 7
        assert build.inert == ("shared.where.priority",)
        handle = await client.start(fulfil("1"))
        assert await handle.result(60) == "ActivityFailed"
    assert [row[:2] for row in await attempts(direct, handle)] == [(0, 2), (1, 2)]
    assert "shared.charge.retry.maximumAttempts is 2 by deployment 1" in caplog.text
    assert "shared.where.priority" in caplog.text


async def test_the_pin_of_a_run_follows_its_code(
    client: Client, direct: asyncpg.Connection
) -> None:
    """A run that another build takes up is pinned to its graph, and the history shows it."""
    async with durable.Worker(client, workflows=[fulfil], activities=[charge]):
        handle = await client.start(fulfil("late 1"))

        first = await eventually(lambda: direct.fetchval("select graph_version from jobs"))
    async with durable.Worker(client, workflows=[fulfil], activities=[charge, where]):
        await handle.signal(go, "now")
        await handle.result(60)
    second = await direct.fetchval("select graph_version from jobs")
    assert second != first
    history = await handle.history()
    assert [e.graph_version for e in history if e.graph_version is not None] == [second]
    stored = await direct.fetch("select version from graph_versions where graph = 'fulfil'")
    assert {r["version"] for r in stored} == {first, second}


async def test_deployments_that_cannot_be_are_refused_whole(client: Client) -> None:
    """Each refusal says where it stands and what to do, and nothing is stored."""
    async with durable.Worker(client, workflows=WORKFLOWS, activities=ACTIVITIES):
        found = await client.deployment("default")
        with pytest.raises(durable.ConfigurationError, match=r"app\.version: 'feed' is no version"):
            await client.deploy(edited(found, version="feed"))
        text = found.document.replace("topic: charge,", "topic: charge, priority: high,")
        with pytest.raises(durable.DescriptorError, match=r"line \d+, app\.shared\.activities"):
            await client.deploy(text)
        text = found.document.replace("subscribes: nap", "subscribes: siesta")
        with pytest.raises(durable.DescriptorError, match=r"'siesta'"):
            await client.deploy(text)
        graphs = [{"subscribes": "t", "activities": {"t1": {"type": "trigger"}}}]
        with pytest.raises(durable.ConfigurationError, match="durable deploy --document"):
            await client.deploy({"app": {"id": "other", "version": "1", "graphs": graphs}})
        with pytest.raises(durable.ConfigurationError, match="there are: none"):
            await client.reset_deployment("default", "shared.charge")
        for author in ("", "a\0b", 3):
            with pytest.raises(durable.ConfigurationError, match="author"):
                await client.deploy(found.document, author=author)  # type: ignore[arg-type]
        with pytest.raises(durable.ConfigurationError, match="is of type bytes"):
            await client.deploy(b"app: {}")  # type: ignore[arg-type]
        with pytest.raises(durable.DescriptorError, match=r"charge\.topic: no activity can have"):
            await client.deploy(edited(found, "shared", "activities", "charge", topic="a b"))
        child = ("graphs", 0, "activities", ".child")
        with pytest.raises(durable.DescriptorError, match=r"\.child\.topic: topic: deployments"):
            await client.deploy(edited(found, *child, topic="nap"))
        other = "{fulfil.output.data.topic}"
        with pytest.raises(durable.DescriptorError, match="it can refer to nothing but"):
            await client.deploy(edited(found, *child, taskQueue=other))
        assert (await client.deployment("default")).number == 0
    with pytest.raises(durable.ConfigurationError, match="no worker has generated"):
        await client.deployment("shpo")


async def test_a_change_that_no_live_worker_serves_is_reported(client: Client) -> None:
    """The report of the deployment says so, and no longer does once a worker serves it."""

    def unserved(found: Deployment) -> list[str]:
        return [change.path for change in found.changes if change.unserved]

    async with durable.Worker(client, workflows=WORKFLOWS, activities=ACTIVITIES):
        document = edited(await client.deployment("default"), "shared", "activities", "where")
        activities = document["app"]["shared"]["activities"]
        activities["where"]["taskQueue"] = "gpu"
        activities["charge"]["topic"] = "where"
        activities["ponder"]["topic"] = "pondr"
        done = await client.deploy(document)
        assert unserved(done) == ["shared.ponder.topic", "shared.where.taskQueue"]
        assert "no live worker serves it: calls wait until one does" in as_text(done)
        async with durable.Worker(client, activities=[where], task_queue="gpu"):

            async def served() -> bool:
                return unserved(await client.deployment("default")) == ["shared.ponder.topic"]

            await eventually(served)


async def test_a_document_that_was_overtaken_is_refused(client: Client) -> None:
    """Of two operators who edit one document, the second is told of the first, by name."""
    async with durable.Worker(client, workflows=WORKFLOWS, activities=ACTIVITIES):
        found = await client.deployment("default")
        part = ("shared", "activities")
        await client.deploy(edited(found, *part, "charge", priority=7), author="ann")
        late = edited(found, *part, "where", priority=8)
        with pytest.raises(durable.ConfigurationError, match="deployment 1 by ann came since"):
            await client.deploy(late, author="bob")
        for wrong in ("x", "", "-1", "1_0", "9" * 6000):
            late["app"]["version"] = f"{found.version}+{wrong}"
            with pytest.raises(durable.DescriptorError, match=r"app\.version: behind the \+"):
                await client.deploy(late, author="bob")
        late["app"]["version"] = found.version
        done = await client.deploy(late, author="bob")
        assert done.taken_back == ("shared.charge.priority",)


async def test_a_document_takes_back_what_its_own_build_has_and_nothing_else(
    client: Client,
) -> None:
    """Where builds with different functions share a task queue, each document is of one."""
    async with (
        durable.Worker(client, workflows=[fulfil], activities=[charge]),
        durable.Worker(client, workflows=[locate, nap], activities=[where]),
    ):
        await eventually(lambda: _builds(client, 2))
        most = await client.deployment("default")
        one, other = sorted(b.version for b in most.builds)
        first = await client.deployment("default", version=one)
        name = "charge" if "charge" in first.document else "where"
        await client.deploy(edited(first, "shared", "activities", name, priority=5))
        second = await client.deployment("default", version=other)
        assert f" {name}:" not in second.document
        done = await client.deploy(second.document, author="bob")
        assert [(c.path, c.author != "bob") for c in done.changes] == [
            (f"shared.{name}.priority", True)
        ]
        assert done.taken_back == ()


async def _builds(client: Client, count: int) -> bool:
    return len((await client.deployment("default")).builds) == count


async def test_one_workflow_leads_a_command_elsewhere(client: Client) -> None:
    """A transition of one graph stands before the shared one, for this workflow alone."""
    async with durable.Worker(client, workflows=WORKFLOWS, activities=ACTIVITIES):
        document: Any = yaml.safe_load((await client.deployment("default")).document)
        graph = next(g for g in document["app"]["graphs"] if g["subscribes"] == "think")
        match = [{"expected": "ponder", "actual": "{$self.output.data.command}"}]
        way = {"to": "where", "conditions": {"code": 202, "match": match}}
        graph["transitions"]["think"].append(way)
        done = await client.deploy(document)
        assert [c.path for c in done.changes] == ["think.ponder.transition"]
        assert await client.execute(think()) == "ran"
        assert (await client.deploy(done.document)).number == 1


async def test_deploying_the_same_twice_is_one_deployment(client: Client) -> None:
    """A second deployment of the document in force changes nothing; a reset by path, only that."""
    async with durable.Worker(client, workflows=WORKFLOWS, activities=ACTIVITIES):
        found = await client.deployment("default")
        document = edited(found, "shared", "activities", "charge", priority=3, taskQueue="gpu")
        assert (await client.deploy(document)).number == 1
        assert (await client.deploy((await client.deployment("default")).document)).number == 1
        left = await client.reset_deployment("default", "shared.charge.priority")
        assert (left.number, [c.path for c in left.changes]) == (2, ["shared.charge.taskQueue"])
        assert (await client.reset_deployment("default")).changes == ()
