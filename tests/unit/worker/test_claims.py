"""Who of many workers looks when a queue holds something new."""

from __future__ import annotations

import asyncio

import pytest

from durable.runtime.notifications import queue_news
from durable.worker.claims import (
    BEHIND,
    MOMENT,
    TURNS,
    WAITING,
    Rank,
    WakeEvent,
    claim_delay,
)


def _looks(payload: str, of: int) -> list[float | None]:
    news = queue_news(payload)
    assert news is not None
    return [claim_delay(Rank(rank, of), news) for rank in range(of)]


@pytest.mark.parametrize("number", [0, 1, 7, 1000])
@pytest.mark.parametrize(
    ("kind", "amount", "at_once"),
    [("activity", 1, 1), ("activity", 5, 5), ("turn", 1, 1), ("turn", TURNS - 1, 1),
     ("turn", TURNS, 2), ("turn", 3 * TURNS, 4)],
)  # fmt: skip
def test_as_many_look_as_there_is_work_for(
    kind: str, amount: int, at_once: int, number: int
) -> None:
    """Of twenty, so many at once, three a moment later, and nobody else; the head moves on."""
    looks = _looks(f"{kind} {amount} {number}", 20)
    assert looks.count(0.0) == at_once
    assert looks.count(MOMENT) == BEHIND
    assert looks.count(None) == 20 - at_once - BEHIND
    assert looks[number % 20] == 0.0


def test_each_worker_comes_first_in_turn() -> None:
    """Twenty notifications in a row are taken by twenty workers."""
    firsts = {_looks(f"turn 1 {number}", 20).index(0.0) for number in range(20)}
    assert firsts == set(range(20))


@pytest.mark.parametrize("payload", ["turn", "activity", ""])
def test_everybody_looks_when_it_is_for_everybody(payload: str) -> None:
    """What the sweep says, and what was said without an amount, is for all."""
    assert _looks(payload, 5) == [0.0] * 5


def test_one_worker_always_looks() -> None:
    """Alone there is nobody to leave it to, whatever is said."""
    assert _looks("turn 1 123", 1) == [0.0]
    assert _looks("activity 9 4", 3) == [0.0] * 3


async def test_a_bell_rung_at_once_has_everything_claimed() -> None:
    """What is due this very moment is taken; a ring at once outdoes one that was to come later."""
    event = WakeEvent()
    event.set_later(60)
    event.set()
    await event.wait()
    assert event.drain() == 0.0


async def test_a_bell_rung_later_leaves_what_is_new() -> None:
    """Who looks a moment later takes only what has been waiting; after a ring at once, again."""
    event = WakeEvent()
    for _ in range(2):
        event.set_later(0.001)
        await event.wait()
        assert event.drain() == WAITING
        event.set()
        await event.wait()
        assert event.drain() == 0.0


async def test_a_bell_rung_later_twice_rings_twice() -> None:
    """What the second ring was for may be new at the first: it is looked for once more."""
    event = WakeEvent()
    for _ in range(3):
        event.set_later(0.001)
    await event.wait()
    event.drain()
    await event.wait()
    assert event.drain() == WAITING
    event.set_later(60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await event.wait()
