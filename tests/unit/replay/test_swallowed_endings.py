"""Code that swallows whatever it is told: its run ends all the same, within bounded steps."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durable.protocol.commands import Finish
from durable.replay.run import Run
from tests.unit.replay.driving import do, identity, started, workflow_of

# ruff: noqa: S112, BLE001 - swallowing everything is what these programs do

WAITS: dict[str, Callable[[], Awaitable[Any]]] = {
    "an activity": lambda: do("slow", 60),
    "a sleep": lambda: asyncio.sleep(60),
    "nothing but a turn": lambda: asyncio.sleep(0),
    "a future": lambda: asyncio.get_running_loop().create_future(),
    "a task": lambda: asyncio.create_task(do("slow", 60)),
}
steps: list[int] = []


async def stubborn(wait: Callable[[], Awaitable[Any]]) -> None:
    """A retry loop by hand."""
    while True:
        steps.append(1)
        assert len(steps) < 100_000, "not bounded"
        try:
            await wait()
        except BaseException:
            continue


async def nested(wait: Callable[[], Awaitable[Any]]) -> None:
    """A loop around a loop, which ends neither."""
    while True:
        try:
            await stubborn(wait)
        except BaseException:
            continue


@pytest.fixture(autouse=True)
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the garbage collector could not raise; `steps` are counted from 0."""
    steps.clear()
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    return seen


@pytest.mark.parametrize("code", [stubborn, nested])
@pytest.mark.parametrize("what", [name for name in WAITS if name != "nothing but a turn"])
def test_an_eviction_ends_code_that_swallows_it(
    what: str, code: Any, unraisable: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """It stops within bounded steps, is never run again, and the log says where it stands."""

    async def program() -> None:
        await code(WAITS[what])

    run = Run(workflow_of(program), identity())
    run.apply(started())
    with caplog.at_level(logging.WARNING, "durable"):
        run.evict()
    taken = len(steps)
    assert taken < 5000
    del run
    gc.collect()
    assert len(steps) == taken
    assert unraisable == []
    assert "swallows the end of its run" in caplog.text
    assert __file__ in caplog.text


@pytest.mark.parametrize("code", [stubborn, nested])
@pytest.mark.parametrize("what", [name for name in WAITS if name != "nothing but a turn"])
def test_a_run_ends_whatever_its_other_tasks_swallow(
    what: str, code: Any, unraisable: list[Any]
) -> None:
    """The main function returned: what a background task does then keeps the run from nothing."""

    async def program() -> str:
        asyncio.create_task(code(WAITS[what]))  # noqa: RUF006 - asyncio's own tests write it so
        await asyncio.sleep(0)
        return "ended"

    run = Run(workflow_of(program), identity())
    commands = run.apply(started())
    assert isinstance(commands[-1], Finish)
    assert run.finished is not None
    assert run.finished.data == '"ended"'
    run.evict()
    taken = len(steps)
    del run
    gc.collect()
    assert len(steps) == taken < 10_000
    assert unraisable == []


def test_a_finally_that_never_ends_is_cut_off() -> None:
    """Cleanup that only yields is bounded, too, at an end and at an eviction."""

    async def cleaning() -> None:
        try:
            await do("slow", 60)
        finally:
            await stubborn(WAITS["nothing but a turn"])

    async def program() -> str:
        asyncio.create_task(cleaning())  # noqa: RUF006 - as above
        await asyncio.sleep(0)
        return "ended"

    run = Run(workflow_of(program), identity(), callbacks_max=10_000)
    run.apply(started())
    assert run.finished is not None
    run.evict()

    run = Run(workflow_of(cleaning), identity(), callbacks_max=10_000)
    run.apply(started())
    run.evict()
    assert run._dead
