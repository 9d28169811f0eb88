"""Signals: none is lost, none is doubled, and their order is kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

import pydantic
import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker
from tests.waiting import eventually

number = durable.Signal("number", int)
word = durable.Signal("word", str)
go = durable.Signal("go")


@durable.workflow
async def collect(count: int) -> list[int]:
    """The first `count` numbers it is told."""
    return [await number.receive() for _ in range(count)]


@durable.workflow
async def collect_until_go() -> list[int]:
    """Numbers until it is told to go on, then what has not been read."""
    found: list[int] = []

    async def read() -> None:
        async for value in number:
            found.append(value)  # noqa: PERF401 - not a comprehension: it never ends

    task = asyncio.create_task(read())
    await go.receive()
    task.cancel()
    return found


@durable.workflow
async def wait_for_go() -> str:
    """Done when told."""
    await go.receive()
    return "gone"


async def test_signals_that_come_before_any_worker_are_received(client: Client) -> None:
    """Early signals wait in the inbox, and come in the order in which they were sent."""
    handle = await client.start(collect(5))
    for value in range(5):
        await handle.signal(number, value)
    async with Worker(client, workflows=[collect]):
        assert await handle.result(timeout=60) == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("no_net")
async def test_signals_reach_a_run_that_waits(client: Client) -> None:
    """A held run hears of each as it comes, without a poll."""
    async with Worker(client, workflows=[collect]):
        handle = await client.start(collect(3))
        await eventually(lambda: _is_held(handle))
        for value in (7, 8, 9):
            await handle.signal(number, value)
        assert await handle.result(timeout=60) == [7, 8, 9]


async def _is_held(handle: durable.Handle[object]) -> bool:
    return (await handle.describe()).worker is not None


async def test_none_of_many_is_lost_or_doubled_and_their_order_is_kept(client: Client) -> None:
    """1,000 signals while the run takes turns: each is folded once, in order of arrival."""
    async with Worker(client, workflows=[collect]):
        handle = await client.start(collect(1000), id="c")
        waiting = []
        for value in range(1000):
            waiting.append(asyncio.ensure_future(handle.signal(number, value)))
            if value % 7 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        received = await handle.result(timeout=60)
    assert sorted(received) == list(range(1000))
    history = await client.handle("c").history()
    assert [e.data for e in history if e.kind == "signal"] == received


async def test_one_sender_who_awaits_each_is_received_in_order(client: Client) -> None:
    """What was on disk before the next was sent comes before it."""
    async with Worker(client, workflows=[collect]):
        handle = await client.start(collect(100))
        for value in range(100):
            await handle.signal(number, value)
        assert await handle.result(timeout=60) == list(range(100))


async def test_kinds_of_signals_do_not_stand_in_each_others_way(client: Client) -> None:
    """A receiver of one name does not take, or wait behind, signals of another."""

    @durable.workflow
    async def both() -> list[object]:
        first = await word.receive()
        return [first, await number.receive()]

    async with Worker(client, workflows=[both]):
        handle = await client.start(both())
        await handle.signal(number, 1)
        await handle.signal(word, "a")
        assert await handle.result(timeout=60) == ["a", 1]


async def test_a_timeout_around_a_wait_loses_nothing(client: Client) -> None:
    """What comes after the timeout is there for the next receiver."""

    @durable.workflow
    async def patient() -> list[int]:
        try:
            async with asyncio.timeout(0.05):
                await number.receive()
        except TimeoutError:
            await go.receive()
        return [await number.receive(), await number.receive()]

    async with Worker(client, workflows=[patient]):
        handle = await client.start(patient(), id="p")
        await eventually(lambda: _has(handle, "timer"))
        await handle.signal(number, 1)
        await handle.signal(number, 2)
        await handle.signal(go)
        assert await handle.result(timeout=60) == [1, 2]


async def _has(handle: durable.Handle[object], kind: str) -> bool:
    return any(event.kind == kind for event in await handle.history())


async def test_a_signal_to_a_run_that_has_ended_is_an_error(client: Client) -> None:
    """The sender is told, and by whom; so is one who signals an id that never was."""
    async with Worker(client, workflows=[wait_for_go]):
        handle = await client.start(wait_for_go(), id="w")
        await handle.signal(go)
        await handle.result(timeout=60)
        with pytest.raises(durable.WorkflowEnded, match="'w' has ended"):
            await handle.signal(go)
        with pytest.raises(durable.WorkflowNotFound, match="nobody"):
            await client.handle("nobody").signal(go)


async def test_unread_signals_stay_visible_in_the_history(client: Client) -> None:
    """What the code never read is a fact of the run all the same."""
    async with Worker(client, workflows=[wait_for_go]):
        handle = await client.start(wait_for_go())
        await handle.signal(word, "never read")
        await eventually(lambda: _has(handle, "signal"))
        await handle.signal(go)
        assert await handle.result(timeout=60) == "gone"
    events = [(e.name, e.data) for e in await handle.history() if e.kind == "signal"]
    assert events == [("word", "never read"), ("go", None)]


async def test_a_payload_of_another_type_is_refused_at_the_sender(client: Client) -> None:
    """Nothing is sent, and the run is not bothered."""
    handle = await client.start(collect(1))
    with pytest.raises(durable.PayloadError, match="signal 'number'"):
        await handle.signal(number, "one")  # type: ignore[arg-type]
    async with Worker(client, workflows=[collect]):
        await handle.signal(number, 1)
        assert await handle.result(timeout=60) == [1]


async def test_async_for_receives_until_it_is_cancelled(client: Client) -> None:
    """A task that reads signals without end is cancelled when the workflow wants to go on."""
    handle = await client.start(collect_until_go())
    for value in (1, 2, 3):
        await handle.signal(number, value)
    await handle.signal(go)
    async with Worker(client, workflows=[collect_until_go]):
        assert await handle.result(timeout=60) == [1, 2, 3]


async def test_a_signal_that_cannot_be_read_is_put_aside_and_the_run_goes_on(
    client: Client,
) -> None:
    """Early or awaited, it is passed over and kept with its reason; a cold replay does the same."""
    handle = await client.start(collect(2), id="c")
    await handle.signal(durable.Signal("number", str), "early")
    async with Worker(client, workflows=[collect]):
        await eventually(lambda: _has_aside(handle, 1))
        await handle.signal(durable.Signal("number", str), "late")
        await handle.signal(number, 7)
        await eventually(lambda: _has_aside(handle, 2))
        assert await handle.status() == "running"
    described = await handle.describe()
    assert [(a.name, a.payload) for a in described.put_aside] == [
        ("number", "early"), ("number", "late"),
    ]  # fmt: skip
    assert all(a.failure and a.failure.type == "PayloadError" for a in described.put_aside)
    async with Worker(client, workflows=[collect]):
        await handle.signal(number, 8)
        assert await handle.result(timeout=60) == [7, 8]
    told = [event for event in await handle.history() if event.kind == "signal"]
    assert [event.failure is not None for event in told] == [True, True, False, False]


def _lucky(value: int) -> int:
    if value == 13:
        raise ConnectionError("nobody answers")
    return value


@durable.workflow(name="collect")
async def collect_lucky(count: int) -> list[int]:
    """The same workflow, with a validator that needs what may not be there."""
    lucky = durable.Signal("number", Annotated[int, pydantic.AfterValidator(_lucky)])
    return [await lucky.receive() for _ in range(count)]


async def test_a_signal_on_which_a_validator_breaks_is_put_aside(client: Client) -> None:
    """Whatever its type's own code raises says that it cannot be read, and fails no run."""
    handle = await client.start(collect_lucky(1), id="c")
    async with Worker(client, workflows=[collect_lucky]):
        await handle.signal(number, 13)
        await eventually(lambda: _has_aside(handle, 1))
        await handle.signal(number, 7)
        assert await handle.result(timeout=60) == [7]
    failure = (await handle.describe()).put_aside[0].failure
    assert failure is not None
    assert "ConnectionError: nobody answers (File" in failure.message


@durable.workflow(name="collect")
async def collect_words(count: int) -> list[str]:
    """The same workflow once it takes text."""
    return [await durable.Signal("number", str).receive() for _ in range(count)]


async def test_a_signal_put_aside_is_delivered_again_once_by_resume(client: Client) -> None:
    """To a run that is held, and to one that is not: by code that can read it, it is received."""
    handle = await client.start(collect(1), id="c")
    async with Worker(client, workflows=[collect]):
        await handle.signal(durable.Signal("number", str), "seven")
        await eventually(lambda: _has_aside(handle, 1))
        assert await client.resume("c")
        await eventually(lambda: _has_received(handle, 2))
        await eventually(lambda: _has_aside(handle, 1))
    assert await client.resume("c")
    assert not await client.resume("c")
    async with Worker(client, workflows=[collect_words]):
        assert await client.handle("c").result(timeout=60) == ["seven"]
    assert (await handle.describe()).put_aside == ()


async def test_a_received_signal_that_the_new_code_cannot_read_suspends(client: Client) -> None:
    """At replay nothing that was received is passed over: the run waits for code that reads it."""
    handle = await client.start(collect(2), id="c")
    async with Worker(client, workflows=[collect]):
        await handle.signal(number, 7)
        await eventually(lambda: _has_received(handle))

    @durable.workflow(name="collect")
    async def other(count: int) -> list[Sized]:
        return [await durable.Signal("number", Sized).receive() for _ in range(count)]

    async with Worker(client, workflows=[other]):
        await handle.signal(number, 8)
        await eventually(lambda: _is(handle, "suspended"))
    async with Worker(client, workflows=[collect]):
        assert await handle.result(timeout=60) == [7, 8]


@dataclass
class Sized:
    """A payload of another shape."""

    size: int


async def _has_aside(handle: durable.Handle[Any], count: int) -> bool:
    return len((await handle.describe()).put_aside) == count


async def _has_received(handle: durable.Handle[Any], count: int = 1) -> bool:
    return [event.kind for event in await handle.history()].count("signal") == count


async def _is(handle: durable.Handle[Any], state: str) -> bool:
    return await handle.status() == state
