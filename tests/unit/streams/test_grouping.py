"""Groups: whatever becomes of one, everybody in it hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from durable.errors import ConfigurationError, DatabaseError, InternalError, NotDurableError
from durable.postgres.loops import HomeLoop
from durable.replay.loop import ReplayLoop
from durable.replay.steps import Steps
from durable.streams.grouping import Grouped

Send = Callable[[list[int], bool], Awaitable[list[int]]]


def _raising(error: BaseException) -> Send:
    async def send(_items: list[int], *_again: bool) -> list[int]:
        raise error

    return send


async def _short(items: list[int], *_again: bool) -> list[int]:
    return items[1:]


@pytest.mark.parametrize(
    ("send", "expected"),
    [
        (_raising(ValueError("a bug")), ValueError),
        (_raising(KeyError("a bug")), KeyError),
        (_raising(DatabaseError("refused")), DatabaseError),
        (_short, InternalError),
    ],
)
async def test_all_of_a_group_hear_of_any_error(send: Send, expected: type[BaseException]) -> None:
    """Whatever sending raises, and be it a bug, each caller gets it, and the lane goes on."""
    grouped = Grouped(send)
    asked = [grouped.ask(n) for n in range(3)]
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 60)
    assert all(isinstance(answer, expected) for answer in answers)
    with pytest.raises(expected):
        await asyncio.wait_for(grouped.ask(4), 60)


async def test_a_cancelled_lane_settles_its_group_and_leaves_the_rest_to_another() -> None:
    """Who is in a lane that is cancelled is cancelled; who waits behind it is served."""
    began = asyncio.Event()
    sent: list[list[int]] = []

    async def send(items: list[int], *_again: bool) -> list[int]:
        sent.append(items)
        if items == [1]:
            began.set()
            await asyncio.Event().wait()
        return items

    grouped = Grouped(send, lanes=1)
    first = grouped.ask(1)
    await began.wait()
    second = grouped.ask(2)
    (lane,) = [task for task in asyncio.all_tasks() if task.get_name() == "durable group"]
    lane.cancel()
    assert await asyncio.wait_for(second, 60) == 2
    with pytest.raises(asyncio.CancelledError):
        await first
    assert sent == [[1], [2]]


async def test_after_the_close_nobody_waits() -> None:
    """What is in flight is cancelled after the grace, and what is asked later fails at once."""
    grouped = Grouped(_waits_for_ever, lanes=1)
    asked = [grouped.ask(1)]
    await asyncio.sleep(0)  # it is in flight, and the next one waits behind it
    asked.append(grouped.ask(2))
    await grouped.close(grace=0.01)
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 60)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 2
    with pytest.raises(DatabaseError, match="closed"):
        await asyncio.wait_for(grouped.ask(3), 60)


async def _waits_for_ever(items: list[int], *_again: bool) -> list[int]:
    await asyncio.Event().wait()
    return items


async def _echo(items: list[int], *_again: bool) -> list[int]:
    return items


async def test_a_group_belongs_to_the_loop_that_made_it() -> None:
    """On another loop, and in workflow code, it refuses at once, and serves its own loop on."""
    grouped = Grouped(_echo)

    async def elsewhere() -> None:
        grouped.ask(1)

    with pytest.raises(ConfigurationError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, elsewhere())
    workflow = ReplayLoop(Steps(), 1, "run")  # type: ignore[abstract]  # the rest is set by guards
    with workflow.turn(), pytest.raises(NotDurableError, match="in an activity"):
        grouped.ask(2)
    assert await grouped.ask(3) == 3


def test_a_home_that_is_closed_is_named_so() -> None:
    """What was made in an `asyncio.run()` of its own is of no use in the next, and says why."""

    async def made() -> HomeLoop:
        return HomeLoop("the client")

    async def used(home: HomeLoop) -> None:
        home.check("client.start()")

    home = asyncio.run(made())
    with pytest.raises(ConfigurationError, match=r"the client was made on, which is closed by now"):
        asyncio.run(used(home))
