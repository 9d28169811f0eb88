"""Signals: in order, to whom they are due, and never lost."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from durable.codec.adapters import Adapter
from durable.errors import PayloadError
from durable.protocol.facts import Fact, FactKind
from durable.replay.mailbox import Letter, Mailbox
from durable.replay.run import Run
from tests.unit.replay.driving import (
    BEGIN,
    do,
    here,
    identity,
    live,
    receive,
    signal,
    started,
    workflow_of,
)


def test_a_timeout_around_a_receive_loses_nothing() -> None:
    """The signal that comes after the timeout is still there for the next receiver."""

    async def program() -> Any:
        try:
            async with asyncio.timeout(1):
                await receive("s")
        except TimeoutError:
            return [await receive("s"), await receive("s")]

    assert live(program, script=((2, signal("s", 1)), (3, signal("s", 2)))).result == [1, 2]


def test_a_receiver_cancelled_as_its_signal_came_leaves_it_to_the_next() -> None:
    """Woken and cancelled in one drain: the signal goes to who is next in line."""

    async def program() -> Any:
        first = asyncio.create_task(receive("s"))
        second = asyncio.create_task(receive("s"))
        trigger = asyncio.create_task(receive("t"))
        await trigger
        # Both signals have come; nobody has gone on since `second` was put behind `first`.
        first.cancel()
        done, _ = await asyncio.wait([first, second])
        return [first.cancelled(), second.result() if second in done else None]

    script = ((1, signal("t")), (2, signal("s", "x")))
    assert live(program, script=script).result == [True, "x"]


def test_a_woken_receiver_that_is_cancelled_passes_the_signal_on() -> None:
    """Called and cancelled between two steps of the loop: who is next gets the letter."""

    async def program() -> Any:
        box, loop = Mailbox(), asyncio.get_running_loop()
        one = asyncio.create_task(box.take("s", loop))
        two = asyncio.create_task(box.take("s", loop))
        await asyncio.sleep(0)
        box.put(Letter("s", "x", BEGIN))
        one.cancel()
        await asyncio.wait([one])
        return [one.cancelled(), (await two).data, box.unread()]

    assert live(program).result == [True, "x", []]


def test_receivers_stand_in_line() -> None:
    """First come, first served; a newcomer does not overtake one that was called."""

    async def program() -> Any:
        log: list[Any] = []

        async def listen(name: str) -> None:
            log.append([name, await receive("s")])

        tasks = [asyncio.create_task(listen(n)) for n in ("one", "two", "three")]
        await asyncio.gather(*tasks)
        return log

    script = tuple((n, signal("s", n)) for n in (1, 2, 3))
    assert live(program, script=script).result == [["one", 1], ["two", 2], ["three", 3]]


def test_a_newcomer_gets_the_letter_after_the_one_that_is_promised() -> None:
    """It steps up before the called one goes on, and still comes second."""

    async def program() -> Any:
        box, loop = Mailbox(), asyncio.get_running_loop()
        one = asyncio.create_task(box.take("s", loop))
        await asyncio.sleep(0)
        for data in "xy":
            box.put(Letter("s", data, BEGIN))
        second = await box.take("s", loop)
        return [(await one).data, second.data]

    assert live(program).result == ["x", "y"]


def test_receivers_that_gave_up_do_not_pile_up() -> None:
    """A loop of timeouts that lasts for months holds nothing."""

    async def program() -> Any:
        box, loop = Mailbox(), asyncio.get_running_loop()
        for _ in range(100):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(box.take("s", loop), 1)
        return len(box._lines["s"].receivers)

    assert live(program).result == 0


@pytest.mark.parametrize("letters", [1, 2, 3])
def test_a_newcomer_does_not_overtake_one_that_was_called(letters: int) -> None:
    """Between a receiver's call and its next step, the first letter is promised to it."""

    async def program() -> Any:
        box, loop = Mailbox(), asyncio.get_running_loop()
        one = asyncio.create_task(box.take("s", loop))
        await asyncio.sleep(0)
        for data in "xyz"[:letters]:
            box.put(Letter("s", data, BEGIN))
        late = asyncio.ensure_future(box.take("s", loop))
        first = await one
        box.put(Letter("s", "last", BEGIN))
        return [first.data, (await late).data]

    assert live(program).result == ["x", "last" if letters == 1 else "y"]


def test_unread_signals_stay_visible() -> None:
    """In order of arrival by name, with their payload and their time."""

    async def program() -> Any:
        await do("a", 10)
        return await receive("a")

    story = live(program, script=((1, signal("a", 1)), (2, signal("b", 2)), (3, signal("a", 3))))
    assert story.run is not None
    unread = [(x.name, x.data, x.at - BEGIN) for x in story.run.unread()]
    assert unread == [("a", "3", 3.0), ("b", "2", 2.0)]


def test_a_payload_that_cannot_be_read_raises_at_the_receiver() -> None:
    """It is taken, so that the next one can be read; the history has it."""
    number = Adapter(int, owner="signal 'n'")

    async def program() -> Any:
        try:
            await here().receive("n", number)
        except PayloadError as exc:
            return ["signal 'n'" in str(exc), await here().receive("n", number)]

    script = ((1, signal("n", "no number")), (2, signal("n", 2)))
    assert live(program, script=script).result == [True, 2]


def test_a_signal_without_payload_is_none() -> None:
    """Nothing is written for nothing."""

    async def program() -> Any:
        return await receive("s")

    run = Run(workflow_of(program), identity())
    run.apply(started())
    run.apply(Fact(FactKind.SIGNAL, BEGIN, name="s"))
    assert run.finished is not None
    assert run.finished.data == "null"
