"""Time as a host sees it: elapsed time rules, and a step of the wall clock is asked about first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from durable.runtime.clocks import ASK_EVERY, LONGEST, MemberClock, SystemClock, Timer
from durable.worker.timers import Timers


class Rings:
    """An alarm of `Hands`."""

    def __init__(self, when: float, call: Callable[[], Any]) -> None:
        self.when = when
        self.call: Callable[[], Any] | None = call

    def cancel(self) -> None:
        self.call = None


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.wall, self.elapsed = 1_000_000.0, 50.0
        self.alarms: list[Rings] = []

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.elapsed

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any) -> Timer:
        alarm = Rings(when, partial(callback, *args))
        self.alarms.append(alarm)
        return alarm

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.elapsed += seconds
        due = [alarm for alarm in self.alarms if alarm.when <= self.elapsed]
        self.alarms = [alarm for alarm in self.alarms if alarm.when > self.elapsed]
        for alarm in due:
            if alarm.call is not None:
                alarm.call()


def test_the_clock_of_these_tests_rings_what_is_due_and_was_not_cancelled() -> None:
    """Once, and not before."""
    hands, rung = Hands(), []
    hands.call_at(60.0, rung.append, "due")
    hands.call_at(60.0, rung.append, "cancelled").cancel()
    hands.passes(9)
    assert rung == []
    hands.passes(1)
    hands.passes(1)
    assert rung == ["due"]


def test_a_step_of_the_wall_clock_moves_nothing() -> None:
    """The database's time goes on by elapsed time alone."""
    hands = Hands()
    clock = MemberClock(hands)
    clock.synchronize(hands.monotonic(), 2_000_000.0)
    hands.passes(10)
    hands.wall += 7200
    assert clock.now() == 2_000_010.0


def test_a_step_is_asked_about_once_a_second_until_the_database_has_answered() -> None:
    """A difference between the two clocks is doubt; the callback is called, now and then."""
    hands, asked = Hands(), []
    clock = MemberClock(hands, lambda: asked.append(hands.elapsed))
    clock.synchronize(hands.monotonic(), 2_000_000.0)
    assert not clock.doubtful()
    hands.wall += 600  # the machine slept, and elapsed time has not counted it
    assert clock.doubtful()
    assert clock.doubtful()
    assert len(asked) == 1
    hands.passes(ASK_EVERY)
    assert clock.doubtful()
    assert len(asked) == 2
    clock.synchronize(hands.monotonic(), 2_000_601.0)
    assert not clock.doubtful()
    assert clock.now() == 2_000_601.0


async def test_no_alarm_rings_while_the_time_is_in_doubt() -> None:
    """What is due waits until the clock has been confirmed, and rings by the confirmed time."""
    doubtful, rung, now = True, asyncio.Event(), 100.0
    alarms = Timers(lambda: now, lambda _due, _item: rung.set(), lambda: doubtful)
    alarms.add(99.0, (1, 1))
    await asyncio.sleep(0.15)
    assert not rung.is_set()
    doubtful = False
    async with asyncio.timeout(60):
        await rung.wait()
    alarms.close()


async def test_far_alarms_are_looked_at_every_half_minute() -> None:
    """The loop's timers do not count a suspension: none is set for longer than that."""
    alarms = Timers(lambda: 0.0, lambda _due, _item: None)
    alarms.add(1e6, (1, 1))
    assert alarms._handle is not None
    assert alarms._handle.when() - asyncio.get_running_loop().time() <= LONGEST
    alarms.close()
    alarm = SystemClock().call_at(1e12, lambda: None)
    assert alarm._handle.when() - asyncio.get_running_loop().time() <= LONGEST  # type: ignore[attr-defined]
    alarm.cancel()


async def test_what_is_due_is_called_by_the_system_clock() -> None:
    """`call_at` calls once the time has come."""
    clock, called = SystemClock(), asyncio.Event()
    clock.call_at(clock.monotonic() + 0.01, called.set)
    async with asyncio.timeout(60):
        await called.wait()
