"""Starting, finding and looking at runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

import durable
from durable.client.client import Client
from durable.composition import connect
from durable.worker.worker import Worker
from tests.waiting import eventually

go = durable.Signal("go")


@durable.workflow
async def wait(word: str = "") -> str:
    """Done when told."""
    await go.receive()
    return word


@durable.workflow
async def fail() -> None:
    """Never works."""
    raise ValueError("broken")


@durable.workflow
async def echo(word: str) -> str:
    """Done at once."""
    return word


@dataclass
class Order:
    """What a user hands over."""

    item: str
    copies: int = 1


@durable.workflow
async def order(given: Order, note: str = "none", *more: int) -> str:
    """Arguments of several kinds."""
    return f"{given.copies} × {given.item} ({note}) {sum(more)}"


async def test_an_open_id_is_taken(client: Client) -> None:
    """`if_running`: the default raises and says what to do; "attach" gives the open run."""
    first = await client.start(wait("a"), id="w")
    with pytest.raises(
        durable.WorkflowAlreadyStarted, match=r"'w' is open already.*if_running"
    ) as caught:
        await client.start(wait("b"), id="w")
    assert caught.value.run_id == await first.run_id()
    again = await client.start(wait("b"), id="w", if_running="attach")
    assert await again.run_id() == await first.run_id()
    assert await client.count() == 1


async def test_an_ended_id_is_free_unless_the_policy_says_no(client: Client) -> None:
    """`if_ended`: start another, only after a failure, attach to the ended one, or raise."""
    async with Worker(client, workflows=[echo, fail]):
        assert await client.execute(echo("1"), id="e") == "1"
        assert await client.execute(echo("2"), id="e") == "2"
        attached = await client.start(echo("3"), id="e", if_ended="attach")
        assert await attached.result(timeout=60) == "2"
        for policy in ("raise", "start_if_failed"):
            with pytest.raises(
                durable.WorkflowAlreadyStarted, match=r"'e' has ended already.*if_ended"
            ):
                await client.start(echo("4"), id="e", if_ended=policy)  # type: ignore[arg-type]
        with pytest.raises(durable.WorkflowFailed):
            await client.execute(fail(), id="f")
        retried = await client.start(echo("5"), id="f", if_ended="start_if_failed")
        assert await retried.result(timeout=60) == "5"


async def test_a_thousand_starts_of_one_id_start_one_run(client: Client) -> None:
    """At the same moment, from two clients: one wins, the others attach to it or are told."""
    async with await connect(client.dsn, namespace=client.namespace) as other:
        handles = await asyncio.gather(
            *[c.start(wait("x"), id="one", if_running="attach") for c in [client, other] * 500]
        )
    assert len({await h.run_id() for h in handles}) == 1
    assert await client.count() == 1


async def test_the_loser_of_a_race_for_an_ended_id_sees_the_winner(client: Client) -> None:
    """Two starts of an id whose last run has ended: one new run, and both callers mean that one."""
    async with Worker(client, workflows=[echo, wait]):
        await client.execute(echo("0"), id="e")
        handles = await asyncio.gather(
            *[client.start(wait(str(n)), id="e", if_running="attach") for n in range(50)]
        )
        numbers = {await h.run_id() for h in handles}
        assert len(numbers) == 1
        await handles[0].signal(go)
        assert await handles[-1].result(timeout=60) == "0"


async def test_a_thousand_starts_go_in_a_few_statements(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Starts of one moment are grouped, and each is on disk when its `start` returns."""
    sent: list[str] = []
    fetch = asyncpg.Connection.fetch

    async def counted(self: asyncpg.Connection, query: str, *args: Any, **more: Any) -> Any:
        sent.append(query)
        return await fetch(self, query, *args, **more)

    monkeypatch.setattr(asyncpg.Connection, "fetch", counted)
    handles = await asyncio.gather(*[client.start(echo(str(n))) for n in range(1000)])
    assert 0 < len(sent) < 50
    assert len({h.id for h in handles}) == 1000
    assert await client.count(workflow="echo", state="running") == 1000


async def test_what_nobody_waits_for_is_not_remembered(client: Client) -> None:
    """A client that starts and never asks grows no memory; the results can be had all the same."""
    async with Worker(client, workflows=[echo]):
        handles = await asyncio.gather(*[client.start(echo(str(n))) for n in range(100)])

        async def ended() -> bool:
            return await client.count(state="completed") == 100

        await eventually(ended)
        waiters = client._runs.waiters

        async def forgotten() -> bool:
            return not (waiters._ours or waiters._early or waiters._announced or waiters._futures)

        await eventually(forgotten)
        results = await asyncio.gather(*[h.result(timeout=60) for h in handles])
    assert results == [str(n) for n in range(100)]


async def test_a_result_is_waited_for_no_longer_than_wanted(client: Client) -> None:
    """`result(timeout=…)` raises, the run goes on, and can be awaited again."""
    async with Worker(client, workflows=[wait]):
        handle = await client.start(wait("late"))
        with pytest.raises(durable.ResultTimeout, match="goes on"):
            await handle.result(timeout="50 ms")
        assert await handle.status() == "running"
        await handle.signal(go)
        assert await handle.result(timeout=60) == "late"
        assert await handle.result() == "late"


@pytest.mark.usefixtures("no_net")
async def test_many_wait_for_one_run(client: Client) -> None:
    """The starter, another handle and another client get the result, without waiting for a poll."""
    async with (
        await connect(client.dsn, namespace=client.namespace) as other,
        Worker(client, workflows=[wait]),
    ):
        handle = await client.start(wait("w"), id="w")
        waiting = [
            asyncio.ensure_future(h.result(timeout=60))
            for h in (handle, client.handle("w"), other.handle("w"))
        ]
        await eventually(lambda: _waits(handle))
        await handle.signal(go)
        assert await asyncio.gather(*waiting) == ["w", "w", "w"]
        assert await other.handle("w").result() == "w"


async def _waits(handle: durable.Handle[Any]) -> bool:
    return (await handle.describe()).worker is not None


async def test_a_failure_comes_back_as_what_was_raised(client: Client) -> None:
    """`WorkflowFailed` with the exception as cause, for the starter and for anybody else."""
    async with Worker(client, workflows=[fail]):
        for handle in (await client.start(fail(), id="f"), client.handle("f")):
            with pytest.raises(
                durable.WorkflowFailed, match="'f' failed with ValueError: broken"
            ) as caught:
                await handle.result(timeout=60)
            assert isinstance(caught.value.cause, ValueError)
            assert caught.value.id == "f"
            assert any("fail" in note for note in caught.value.cause.__notes__)


async def test_describe_tells_what_a_run_is_and_does(client: Client) -> None:
    """Name, queue, state, input, open steps, the worker that holds it; then its output."""
    before = datetime.now(UTC)
    handle = await client.start(wait("w"), id="w")
    told = await handle.describe()
    assert (told.id, told.workflow, told.task_queue, told.state) == (
        "w",
        "wait",
        "default",
        "running",
    )
    assert (told.input, told.output, told.worker, told.finished_at) == (
        {"word": "w"},
        None,
        None,
        None,
    )
    assert abs((told.started_at - before).total_seconds()) < 60
    async with Worker(client, workflows=[wait]):
        await eventually(lambda: _waits(handle))
        assert (await handle.describe()).worker == "default"
        await handle.signal(go)
        await handle.result(timeout=60)
    told = await handle.describe()
    assert (told.state, told.output, told.open_steps, told.worker) == ("completed", "w", 0, None)
    assert told.finished_at is not None


async def test_history_is_an_ordered_list_of_facts(client: Client) -> None:
    """Started, what came, finished; with times that never go back."""
    async with Worker(client, workflows=[wait]):
        handle = await client.start(wait("w"))
        await handle.signal(go)
        await handle.result(timeout=60)
    events = await handle.history()
    assert [e.kind for e in events] == ["started", "signal", "finished"]
    assert [e.revision for e in events] == [1, 2, 3]
    assert [e.at for e in events] == sorted(e.at for e in events)
    assert events[0].input == {"word": "w"}
    assert (events[2].name, events[2].data) == ("completed", "w")


async def test_runs_are_listed_and_counted_by_what_they_are(client: Client) -> None:
    """Filters by workflow, state, queue and prefix; pages by run number, the newest first."""
    async with Worker(client, workflows=[echo]):
        for n in range(5):
            await client.execute(echo(str(n)), id=f"done_{n}")
    for n in range(3):
        await client.start(wait(), id=f"open%{n}", task_queue="other")
    assert await client.count() == 8
    assert await client.count(state="completed") == 5
    assert await client.count(workflow="wait", state="running", task_queue="other") == 3
    assert await client.count(id_prefix="open%") == 3
    assert await client.count(id_prefix="open_") == 0
    page = await client.list(limit=4)
    assert [r.id for r in page] == ["open%2", "open%1", "open%0", "done_4"]
    rest = await client.list(before=page[-1].run_id)
    assert [r.id for r in rest] == ["done_3", "done_2", "done_1", "done_0"]
    assert rest[0].state == "completed"


async def test_a_workflow_is_started_by_name(client: Client) -> None:
    """Arguments are given by position as JSON has them; the worker reads them by its signature."""
    async with Worker(client, workflows=[order]):
        handle = await client.start("order", {"item": "lamp", "copies": 2}, "fragile", 1, 2, id="o")
        assert await handle.result(timeout=60) == "2 × lamp (fragile) 3"
        assert (
            await (await client.start("order", {"item": "lamp"})).result(timeout=60)
            == "1 × lamp (none) 0"
        )
        assert await client.execute(order(Order("x"))) == "1 × x (none) 0"


async def test_values_that_postgres_cannot_hold_are_refused_at_once(client: Client) -> None:
    """Neither hangs nor takes others of its group down: the caller is told."""
    started = await asyncio.gather(
        client.start(echo("fine"), id="a"),
        client.start(echo("fine"), id="nul\0"),
        client.start(echo("fine"), id="b"),
        client.start(echo("fine"), priority=1 << 40),
        return_exceptions=True,
    )
    assert [isinstance(s, durable.Handle) for s in started] == [True, False, True, False]
    assert all(isinstance(s, durable.DurableError) for s in (started[1], started[3]))


async def test_a_closed_client_says_so(client: Client) -> None:
    """No hang, no word about broken connections."""
    other = await connect(client.dsn, namespace=client.namespace)
    await other.close()
    with pytest.raises(durable.DatabaseError, match="has been closed"):
        await other.count()


async def test_a_run_of_another_workflow_is_not_attached_to(client: Client) -> None:
    """Whoever asks for one workflow never gets the result of another that has the id."""
    async with Worker(client, workflows=[echo, wait]):
        await client.start(wait("a"), id="taken")
        with pytest.raises(durable.WorkflowAlreadyStarted, match="of the workflow 'wait'") as found:
            await client.start(echo("b"), id="taken", if_running="attach")
        assert found.value.id == "taken"
        await client.execute(echo("1"), id="ended")
        with pytest.raises(durable.WorkflowAlreadyStarted, match="of the workflow 'echo'"):
            await client.start(wait("b"), id="ended", if_ended="attach")
        same = await client.start(echo("2"), id="ended", if_ended="attach")
        assert await same.result(timeout=60) == "1"
        await client.handle("taken").terminate()


async def test_a_description_lists_what_is_open_and_nothing_else(client: Client) -> None:
    """Steps that have settled since the list was written are left out; an ended run has none."""
    async with Worker(client, workflows=[waits_between, ends_at_once], activities=[nothing]):
        for _ in range(4):
            ended = await client.start(ends_at_once())
            await ended.signal(go)
            await ended.result(timeout=60)
            assert (await ended.describe()).pending == ()
        handle = await client.start(waits_between())
        await handle.signal(go)

        async def past_the_timer() -> bool:
            return "timer" in [event.kind for event in await handle.history()]

        await eventually(past_the_timer)
        assert [step["kind"] for step in (await handle.describe()).pending] in ([], ["activity"])
        await handle.signal(go)
        await handle.result(timeout=60)
        assert (await handle.describe()).pending == ()


@durable.activity
async def nothing() -> None:
    """Does nothing."""


@durable.workflow
async def ends_at_once() -> None:
    """Ends with the step that follows a wait."""
    await nothing()
    await go.receive()
    await durable.sleep(0.1)
    await nothing()


@durable.workflow
async def waits_between() -> None:
    """Steps, and waits between them."""
    await nothing()
    await go.receive()
    await durable.sleep(0.1)
    await nothing()
    await go.receive()
