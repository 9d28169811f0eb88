"""Calls outside of workflows: they run, refuse, warn, and can be used once."""

import asyncio
import collections.abc
import gc
import threading
import warnings

import pytest

from durable.authoring.activity import activity
from durable.authoring.workflow import workflow
from durable.errors import DurableError, PayloadError


@activity
async def charge(order: str, *, times: int = 1) -> str:
    await asyncio.sleep(0)
    return order * times


@activity
def thread_name(prefix: str) -> str:
    return prefix + threading.current_thread().name


@activity
async def failing() -> None:
    raise ValueError("no")


@workflow
async def fulfil(order: str) -> str:
    return order


def test_awaiting_an_activity_runs_it():
    """Outside of a workflow an async activity runs where it is awaited, a plain one on a thread."""

    async def main() -> None:
        assert await charge("o", times=2) == "oo"
        assert (await thread_name("on ")).startswith("on asyncio_")
        with pytest.raises(ValueError, match="no"):
            await failing()

    asyncio.run(main())


def test_asyncio_takes_calls_everywhere():
    """A call is a coroutine for gather, tasks, groups, wait_for, as_completed, shield and run."""

    async def main() -> None:
        call = charge("a")
        assert isinstance(call, collections.abc.Coroutine)
        assert asyncio.iscoroutine(call)
        assert await asyncio.gather(call, charge("b")) == ["a", "b"]
        assert await asyncio.create_task(charge("c")) == "c"
        async with asyncio.TaskGroup() as group:
            task = group.create_task(charge("d"))
        assert task.result() == "d"
        assert await asyncio.wait_for(charge("e"), 5) == "e"
        assert await asyncio.shield(charge("f")) == "f"
        done = [await one for one in asyncio.as_completed([charge("g"), charge("h")])]
        assert sorted(done) == ["g", "h"]
        assert "charge" in repr(asyncio.ensure_future(charge("i")))
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(main())
    assert asyncio.run(charge("j")) == "j"


def test_arguments_are_checked_outside_too():
    """A unit test finds a value that could not be recorded."""
    with pytest.raises(PayloadError, match="times"):
        asyncio.run(charge("o", times=1.5))  # type: ignore[arg-type]


def test_wrong_arguments_are_refused_at_the_call():
    """What Python would refuse is a TypeError where the call is written, and nothing warns."""
    with pytest.raises(TypeError, match=r"charge\(\): missing a required argument: 'order'"):
        charge()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="too many"):
        fulfil("a", "b")  # type: ignore[call-arg]


def test_awaiting_a_workflow_outside():
    """A workflow awaited outside of any names the way to start it."""
    with pytest.raises(DurableError, match=r"fulfil.*test_calls\.py:\d+.*client\.start\(fulfil"):
        asyncio.run(fulfil("o"))


def test_a_call_is_used_once():
    """A second await, send or take is refused, with the place where the call was made."""

    async def main() -> None:
        call = charge("o")
        await call
        with pytest.raises(DurableError, match=r"test_calls\.py:\d+ has been used before"):
            await call
        with pytest.raises(DurableError, match="used before"):
            await asyncio.create_task(call)
        with pytest.raises(DurableError, match="used before"):
            call.take()

    asyncio.run(main())


def test_a_call_that_was_never_awaited_warns():
    """Like a coroutine, with the line of the call; its repr tells as much."""
    with pytest.warns(
        RuntimeWarning, match=r"^activity call charge\(…\) was never awaited$"
    ) as caught:
        charge("o")  # nobody holds it: it is gone at once
    assert caught[0].filename == __file__


def test_used_calls_do_not_warn():
    """Awaited, taken for a start, closed, or thrown into: no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(charge("o"))
        assert fulfil("o").take().args == ("o",)
        charge("o").close()
        with pytest.raises(KeyError):
            charge("o").throw(KeyError("thrown"))

        async def cancelled_before_it_began() -> None:
            task = asyncio.create_task(charge("o"))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancelled_before_it_began())
        gc.collect()


def test_cancelling_reaches_the_function():
    """Cancelling a task of a call cancels the function within."""
    seen: list[str] = []

    @activity
    async def patient() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main() -> None:
        task = asyncio.create_task(patient())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert seen == ["cancelled"]


def test_what_a_call_shows():
    """Definition, arguments, options, id and place are there for `client.start`."""
    call = fulfil.options(id="f-1", priority=2)("o").take()
    assert call.definition.name == call.name == "fulfil"
    assert (call.args, call.kwargs) == (("o",), {})
    assert call.options.priority == 2  # type: ignore[attr-defined]
    assert call.id == "f-1"  # type: ignore[attr-defined]
    assert call.site.startswith(__file__)
    assert repr(call) == f"<workflow call fulfil(…) made at {call.site}>"
