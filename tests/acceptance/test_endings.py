"""Stopping runs: cancelled they may clean up, terminated not; parents and children hear of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker
from tests.waiting import eventually

go = durable.Signal("go")
cleaned: list[str] = []


@durable.activity
async def clean(word: str) -> str:
    """What a cancelled run does last."""
    cleaned.append(word)
    return word


@durable.workflow
async def tidy(word: str) -> str:
    """Cleans up by an activity when it is cancelled, and lets the cancellation through."""
    try:
        await go.receive()
    except asyncio.CancelledError:
        await clean(word)
        raise
    return "not cancelled"


@durable.workflow
async def stubborn() -> str:
    """Catches its cancellation."""
    try:
        await durable.sleep("1 hour")
    except asyncio.CancelledError:
        return await clean("caught")
    return "slept"


@durable.workflow
async def parent_of(child_id: str) -> list[Any]:
    """Awaits a child, and says how that ended."""
    try:
        return ["result", await tidy.options(id=child_id)("child")]
    except durable.ChildFailed as error:
        return [type(error).__name__, type(error.cause).__name__, str(error.cause), error.name]


async def _held(handle: durable.Handle[Any]) -> bool:
    return (await handle.describe()).worker is not None


async def _has_child(client: Client) -> bool:
    return await client.count(workflow="tidy") == 1


async def _state(handle: durable.Handle[Any], state: str) -> bool:
    return await handle.status() == state


async def test_a_cancelled_run_cleans_up_and_ends_as_cancelled(client: Client) -> None:
    """`CancelledError` where it waits; activities of the cleaning up run; the reason is kept."""
    cleaned.clear()
    async with Worker(client, workflows=[tidy], activities=[clean]):
        handle = await client.start(tidy("swept"), id="t")
        await eventually(lambda: _held(handle))
        await handle.cancel("not wanted any more")
        with pytest.raises(durable.WorkflowCancelled, match="not wanted any more"):
            await handle.result(timeout=60)
    assert cleaned == ["swept"]
    assert await handle.status() == "cancelled"
    cancel = next(e for e in await handle.history() if e.kind == "cancel")
    assert cancel.data == "not wanted any more"


async def test_a_cancellation_may_be_caught(client: Client) -> None:
    """Who catches it and returns has completed; asking twice cancels once."""
    cleaned.clear()
    async with Worker(client, workflows=[stubborn], activities=[clean]):
        handle = await client.start(stubborn())
        await eventually(lambda: _held(handle))
        await asyncio.gather(handle.cancel(), handle.cancel())
        assert await handle.result(timeout=60) == "caught"
    assert cleaned == ["caught"]
    await handle.cancel()
    assert await handle.status() == "completed"


async def test_a_run_that_no_worker_has_seen_can_be_cancelled(client: Client) -> None:
    """The cancellation waits in the inbox like anything else."""
    cleaned.clear()
    handle = await client.start(tidy("early"))
    await handle.cancel()
    async with Worker(client, workflows=[tidy], activities=[clean]):
        with pytest.raises(durable.WorkflowCancelled):
            await handle.result(timeout=60)
    assert cleaned == ["early"]


async def test_cancelling_what_never_was_is_an_error(client: Client) -> None:
    """A wrong id does not pass in silence."""
    with pytest.raises(durable.WorkflowNotFound):
        await client.handle("nobody").cancel()


@pytest.mark.usefixtures("no_net")
async def test_a_terminated_run_runs_no_more_of_its_code(client: Client) -> None:
    """It ends at once and cleans nothing up; its activities are told, its worker lets go of it."""
    cleaned.clear()
    began, stopped = asyncio.Event(), asyncio.Event()

    @durable.activity
    async def long() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise

    @durable.workflow
    async def working() -> None:
        try:
            await long()
        finally:
            await clean("never")

    async with Worker(client, workflows=[working], activities=[long, clean]) as worker:
        handle = await client.start(working(), id="w")
        await asyncio.wait_for(began.wait(), 60)
        await handle.terminate("enough")
        with pytest.raises(durable.WorkflowTerminated, match="enough"):
            await handle.result(timeout=60)
        await asyncio.wait_for(stopped.wait(), 60)
        started = worker._started
        assert started is not None

        async def let_go() -> bool:
            return len(started.workflows.runs) == 0

        await eventually(let_go)
    assert cleaned == []
    assert await handle.status() == "terminated"
    await handle.terminate("again")
    assert (await handle.history())[-1].name == "terminated"


async def test_a_childs_result_is_the_parents_value(client: Client) -> None:
    """A child is a run of its own, with an id that tells its parent."""

    @durable.workflow
    async def double(n: int) -> int:
        return 2 * n

    @durable.workflow
    async def family(n: int) -> list[int]:
        return await asyncio.gather(*[double(i) for i in range(n)])

    async with Worker(client, workflows=[family, double]):
        assert await client.execute(family(20), id="f") == [2 * n for n in range(20)]
    children = await client.list(workflow="double")
    assert sorted(c.id for c in children) == sorted(f"f/{n}" for n in range(1, 21))
    first = await client.handle("f/1").describe()
    assert first.parent_run_id == await client.handle("f").run_id()


async def test_a_failed_child_is_a_child_failed_with_its_cause(client: Client) -> None:
    """The parent sees what the child raised, rebuilt."""

    @durable.workflow
    async def broken() -> None:
        raise ValueError("no good")

    @durable.workflow
    async def family() -> list[Any]:
        try:
            await broken()
        except durable.ChildFailed as error:
            return [error.name, type(error.cause).__name__, str(error.cause)]
        return []

    async with Worker(client, workflows=[family, broken]):
        assert await client.execute(family()) == ["broken", "ValueError", "no good"]


async def test_a_childs_id_that_is_taken_is_the_childs_failure(client: Client) -> None:
    """The parent may catch it like any other; the run that has the id is left alone."""
    other = await client.start(tidy("other"), id="taken")
    async with Worker(client, workflows=[parent_of], activities=[clean]):
        kind, cause, message, name = await client.execute(parent_of("taken"))
    assert (kind, cause, name) == ("ChildFailed", "WorkflowAlreadyStarted", "tidy")
    assert "'taken'" in message
    assert await other.status() == "running"


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_a_stopped_child_fails_its_parents_wait_and_does_not_cancel_it(
    client: Client, how: str
) -> None:
    """The parent gets `ChildFailed`, whose cause says how the child ended."""
    cleaned.clear()
    async with Worker(client, workflows=[parent_of, tidy], activities=[clean]):
        handle = await client.start(parent_of("c"))
        await eventually(lambda: _has_child(client))
        child = client.handle("c")
        await eventually(lambda: _held(child))
        await getattr(child, how)("because")
        kind, cause, message, name = await handle.result(timeout=60)
    assert kind == "ChildFailed"
    assert cause == {"cancel": "WorkflowCancelled", "terminate": "WorkflowTerminated"}[how]
    assert "because" in message
    assert name == "tidy"
    assert cleaned == (["child"] if how == "cancel" else [])


@pytest.mark.parametrize("held", [True, False])
async def test_a_child_is_cancelled_when_its_parents_wait_is(client: Client, held: bool) -> None:  # noqa: FBT001
    """Nobody waits for it any more: it hears so, in the commit in which the parent gave it up."""
    cleaned.clear()

    @durable.workflow
    async def impatient() -> str:
        try:
            async with asyncio.timeout(0.1):
                return await tidy.options(id="c", task_queue=None if held else "later")("child")
        except TimeoutError:
            return "given up"

    async with Worker(client, workflows=[impatient, tidy], activities=[clean]):
        assert await client.execute(impatient()) == "given up"
        child = client.handle("c")
        if not held:
            assert await child.status() == "running"
            async with Worker(client, workflows=[tidy], activities=[clean], task_queue="later"):
                await eventually(lambda: _state(child, "cancelled"))
        await eventually(lambda: _state(child, "cancelled"))
    assert cleaned == ["child"]


@pytest.mark.parametrize("how", ["returns", "cancel", "terminate"])
async def test_children_are_cancelled_when_their_parent_ends(client: Client, how: str) -> None:
    """However the parent ends, a child that it still had is asked to stop, and cleans up."""
    cleaned.clear()

    @durable.workflow
    async def ending() -> str:
        task = asyncio.create_task(tidy.options(id="c")("child"))
        await go.receive()
        return f"left {task.done()}"

    async with Worker(client, workflows=[ending, tidy], activities=[clean]):
        handle = await client.start(ending())
        await eventually(lambda: _has_child(client))
        child = client.handle("c")
        await eventually(lambda: _held(child))
        if how == "returns":
            await handle.signal(go)
            assert await handle.result(timeout=60) == "left False"
        else:
            await getattr(handle, how)()
            with pytest.raises(durable.WorkflowEnded):
                await handle.result(timeout=60)
        await eventually(lambda: _state(child, "cancelled"))
    assert cleaned == ["child"]


async def test_a_shielded_child_goes_on_when_the_wait_is_cancelled(client: Client) -> None:
    """`asyncio.shield` means for children what it means for tasks."""

    @durable.workflow
    async def patient() -> str:
        task = asyncio.create_task(tidy.options(id="c")("child"))
        try:
            async with asyncio.timeout(0.05):
                return await asyncio.shield(task)
        except TimeoutError:
            return f"late: {await task}"

    async with Worker(client, workflows=[patient, tidy], activities=[clean]):
        handle = await client.start(patient(), id="p")
        await eventually(lambda: _has_timer(handle))
        await client.handle("c").signal(go)
        assert await handle.result(timeout=60) == "late: not cancelled"


async def _has_timer(handle: durable.Handle[Any]) -> bool:
    return any(e.kind == "timer" for e in await handle.history())
