"""Runs of functions are jobs of the app that their task queue is: what `HotMesh` tells of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from pydantic import BaseModel

import durable
from durable.client.client import Client
from durable.errors import ConfigurationError, JobNotFound
from durable.hotmesh.mesh import HotMesh
from durable.store.members import MemberStore
from durable.worker.worker import Worker
from tests.waiting import eventually

QUEUE = "orders"

SAME_ID = """
app:
  id: orders
  version: 1
  graphs:
    - subscribes: ask
      activities:
        start: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        wait: {type: hook}
        close: {type: hook, job: {maps: {said: '{wait.hook.data.text}'}}}
      transitions:
        start: [{to: wait}]
        wait: [{to: close}]
      hooks:
        answered:
          - to: wait
            conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}
"""


class Receipt(BaseModel):
    """What a charge gives."""

    amount: int


approval = durable.Signal("approval", str)


@durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
async def charge(amount: int) -> Receipt:
    """Refuses what is negative."""
    if amount < 0:
        raise ValueError("negative")
    return Receipt(amount=amount)


@durable.workflow
async def count(n: int) -> int:
    """One more."""
    return n + 1


@durable.workflow
async def fulfil(amount: int) -> dict[str, Any]:
    """A step, a child, a timer, and a signal."""
    durable.set_attributes(customer="ann", amount=amount)
    receipt = await charge(amount)
    two = await count(1)
    await durable.sleep(0.01)
    return {"paid": receipt.amount, "two": two, "by": await approval.receive()}


@pytest_asyncio.fixture
async def mesh(client: Client) -> AsyncIterator[HotMesh]:
    """The app that the task queue is."""
    async with await HotMesh.init(app_id=QUEUE, engine={"connection": client}) as joined:
        yield joined


@pytest_asyncio.fixture
async def worker(client: Client) -> AsyncIterator[Worker]:
    """Serves the functions."""
    async with Worker(
        client, workflows=[fulfil, count], activities=[charge], task_queue=QUEUE
    ) as serving:
        yield serving


async def waiting(mesh: HotMesh, jid: str) -> None:
    """Return when the run waits for its approval."""

    async def there() -> bool:
        story = await mesh.export(jid)
        return [line["name"] for line in story["activities"]].count(".timer") == 1 and all(
            line["completed_at"] for line in story["activities"] if line["name"] == ".timer"
        )

    await eventually(there)


@pytest.mark.usefixtures("worker")
async def test_a_run_is_seen_while_it_goes_on_and_when_it_has_ended(
    client: Client, mesh: HotMesh
) -> None:
    """Status, state and attributes are those of a job of the workflow's topic."""
    handle = await client.start(fulfil(7), id="order-1", task_queue=QUEUE)
    await waiting(mesh, "order-1")
    assert await mesh.get_status("order-1") == 1
    open_job = await mesh.get_state("fulfil", "order-1")
    assert open_job["data"] == {}
    described = await handle.describe()
    metadata = open_job["metadata"]
    assert (metadata["jid"], metadata["gid"]) == ("order-1", str(described.run_id))
    assert (metadata["tpc"], metadata["app"], metadata["aid"]) == ("fulfil", QUEUE, ".start")
    assert (metadata["vrs"], metadata["js"]) == (described.version, 1)
    assert "err" not in metadata
    assert await mesh.query_state("order-1", ["customer", "amount", "none", ":"]) == {
        "customer": "ann", "amount": "7", "none": None, ":": 1,
    }  # fmt: skip
    await handle.signal(approval, "bob")
    result = await handle.result(timeout=60)
    ended = await mesh.get_state("fulfil", "order-1")
    assert ended["data"] == result == {"paid": 7, "two": 2, "by": "bob"}
    assert (ended["metadata"]["js"], await mesh.get_status("order-1")) == (0, 0)


@pytest.mark.usefixtures("worker")
async def test_a_result_that_is_no_object_stands_under_its_name(
    client: Client, mesh: HotMesh
) -> None:
    """A number is `{"result": …}`."""
    await client.execute(count(1), id="one", task_queue=QUEUE)
    assert (await mesh.get_state("count", "one"))["data"] == {"result": 2}


@pytest.mark.usefixtures("worker")
async def test_what_the_steps_did_is_told_by_dimension(client: Client, mesh: HotMesh) -> None:
    """The function stands at ,0,0 and command n below its answer n; open steps are told too."""
    handle = await client.start(fulfil(7), id="order-1", task_queue=QUEUE)
    await waiting(mesh, "order-1")
    story = await mesh.export("order-1")
    lines = {(line["name"], line["dimension"]): line for line in story["activities"]}
    assert list(lines) == [
        (".start", "0"), ("fulfil", "0/0"), ("charge", "0/1/0"), (".child", "0/2/0"),
        (".timer", "0/3/0"),
    ]  # fmt: skip
    assert lines["fulfil", "0/0"]["completed_at"] is None
    assert lines["fulfil", "0/0"]["input"] == {"amount": 7}
    step = lines["charge", "0/1/0"]
    assert (step["type"], step["code"], step["output"]) == ("worker", 200, {"amount": 7})
    assert lines[".child", "0/2/0"]["output"] == {"result": 2}
    assert story["process"]["0/1/0"]["charge"] == {"output": {"data": {"amount": 7}}}
    assert (story["status"], story["entity"]["attributes"]["customer"]) == ("1", "ann")
    await handle.signal(approval, "bob")
    await handle.result(timeout=60)
    fields = await mesh.get_raw("order-1")
    assert (fields[":"], fields["data/by"], fields["_customer"]) == (0, "bob", "ann")
    assert fields["charge,0,1,0/output/data/amount"] == 7
    assert fields[".signal,0,0,0/hook/data/data"] == "bob"
    assert fields["fulfil,0,0/output/data/two"] == 2


@pytest.mark.usefixtures("worker")
async def test_a_failure_has_a_code_and_says_where_it_happened(
    client: Client, mesh: HotMesh
) -> None:
    """Failed is 500, cancelled 499, terminated 410 with a status less a billion."""
    failing = await client.start(fulfil(-1), id="bad", task_queue=QUEUE)
    with pytest.raises(durable.WorkflowFailed):
        await failing.result(timeout=60)
    error = (await mesh.get_state("fulfil", "bad"))["metadata"]["err"]
    assert (error["code"], error["job_id"]) == (500, "bad")
    assert "negative" in error["stack"]
    lines = {line["name"]: line for line in (await mesh.export("bad"))["activities"]}
    assert (lines["charge"]["code"], lines["fulfil"]["code"]) == (500, 500)

    cancelled = await client.start(fulfil(1), id="stopped", task_queue=QUEUE)
    await waiting(mesh, "stopped")
    await cancelled.cancel("enough")
    with pytest.raises(durable.WorkflowCancelled):
        await cancelled.result(timeout=60)
    job = await mesh.get_state("fulfil", "stopped")
    assert (job["metadata"]["err"]["code"], job["metadata"]["js"]) == (499, 0)

    ended = await client.start(fulfil(1), id="killed", task_queue=QUEUE)
    await waiting(mesh, "killed")
    await ended.terminate("spam")
    job = await mesh.get_state("fulfil", "killed")
    assert (job["metadata"]["err"]["code"], job["metadata"]["err"]["message"]) == (410, "spam")
    assert job["metadata"]["js"] == await mesh.get_status("killed") == 1 - 1_000_000_000


@pytest.mark.usefixtures("worker")
async def test_an_interruption_terminates_a_run(client: Client, mesh: HotMesh) -> None:
    """Its status is less a billion, its error 410 with the reason; the second finds no open run."""
    handle = await client.start(fulfil(1), id="x", task_queue=QUEUE)
    await waiting(mesh, "x")
    with pytest.raises(JobNotFound):
        await mesh.interrupt("count", "x")
    with pytest.raises(ConfigurationError, match=r"'x' is a run of workflow 'fulfil'.*`expire`"):
        await mesh.interrupt("fulfil", "x", expire=5)
    assert await mesh.get_status("x") == 1
    assert await mesh.interrupt("fulfil", "x", reason="spam")
    with pytest.raises(durable.WorkflowTerminated, match="spam"):
        await handle.result(timeout=60)
    job = await mesh.get_state("fulfil", "x")
    assert (job["metadata"]["js"], job["metadata"]["err"]["code"]) == (1 - 1_000_000_000, 410)
    with pytest.raises(JobNotFound, match="completed"):
        await mesh.interrupt("fulfil", "x")
    assert not await mesh.interrupt("fulfil", "x", suppress=True)

    await client.start(fulfil(1), id="y", task_queue=QUEUE)
    assert await mesh.interrupt("fulfil", "y", code=451, stack="here", throw=True)
    error = (await mesh.get_state("fulfil", "y"))["metadata"]["err"]
    assert (error["code"], error["stack"]) == (451, "here")

    await client.start(fulfil(1), id="z", task_queue=QUEUE)
    assert await mesh.interrupt("fulfil", "z", throw=False)
    job = await mesh.get_state("fulfil", "z")
    assert job["data"] == {}
    assert "err" not in job["metadata"]
    assert job["metadata"]["js"] < 0


@durable.workflow
async def parent() -> str:
    """Waits for a child that waits."""
    return str(await fulfil(1))


@pytest.mark.parametrize("descend", [False, True])
async def test_an_interruption_leaves_children_unless_it_descends(
    client: Client, mesh: HotMesh, *, descend: bool
) -> None:
    """A child goes on as if it had been abandoned; with `descend` it is asked to stop."""
    async with Worker(
        client, workflows=[parent, fulfil, count], activities=[charge], task_queue=QUEUE
    ):
        await client.start(parent(), id="p", task_queue=QUEUE)

        async def child() -> str | None:
            return next((run.id for run in await client.list(workflow="fulfil")), None)

        jid = await eventually(child)
        await waiting(mesh, jid)
        await mesh.interrupt("parent", "p", descend=descend)
        handle = client.handle(jid, fulfil)
        if descend:
            with pytest.raises(durable.WorkflowCancelled):
                await handle.result(timeout=60)
        else:
            await handle.signal(approval, "bob")
            assert (await handle.result(timeout=60))["by"] == "bob"


@pytest.mark.usefixtures("worker")
async def test_a_child_names_its_parent(client: Client, mesh: HotMesh) -> None:
    """The metadata of an awaited run have the parent's id, number, activity and dimension."""
    handle = await client.start(fulfil(7), id="order-1", task_queue=QUEUE)
    await waiting(mesh, "order-1")
    (child,) = await client.list(workflow="count")
    metadata = (await mesh.get_state("count", child.id))["metadata"]
    assert metadata["pj"] == "order-1"
    assert metadata["pg"] == str(await handle.run_id())
    assert (metadata["pa"], metadata["pd"]) == (".child", ",0,2,0")


@pytest.mark.usefixtures("worker")
async def test_an_app_has_the_runs_of_its_own_task_queue_only(
    client: Client, mesh: HotMesh
) -> None:
    """Another queue's run is not found, nor one under another topic; nobody has taken it up yet."""
    await client.start(count(1), id="elsewhere", task_queue="other")
    with pytest.raises(JobNotFound):
        await mesh.get_status("elsewhere")
    async with await HotMesh.init(app_id="other", engine={"connection": client}) as other:
        assert await other.get_status("elsewhere") == 1
        story = await other.export("elsewhere")
        assert [line["name"] for line in story["activities"]] == [".start"]
    await client.execute(count(1), id="mine", task_queue=QUEUE)
    with pytest.raises(JobNotFound, match="'count'"):
        await mesh.get_state("fulfil", "mine")


@pytest.mark.usefixtures("worker")
async def test_of_a_graphs_job_and_a_run_the_open_one_counts(client: Client, mesh: HotMesh) -> None:
    """Else the newer; two open ones under an id are an error that names both topics."""
    await mesh.deploy(SAME_ID)
    await mesh.activate("1")
    await client.execute(count(1), id="x", task_queue=QUEUE)
    await mesh.pub("ask", {"id": "x"})
    assert (await mesh.get_state("ask", "x"))["metadata"]["js"] == 1  # open, and the newer
    await client.start(fulfil(1), id="x", task_queue=QUEUE)
    with pytest.raises(ConfigurationError, match=r"two open jobs.*'ask'.*'fulfil'"):
        await mesh.get_status("x")
    await mesh.hook("answered", {"id": "x", "text": "yes"})

    async def alone() -> bool:
        try:
            return (await mesh.get_state("fulfil", "x"))["metadata"]["tpc"] == "fulfil"
        except (ConfigurationError, JobNotFound):
            return False

    await eventually(alone)  # the run is open, the job is not
    await client.handle("x").terminate()
    assert (await mesh.get_state("fulfil", "x"))["metadata"]["js"] < 0  # both ended: the newer


async def test_a_suspended_run_says_why(client: Client, mesh: HotMesh) -> None:
    """What it waits for is told as of a job that has put something aside."""
    flag = {"changed": False}

    @durable.workflow(name="shaky")
    async def shaky() -> str:
        await durable.sleep(0) if flag["changed"] else await charge(1)
        return await approval.receive()

    async with Worker(client, workflows=[shaky], activities=[charge], task_queue=QUEUE):
        await client.start(shaky(), id="s", task_queue=QUEUE)

        async def stepped() -> bool:
            return len((await mesh.export("s"))["activities"]) > 2

        await eventually(stepped)
    flag["changed"] = True
    async with Worker(client, workflows=[shaky], activities=[charge], task_queue=QUEUE):
        await client.handle("s").signal(approval, "go")

        async def suspended() -> Any:
            return (await mesh.get_state("shaky", "s"))["metadata"].get("put_aside")

        aside = await eventually(suspended)
    assert "charge" in aside["message"]
    assert "err" not in (await mesh.get_state("shaky", "s"))["metadata"]


async def test_a_roll_call_lists_workers_of_functions(client: Client, mesh: HotMesh) -> None:
    """With the version that they serve and the runs that they hold, as long as they live."""
    await client.start(count(1), id="waits", task_queue=QUEUE)
    assert [p["stream"] for p in await mesh.roll_call(30)] == [QUEUE]
    async with Worker(client, workflows=[fulfil], activities=[charge], task_queue=QUEUE):
        handle = await client.start(fulfil(1), id="x", task_queue=QUEUE)

        async def holding() -> list[dict[str, Any]]:
            # Two runs wait for a worker that serves them: the first, and the child of the other.
            profiles = await mesh.roll_call(30)
            return [p for p in profiles if (p.get("runs"), p["stream_depth"]) == (1, 2)]

        (profile,) = await eventually(holding)
        assert profile["version"]
        assert (profile["app_id"], profile["stream"], profile["answered"]) == (QUEUE, QUEUE, True)
        await handle.terminate()
    assert len(await mesh.roll_call(30)) == 1


async def test_a_roll_call_knows_a_worker_that_is_stopped(
    mesh: HotMesh, direct: asyncpg.Connection
) -> None:
    """A worker whose process is stopped holds its lock, and its beat becomes overdue."""
    member = await direct.fetchval(
        "insert into members (member_id, name, host, pid, app_id, started_at, beat_at)"
        " values (7, 'w', 'h', 1, $1, now(), now()) returning member_id", QUEUE,
    )  # fmt: skip
    lock = MemberStore(mesh.namespace).lock
    assert await lock(direct, member)
    for beaten, answers in (("1 second", True), ("1 hour", False)):
        await direct.execute(f"update members set beat_at = now() - interval '{beaten}'")
        (profile,) = [p for p in await mesh.roll_call(0) if p["engine_id"] == str(member)]
        assert profile["answered"] is answers
