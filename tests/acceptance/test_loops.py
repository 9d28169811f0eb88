"""Clients and handles where they do not belong: in workflows, and on other event loops."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.client.handle import Handle
from durable.replay.context import RunIdentity
from durable.replay.run import Run
from durable.worker.worker import Worker

go = durable.Signal("go")
Uses = Callable[[Client, Handle[Any]], Coroutine[Any, Any, Any]]

USES: dict[str, Uses] = {
    "client.start": lambda client, _: client.start("quick", id="by-mistake"),
    "client.execute": lambda client, _: client.execute(quick(), id="by-mistake"),
    "client.handle": lambda client, _: client.handle("target").status(),
    "client.list": lambda client, _: client.list(),
    "client.count": lambda client, _: client.count(),
    "client.prune": lambda client, _: client.prune(dry_run=True),
    "client.resume": lambda client, _: client.resume("target"),
    "client.close": lambda client, _: client.close(),
    "handle.result": lambda _, handle: handle.result(),
    "handle.status": lambda _, handle: handle.status(),
    "handle.describe": lambda _, handle: handle.describe(),
    "handle.history": lambda _, handle: handle.history(),
    "handle.signal": lambda _, handle: handle.signal(go),
    "handle.cancel": lambda _, handle: handle.cancel(),
    "handle.terminate": lambda _, handle: handle.terminate(),
    "worker": lambda client, _: _serve(client),
}
HELD: dict[str, tuple[Client, Handle[Any]]] = {}


async def _serve(client: Client) -> None:
    Worker(client, workflows=[quick])


@durable.workflow
async def quick() -> str:
    """Ends at once."""
    return "done"


@durable.workflow
async def waits() -> str:
    """Done when told."""
    await go.receive()
    return "done"


@durable.workflow
async def misuses(use: str) -> str:
    """Touches what it must not."""
    try:
        await USES[use](*HELD[durable.info().id])
    except durable.NotDurableError as error:
        return str(error)
    return "it was let through"


async def test_a_client_in_a_workflow_is_refused_and_hurts_nobody(client: Client) -> None:
    """Each method raises at once, says what to use, does nothing, and the client still serves."""
    async with Worker(client, workflows=[quick, waits, misuses]):
        target = await client.start(waits(), id="target")
        for use in USES:
            HELD[use] = (client, target)
            said = await client.execute(misuses(use), id=use)
            assert "in the code of a workflow" in said, (use, said)
            assert "activity" in said or "await" in said, (use, said)
        assert await client.execute(quick(), id="after") == "done"
        assert await target.status() == "running"
        assert await client.count(id_prefix="by-mistake") == 0
        await target.signal(go)
        assert await target.result(timeout=60) == "done"
    HELD.clear()


async def test_a_client_on_another_loop_is_refused_and_serves_its_own(client: Client) -> None:
    """In a thread with a loop of its own each method raises at once, naming the mistake."""
    async with Worker(client, workflows=[quick, waits]):
        target = await client.start(waits(), id="target")

        async def use_it(use: Uses) -> None:
            await asyncio.wait_for(use(client, target), 60)

        for use in USES.values():
            with pytest.raises(durable.ConfigurationError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, use_it(use))
        assert await target.status() == "running"
        assert await client.execute(quick(), id="after") == "done"
        await target.terminate()


EXECUTOR = ThreadPoolExecutor(1)
TOLD: list[BaseException] = []


def _in_a_thread(act: Callable[[], object]) -> None:
    """Do it on a thread, and keep what that was told."""

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - whatever the thread is told
            TOLD.append(error)

    threading.Thread(target=run).start()


async def _wrap_future() -> object:
    return await asyncio.wrap_future(EXECUTOR.submit(int))


async def _executor() -> object:
    return await asyncio.get_running_loop().run_in_executor(EXECUTOR, int)


async def _to_thread() -> object:
    return await asyncio.to_thread(int)


async def _threadsafe() -> object:  # as aiosqlite does
    future = asyncio.get_running_loop().create_future()
    _in_a_thread(lambda: future.get_loop().call_soon_threadsafe(future.set_result, 1))
    return await future


async def _bare_future() -> object:  # as anyio.to_thread does
    future: asyncio.Future[int] = asyncio.Future()

    def report(settled: asyncio.Future[int], result: int) -> None:
        settled.set_result(result)

    _in_a_thread(lambda: future.get_loop().call_soon_threadsafe(report, future, 1))
    return await future


async def _in_a_child_task() -> object:
    return (await asyncio.gather(_threadsafe(), durable.sleep("1 day")))[0]


async def _set_result() -> object:
    future = asyncio.get_running_loop().create_future()
    _in_a_thread(lambda: future.set_result(1))
    return await future


async def _queue() -> object:
    queue: asyncio.Queue[int] = asyncio.Queue()
    _in_a_thread(lambda: _once_somebody_waits(queue))
    return await queue.get()


def _once_somebody_waits(queue: asyncio.Queue[int]) -> None:
    getters: Any = vars(queue)["_getters"]
    while not getters:
        threading.Event().wait(0.001)
    queue.put_nowait(1)


async def _coroutine_threadsafe() -> object:
    loop = asyncio.get_running_loop()

    def submit() -> None:
        coroutine = asyncio.sleep(0)
        asyncio.run_coroutine_threadsafe(coroutine, loop)
        coroutine.close()

    _in_a_thread(submit)
    return await loop.create_future()


async def _swallowed() -> object:
    try:
        await _threadsafe()
    except durable.NotDurableError:
        await durable.sleep("1 day")
    return "went on"


@durable.activity
async def recorded() -> None:
    """A step."""
    RUN.append("recorded")


RUN: list[str] = []


async def _activity_on_a_thread() -> object:
    thread = threading.Thread(target=_run_activity)
    thread.start()
    thread.join()
    return await asyncio.get_running_loop().create_future()


async def _activity_on_a_pool() -> object:
    for future in [EXECUTOR.submit(_run_activity) for _ in range(2)]:
        future.result()
    return await durable.sleep("1 day")


def _run_activity() -> None:
    with contextlib.suppress(durable.NotDurableError):
        asyncio.run(_awaiting())


async def _awaiting() -> None:
    await recorded()


THREADS = {
    "wrap_future": _wrap_future, "run_in_executor": _executor, "to_thread": _to_thread,
    "call_soon_threadsafe": _threadsafe, "a future of its own": _bare_future,
    "in a child task": _in_a_child_task, "set_result": _set_result, "put_nowait": _queue,
    "run_coroutine_threadsafe": _coroutine_threadsafe, "swallowed": _swallowed,
    "an activity on a thread": _activity_on_a_thread, "on a pool": _activity_on_a_pool,
}  # fmt: skip


@durable.workflow
async def hands_over(how: str) -> str:
    """Hands work to a thread, and waits for it."""
    return str(await THREADS[how]())


async def test_a_workflow_that_waits_for_a_thread_is_told_where_it_awaits(client: Client) -> None:
    """Each way fails its run with `NotDurableError` at the await, and hurts nobody else.

    The threads are told nothing, and a run that swallows the error has failed all the same.
    """
    async with Worker(client, workflows=[quick, waits, hands_over]):
        beside = await client.start(waits(), id="beside")
        for how in THREADS:
            handle = await client.start(hands_over(how), id=how)
            with pytest.raises(durable.WorkflowFailed) as found:
                await handle.result(timeout=60)
            assert isinstance(found.value.cause, durable.NotDurableError), how
            assert "in an activity" in str(found.value.cause), how
            assert "hands_over" in "".join(found.value.cause.__notes__), how
            assert [e.kind for e in await handle.history()][-1] == "finished"
        await beside.signal(go)
        assert await beside.result(timeout=60) == "done"
    assert TOLD == RUN == []
    EXECUTOR.submit(asyncio.run, _awaiting()).result()  # a thread serves others as it did before
    assert RUN == ["recorded"]


async def test_a_run_that_a_thread_ended_replays_to_where_it_waited(client: Client) -> None:
    """Its history is no mismatch, although no thread comes at replay."""
    async with Worker(client, workflows=[hands_over]):
        handle = await client.start(hands_over("call_soon_threadsafe"))
        with pytest.raises(durable.WorkflowFailed):
            await handle.result(timeout=60)
    run_id = await handle.run_id()
    facts = (await client.services.histories.facts([run_id]))[run_id]
    again = Run(waits.definition, RunIdentity(run_id, handle.id, "waits"))
    for fact in [replace(facts[0], input="{}"), *facts[1:]]:
        again.apply(fact)
    again.evict()


async def test_a_mesh_on_another_loop_is_refused_and_serves_its_own(
    dsn: str, namespace: str
) -> None:
    """Each call raises at once on another loop, in a workflow too, and the mesh serves on."""

    async def callback(_message: dict[str, Any]) -> dict[str, Any]:
        return {"data": {}}

    mesh = await durable.HotMesh.init(
        app_id="calc",
        namespace=namespace,
        engine={"connection": dsn},
        workers=[{"topic": "op", "callback": callback}],
    )
    async with mesh:
        await mesh.deploy(GRAPH)
        await mesh.activate("1")
        calls: list[Callable[[], Coroutine[Any, Any, Any]]] = [
            lambda: mesh.pub("calculate", {}),
            lambda: mesh.pubsub("calculate", {}),
            lambda: mesh.get_status("x"),
            lambda: mesh.hook("x", {}),
            lambda: mesh.interrupt("calculate", "x"),
            lambda: mesh.deploy(GRAPH),
            mesh.stop,
        ]

        async def use_it(use: Callable[[], Coroutine[Any, Any, Any]]) -> None:
            await asyncio.wait_for(use(), 60)

        for use in calls:
            await mesh.pubsub("calculate", {}, timeout=60)  # so that the short way is open
            with pytest.raises(durable.ConfigurationError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, use_it(use))
        await mesh.pubsub("calculate", {}, timeout=60)


GRAPH = """
app:
  id: calc
  version: '1'
  graphs:
    - subscribes: calculate
      activities:
        t: {type: trigger}
        w: {type: worker, topic: op}
      transitions:
        t: [{to: w}]
"""
