"""User code may raise anything: what raised has ended, by its policy, and nobody else by it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker


class PanicError(BaseException):
    """As extension modules and test tools raise it: no `Exception`."""


RAISED: dict[str, Callable[[], BaseException]] = {
    "BaseException": lambda: PanicError("boom"),
    "SystemExit": lambda: SystemExit(2),
    "KeyboardInterrupt": lambda: KeyboardInterrupt("by itself"),
    "GeneratorExit": lambda: GeneratorExit("closed"),
    "StopIteration": lambda: StopIteration("empty"),
    "StopAsyncIteration": lambda: StopAsyncIteration("empty"),
    "CancelledError": lambda: asyncio.CancelledError("by itself"),
    "a group": lambda: BaseExceptionGroup("group", [PanicError("one"), SystemExit(3)]),
}


def made(kind: str) -> BaseException:
    """A new one."""
    return RAISED[kind]()


TWICE = durable.RetryPolicy(maximum_attempts=2, initial_interval=0)
ONCE = durable.RetryPolicy(maximum_attempts=1)
calls: Counter[str] = Counter()


@durable.activity(retry=TWICE)
async def as_task(kind: str) -> None:
    """Raises in a task of the event loop."""
    calls[f"task {kind}"] += 1
    raise made(kind)


@durable.activity(retry=TWICE)
def on_thread(kind: str) -> None:
    """Raises on a thread."""
    calls[f"thread {kind}"] += 1
    raise made(kind)


@durable.activity
async def slow() -> str:
    """Runs beside."""
    await asyncio.sleep(0.2)
    return "beside"


async def failing(call: durable.Call[None]) -> durable.ActivityFailed:
    """The failure of an activity."""
    with pytest.raises(durable.ActivityFailed) as caught:
        await call
    return caught.value


@durable.workflow
async def once_and_twice(kind: str) -> list[str]:
    """By either policy, on either path."""
    errors = [
        await failing(as_task.options(retry=ONCE)(kind)),
        await failing(on_thread.options(retry=ONCE)(kind)),
        await failing(as_task(kind)),
        await failing(on_thread(kind)),
    ]
    return [f"{e.attempts} {getattr(e.cause, 'type', type(e.cause).__name__)}" for e in errors]


@durable.workflow
async def beside() -> str:
    """Another run of the same process."""
    return await slow()


@pytest.mark.parametrize("kind", list(RAISED))
async def test_an_attempt_that_raised_has_ended(client: Client, kind: str) -> None:
    """Whatever it raises, on the loop or a thread: as many attempts as its policy says."""
    calls.clear()
    async with Worker(
        client, workflows=[once_and_twice, beside], activities=[as_task, on_thread, slow]
    ):
        other = await client.start(beside())
        found = await ended(client, once_and_twice(kind))
        assert await other.result(timeout=60) == "beside"
    name = type(made(kind)).__name__
    inside = "RuntimeError" if name == "StopIteration" else name  # Python's, out of a coroutine
    assert found == [f"1 {inside}", f"1 {name}", f"2 {inside}", f"2 {name}"]
    assert calls == {f"task {kind}": 3, f"thread {kind}": 3}


async def ended(client: Client, call: durable.Call[Any]) -> Any:
    """The result of a run, within 20 seconds."""
    return await (await client.start(call)).result(timeout=60)


@durable.workflow
async def raising(kind: str) -> None:
    """A workflow that raises."""
    raise made(kind)


@durable.workflow
async def raising_in_task(kind: str) -> None:
    """One whose task raises."""

    async def inner() -> None:
        raise made(kind)

    await asyncio.gather(inner(), durable.sleep(0.01))


@durable.workflow
async def raising_in_predicate(kind: str) -> None:
    """One whose predicate raises, at the end of a drain."""
    seen = []

    def predicate() -> bool:
        seen.append(1)
        if len(seen) > 1:
            raise made(kind)
        return False

    await durable.wait_until(predicate, timeout=5)


@durable.workflow
async def catching(kind: str, child: str) -> str:
    """A parent that catches what its child came to."""
    definition = {"main": raising, "task": raising_in_task, "predicate": raising_in_predicate}
    try:
        await definition[child](kind)
    except durable.ChildFailed as error:
        return type(error).__name__
    return "nothing"


@pytest.mark.parametrize("kind", list(RAISED))
async def test_a_workflow_that_raised_has_failed(client: Client, kind: str) -> None:
    """In its own task, another, or a predicate: the run fails, and its parent catches that."""
    workflows = [raising, raising_in_task, raising_in_predicate, catching]
    async with Worker(client, workflows=workflows):
        for child in ("main", "task", "predicate"):
            assert await ended(client, catching(kind, child)) == "ChildFailed"
        handle = await client.start(raising(kind))
        with pytest.raises(durable.WorkflowFailed):
            await handle.result(timeout=60)
        assert await handle.status() == "failed"


@durable.activity(retry=ONCE)
async def cancelled_inside() -> None:
    """Something that it waits for is cancelled, as by a pool that closes."""
    task = asyncio.create_task(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(task.cancel)
    await task


@durable.activity(retry=ONCE)
async def cancels_itself() -> None:
    """Its own task is cancelled by its own code."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(60)


@durable.workflow
async def payments() -> str:
    """A group, which swallows a task that was cancelled, and no failure."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(cancelled_inside())
            group.create_task(cancels_itself())
            group.create_task(slow())
    except ExceptionGroup as failed:
        return f"{len(failed.exceptions)} failed"
    return "all done"


async def test_an_activity_that_is_cancelled_by_itself_has_failed(client: Client) -> None:
    """Nobody asked for the cancellation, so the workflow sees a failure, not one of its own."""
    async with Worker(
        client, workflows=[payments], activities=[cancelled_inside, cancels_itself, slow]
    ):
        assert (await ended(client, payments())) in ("1 failed", "2 failed")


@durable.activity(retry=ONCE, start_to_close_timeout=0.2)
async def swallowing() -> None:
    """Never ends, whatever it is told."""
    while not let_go.is_set():
        try:
            await asyncio.sleep(0.05)
        except BaseException:  # noqa: BLE001, S112
            continue


let_go = threading.Event()


@durable.workflow
async def bounded() -> str:
    """What its timeout comes to."""
    try:
        await swallowing()
    except durable.ActivityTimeout as error:
        return error.kind
    return "nothing"


async def test_a_timeout_applies_to_code_that_swallows_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt ends without its code."""
    monkeypatch.setattr("durable.worker.attempts.UNWIND", 0.2)
    let_go.clear()
    async with Worker(client, workflows=[bounded], activities=[swallowing]):
        assert await ended(client, bounded()) == "start_to_close"
        let_go.set()


LEAVING = """
import asyncio, durable

ONCE = durable.RetryPolicy(maximum_attempts=1)

async def leave(error: str) -> None:
    raise {"exit": SystemExit(7), "interrupt": KeyboardInterrupt()}[error]

@durable.activity(retry=ONCE)
async def task(error: str) -> None:
    await leave(error)

@durable.activity(retry=ONCE)
async def background(error: str) -> None:
    await asyncio.gather(leave(error), asyncio.sleep(0.1))

@durable.activity(retry=ONCE)
def thread(error: str) -> None:
    asyncio.run(leave(error))

@durable.workflow
async def one(name: str, error: str) -> str:
    try:
        if name == "workflow":
            await leave(error)
        await {"task": task, "background": background, "thread": thread}[name](error)
    except durable.ActivityFailed as failed:
        return f"{type(failed.cause).__name__ if failed.cause else ''} {failed}"
    return "nothing"
"""
INTERRUPTED = """
import asyncio, os, pathlib, signal, sys, time, durable

def begun(name):
    with open(f"{name}.log", "a") as log:
        log.write("x")
    return pathlib.Path(f"{name}.log").stat().st_size

def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)

@durable.activity(retry=durable.RetryPolicy(maximum_attempts=3, initial_interval=0))
async def again() -> None:
    if begun("again") == 1:
        press_ctrl_c()

@durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
async def once() -> None:
    begun("once")
    press_ctrl_c()

@durable.workflow
async def one(name: str) -> str:
    if name == "code" and begun("code") == 1:
        press_ctrl_c()
    try:
        await {"again": again, "once": once, "code": again}[name]()
    except durable.ActivityFailed as error:
        return str(error)
    return "nothing"

async def main():
    async with await durable.connect(os.environ["DURABLE_DATABASE_URL"]) as client:
        async with durable.Worker(client, workflows=[one], activities=[again, once]):
            await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.new_event_loop().run_until_complete(main())
"""
Program = Callable[..., "subprocess.Popen[str]"]


async def test_what_code_raises_ends_no_process(
    program: Program, database_url: str, tmp_path: Path
) -> None:
    """`sys.exit` and a `KeyboardInterrupt` of the code's own: the code has failed, wherever.

    So has a task that an activity left to the loop; its process serves on.
    """
    module = tmp_path / "leaving.py"
    module.write_text(LEAVING, encoding="utf-8")
    worker = program("-m", "durable", "worker", module)
    said = {"exit": "sys.exit(7)", "interrupt": "KeyboardInterrupt"}
    async with await durable.connect(database_url) as client:
        for error, words in said.items():
            for name in ("task", "thread", "background"):
                run = await client.start("one", name, error)
                assert words in await run.result(timeout=60), name
            run = await client.start("one", "workflow", error)
            with pytest.raises(durable.WorkflowFailed, match=re.escape(words)):
                await run.result(timeout=60)
        assert worker.poll() is None


async def test_ctrl_c_ends_the_process_and_fails_nothing(
    program: Program, database_url: str, tmp_path: Path
) -> None:
    """In an embedded worker: what may be repeated is given back, what may not is unknown."""
    module = tmp_path / "interrupted.py"
    module.write_text(INTERRUPTED, encoding="utf-8")
    async with await durable.connect(database_url) as client:
        results = []
        for name in ("again", "once", "code"):
            results.append(await client.start("one", name, id=name))
            worker = program(module)
            await asyncio.to_thread(worker.communicate, timeout=100)
            assert worker.returncode not in (None, 0)
            assert (tmp_path / f"{name}.log").read_text() == "x"
        program(module)
        assert await results[0].result(timeout=60) == "nothing"
        assert "unknown" in await results[1].result(timeout=60)
        assert await results[2].result(timeout=60) == "nothing"
        assert (tmp_path / "once.log").read_text() == "x"
