"""Batches: whatever becomes of one, everybody in it hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from durable.errors import ConfigurationError, DatabaseError, InternalError, NotDurableError
from durable.postgres.errors import AccessRefused, Conflict, StatementFault, StatementTimeout
from durable.postgres.home_loop import HomeLoop
from durable.replay.loop import ReplayLoop
from durable.replay.steps import Steps
from durable.runtime import batching
from durable.runtime.batching import Batch, Batcher, Repeatable

Send = Callable[[Batch[int]], Awaitable[Sequence[int]]]


async def _answers() -> None:
    """A server that is there."""


def batcher(send: Send, limit: float | None = None, **more: Any) -> Batcher[int, int]:
    """A batcher of numbers."""
    return Batcher(Repeatable("a number", send, _answers, limit=limit), limit=limit, **more)


def _raising(error: BaseException) -> Send:
    async def send(_batch: Batch[int]) -> Sequence[int]:
        raise error

    return send


async def _short(batch: Batch[int]) -> Sequence[int]:
    return batch.items[1:]


@pytest.mark.parametrize(
    ("send", "expected"),
    [
        (_raising(ValueError("a bug")), ValueError),
        (_raising(KeyError("a bug")), KeyError),
        (_raising(DatabaseError("refused")), DatabaseError),
        (_short, InternalError),
    ],
)
async def test_all_of_a_batch_hear_of_any_error(send: Send, expected: type[BaseException]) -> None:
    """Whatever sending raises, and be it a bug, each caller gets it, and the lane goes on."""
    batches = batcher(send)
    asked = [batches.submit(n) for n in range(3)]
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 60)
    assert all(isinstance(answer, expected) for answer in answers)
    with pytest.raises(expected):
        await asyncio.wait_for(batches.submit(4), 60)


async def test_a_cancelled_lane_settles_its_batch_and_leaves_the_rest_to_another() -> None:
    """Who is in a lane that is cancelled is cancelled; who waits behind it is served."""
    began = asyncio.Event()
    sent: list[list[int]] = []

    async def send(batch: Batch[int]) -> Sequence[int]:
        sent.append(list(batch.items))
        if batch.items == [1]:
            began.set()
            await asyncio.Event().wait()
        return batch.items

    batches = batcher(send)
    first = batches.submit(1)
    await began.wait()
    second = batches.submit(2)
    (lane,) = [task for task in asyncio.all_tasks() if task.get_name() == "durable batch"]
    lane.cancel()
    assert await asyncio.wait_for(second, 60) == 2
    with pytest.raises(asyncio.CancelledError):
        await first
    assert sent == [[1], [2]]


async def test_after_the_close_nobody_waits() -> None:
    """What is in flight is cancelled after the grace, and what is asked later fails at once."""
    batches = batcher(_waits_for_ever)
    asked = [batches.submit(1)]
    await asyncio.sleep(0)  # it is in flight, and the next one waits behind it
    asked.append(batches.submit(2))
    await batches.close(grace=0.01)
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 60)
    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 2
    with pytest.raises(DatabaseError, match="closed"):
        await asyncio.wait_for(batches.submit(3), 60)


async def _waits_for_ever(batch: Batch[int]) -> Sequence[int]:
    await asyncio.Event().wait()
    return batch.items


async def _echo(batch: Batch[int]) -> Sequence[int]:
    return batch.items


async def _outcomes(futures: Sequence[asyncio.Future[int]]) -> list[Any]:
    return await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 60)


async def test_the_item_at_fault_gets_its_error_alone() -> None:
    """A batch that is refused is halved until one stands alone; the others are sent again."""
    sizes: list[tuple[int, bool]] = []

    async def send(batch: Batch[int]) -> Sequence[int]:
        sizes.append((len(batch.items), batch.again))
        if 5 in batch.items:
            raise StatementFault("five")
        return batch.items

    batches = batcher(send)
    found = await _outcomes([batches.submit(n) for n in range(8)])
    assert isinstance(found.pop(5), StatementFault)
    assert found == [0, 1, 2, 3, 4, 6, 7]
    assert sizes == [(8, False), (4, True), (4, True), (2, True), (1, True), (1, True), (2, True)]


async def test_what_took_too_long_is_sent_in_halves() -> None:
    """A statement that its server ended for its length is not sent again as it was."""
    sizes: list[int] = []

    async def send(batch: Batch[int]) -> Sequence[int]:
        sizes.append(len(batch.items))
        if len(batch.items) > 3:
            raise StatementTimeout("too long")
        return batch.items

    batches = batcher(send)
    assert await _outcomes([batches.submit(n) for n in range(6)]) == list(range(6))
    assert sizes == [6, 3, 3]


async def test_a_batch_that_keeps_failing_lets_the_others_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After three failures each goes by itself, and the one that fails on waits off its lane."""
    monkeypatch.setattr(batching, "OFF_LANE", (0.01, 0.01))
    barred = {3}

    async def send(batch: Batch[int]) -> Sequence[int]:
        if barred.intersection(batch.items):
            raise Conflict("barred")
        return batch.items

    batches = batcher(send)
    asked = [batches.submit(n) for n in range(5)]
    assert await _outcomes(asked[:3] + asked[4:]) == [0, 1, 2, 4]
    assert await asyncio.wait_for(batches.submit(6), 60) == 6
    assert not asked[3].done()
    barred.clear()
    assert await asyncio.wait_for(asked[3], 60) == 3


async def test_a_caller_whose_time_is_up_gets_the_last_error() -> None:
    """What would pass by itself does not keep a caller for ever."""
    batches = batcher(_raising(Conflict("the disk is full")), limit=0.02)
    with pytest.raises(Conflict, match="disk"):
        await asyncio.wait_for(batches.submit(1), 60)


async def test_a_caller_is_refused_at_once_where_only_an_operator_can_help() -> None:
    """A missing right is no passing thing for who waits for the answer, and no item's fault."""
    sizes: list[int] = []

    async def send(batch: Batch[int]) -> Sequence[int]:
        sizes.append(len(batch.items))
        raise AccessRefused("no right")

    batches = batcher(send, limit=60)
    found = await _outcomes([batches.submit(n) for n in range(4)])
    assert [type(error) for error in found] == [AccessRefused] * 4
    assert sizes == [4]


async def test_a_batch_is_as_large_as_one_statement_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """By items or by bytes, whichever comes first."""
    monkeypatch.setattr(batching, "BYTES_MAX", 10)
    sizes: list[list[int]] = []

    async def send(batch: Batch[int]) -> Sequence[int]:
        sizes.append(list(batch.items))
        return batch.items

    batches: Batcher[int, int] = Batcher(
        Repeatable("a number", send, _answers, weigh=lambda n: n), most=3
    )
    await _outcomes([batches.submit(n) for n in (1, 1, 1, 9, 4, 1)])
    assert sizes == [[1, 1, 1], [9, 4], [1]]


async def test_a_batcher_belongs_to_the_loop_that_made_it() -> None:
    """On another loop, and in workflow code, it refuses at once, and serves its own loop on."""
    batches = batcher(_echo)

    async def elsewhere() -> None:
        batches.submit(1)

    with pytest.raises(ConfigurationError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, elsewhere())
    workflow = ReplayLoop(Steps(), 1, "run")  # type: ignore[abstract]  # the rest is set by guards
    with workflow.turn(), pytest.raises(NotDurableError, match="in an activity"):
        batches.submit(2)
    assert await batches.submit(3) == 3


def test_a_home_that_is_closed_is_named_so() -> None:
    """What was made in an `asyncio.run()` of its own is of no use in the next, and says why."""

    async def made() -> HomeLoop:
        return HomeLoop("the client")

    async def used(home: HomeLoop) -> None:
        home.check("client.start()")

    home = asyncio.run(made())
    with pytest.raises(ConfigurationError, match=r"the client was made on, which is closed by now"):
        asyncio.run(used(home))
