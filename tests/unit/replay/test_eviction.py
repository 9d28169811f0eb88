"""Taking a run out of memory: no effect, no trace, nothing kept."""

from __future__ import annotations

import asyncio
import gc
import sys
import warnings
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from durable.errors import InternalError, NotDurableError
from durable.replay.context import current
from durable.replay.run import Run
from durable.replay.tasks import Gone
from tests.unit.replay.driving import (
    SUB,
    WORK,
    do,
    here,
    identity,
    receive,
    started,
    workflow_of,
)


def begun(program: Any) -> Run:
    """A run that waits for the first time."""
    run = Run(workflow_of(program), identity(), callbacks_max=1_000)
    run.apply(started())
    return run


def test_cleanup_code_cannot_issue_commands(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever `finally` tries has no effect; `except Exception` does not get hold of it."""
    tried: list[str] = []

    async def program() -> Any:
        try:
            await do("slow", 60)
        finally:
            for attempt in (lambda: do("undo"), lambda: asyncio.sleep(5), lambda: receive("s")):
                tried.append("one")
                try:
                    await attempt()
                except Exception:  # noqa: BLE001 - as users write it
                    tried.append("wrongly caught")

    run = begun(program)
    run.evict()
    gc.collect()
    assert tried == ["one"]
    assert not run.open
    assert caplog.records == []


def test_a_command_during_eviction_raises_what_except_exception_does_not_catch() -> None:
    """Calls, timers and children alike: nothing is numbered any more."""
    seen: list[BaseException] = []
    numbers: list[int] = []

    async def program() -> Any:
        try:
            await do("slow", 60)
        finally:
            loop = asyncio.get_running_loop()
            for attempt in (
                lambda: here().activity(WORK, ("a",), {}),
                lambda: here().child(SUB, ("a",), {}),
                lambda: loop.call_later(5, str),
            ):
                try:
                    attempt()
                except BaseException as exc:  # noqa: BLE001 - to see what it is
                    seen.append(exc)
            numbers.append(here().info().steps)

    begun(program).evict()
    assert [type(exc) for exc in seen] == [Gone, Gone, Gone]
    assert not any(isinstance(exc, Exception) for exc in seen)
    assert numbers == [1]


def test_logs_are_silent_during_eviction() -> None:
    """Cleanup code sees a run that is replaying, so that its logs stay silent."""
    seen: list[bool] = []

    async def program() -> Any:
        try:
            await do("slow", 60)
        finally:
            seen.append(here().replaying)

    begun(program).evict()
    assert seen == [True]


async def swallows_cancellation() -> Any:
    """Never ends by being cancelled."""
    while True:
        try:
            await receive("never")
        except asyncio.CancelledError:
            continue


async def swallows_anything() -> Any:
    """Not even by the private exception, for a while."""
    for _ in range(50):
        try:
            await do("slow", 60)
        except BaseException:  # noqa: BLE001, S112 - as users write it
            continue


async def waits_again() -> Any:
    """Waits for something else that never comes."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()


async def awaits_in_every_cleanup() -> Any:
    """Ignores being closed, more than once."""
    for _ in range(5):
        try:
            await swallows_cancellation()
        finally:
            await asyncio.Event().wait()


async def ignores_being_closed() -> Any:
    """Takes no hint for a while, in a coroutine of another."""

    async def inner() -> None:
        for _ in range(9):
            try:
                await asyncio.Event().wait()
            except BaseException:  # noqa: BLE001, S112 - as users write it
                continue

    await asyncio.gather(inner(), inner())
    await inner()


async def raises_in_its_cleanup() -> Any:
    """Says something else at its end."""
    try:
        await swallows_cancellation()
    finally:
        raise ValueError("never mind")


async def never_waits_in_its_cleanup() -> Any:
    """Goes round and round."""
    try:
        await do("slow", 60)
    finally:
        while True:  # noqa: ASYNC110 - badly, as users write it
            await asyncio.sleep(0)


async def waits_for_a_group() -> Any:
    """Its children never end by being cancelled."""
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(swallows_cancellation())


async def waits_in_a_generator() -> Any:
    """And cleans up in it."""

    async def steps() -> AsyncIterator[str]:
        try:
            while True:
                yield await do("slow", 60)
        finally:
            await do("undo")

    async for _ in steps():
        pass


STUBBORN = [
    swallows_cancellation, swallows_anything, waits_again, waits_for_a_group,
    waits_in_a_generator, awaits_in_every_cleanup, ignores_being_closed, raises_in_its_cleanup,
    never_waits_in_its_cleanup,
]  # fmt: skip


@pytest.mark.parametrize("program", STUBBORN)
def test_code_that_swallows_its_end_is_put_down(
    program: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Code that catches what it is told ends all the same, without warnings."""
    run = begun(program)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.evict()
        del run
        gc.collect()
    assert caplog.records == []


def test_nothing_of_an_evicted_run_stays_in_memory() -> None:
    """Without a round of garbage collection: no cycle holds what the user's frames held."""

    class Thing:
        pass

    held: list[weakref.ref[Thing]] = []

    async def program() -> Any:
        thing = Thing()
        held.append(weakref.ref(thing))
        async with asyncio.timeout(5):
            await asyncio.gather(do("slow", 60), receive("s"))
        return thing

    gc.collect()
    gc.disable()
    try:
        begun(program).evict()
        assert held[0]() is None
    finally:
        gc.enable()


def test_what_swallows_its_end_is_not_left_to_the_garbage_collector() -> None:
    """Its frames are unwound at once, in the run's own turn."""
    unwound: list[str] = []

    async def program() -> Any:
        try:
            await swallows_cancellation()
        finally:
            unwound.append("now")

    gc.disable()
    try:
        run = begun(program)
        run.evict()
        assert unwound == ["now"]
    finally:
        gc.enable()


def test_an_evicted_run_takes_no_facts_and_can_be_evicted_again() -> None:
    """It is only good for throwing away."""

    async def program() -> Any:
        await do("slow", 60)

    run = begun(program)
    run.evict()
    run.evict()
    with pytest.raises(InternalError, match="evicted"):
        run.apply(started())


def test_a_run_that_never_began_can_be_evicted() -> None:
    """There is nothing to take down."""

    async def program() -> Any:
        return 1

    Run(workflow_of(program), identity()).evict()


def test_a_future_that_escaped_cannot_move_the_run_from_outside() -> None:
    """Other code that settles a future of a run is told to send a signal."""
    escaped: list[asyncio.Future[None]] = []

    async def program() -> Any:
        escaped.append(asyncio.get_running_loop().create_future())
        await escaped[0]

    run = begun(program)
    with pytest.raises(NotDurableError, match="send it a signal"):
        escaped[0].set_result(None)
    run.evict()


def test_the_place_of_the_running_loop_is_given_back() -> None:
    """Feeding and evicting inside a running loop leaves that loop, its task and its hooks alone."""

    async def program() -> Any:
        async def numbers() -> AsyncIterator[int]:
            yield 1

        async for _ in numbers():
            await do("a", 60)

    async def host() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        hooks = sys.get_asyncgen_hooks()
        run = begun(program)
        assert sys.get_asyncgen_hooks() == hooks
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task() is task
        assert current() is None
        await asyncio.sleep(0)
        run.evict()
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task() is task
        await loop.shutdown_asyncgens()

    asyncio.run(host())
