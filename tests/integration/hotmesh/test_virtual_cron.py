"""Schedules of virtual functions: which ticks there are, in how many processes ever."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from durable.hotmesh.virtual.context import Tick, VirtualContext
from durable.hotmesh.virtual.virtual import Virtual
from durable.postgres.database import Database
from tests.waiting import eventually

Join = Callable[..., Awaitable[Virtual]]
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
LEAD = 5 * SECOND  # in which a schedule has begun
PROJECT = Path(__file__).parents[3]


@pytest_asyncio.fixture
async def join(database: Database) -> AsyncIterator[Join]:
    """Gives a function that makes one more `Virtual`, on a clock that is ahead by `later`."""
    async with AsyncExitStack() as stack:

        async def join(later: timedelta | None = None) -> Virtual:
            dsn = database.dsn
            if later is not None:
                ahead = quote(f"{later.total_seconds()} seconds")
                dsn += f"{'&' if '?' in dsn else '?'}durable_clock.offset={ahead}"
            virtual = await Virtual.init(connection=dsn, namespace=database.schema)
            stack.push_async_callback(virtual.stop, 0)
            return virtual

        yield join


class Ticks:
    """A function that notes its ticks."""

    def __init__(self, fails: int = 0) -> None:
        self.contexts: list[VirtualContext] = []
        self.fails = fails
        self.go = asyncio.Event()
        self.go.set()
        self._more = asyncio.Condition()

    async def __call__(self, *_args: object) -> str:
        self.contexts.append(Virtual.get_context())
        async with self._more:
            self._more.notify_all()
        await self.go.wait()
        if len(self.contexts) <= self.fails:
            error = ValueError("no")
            error.code = 404  # type: ignore[attr-defined]
            raise error
        return "is dropped"

    @property
    def ticks(self) -> list[Tick]:
        """What its contexts said."""
        return [context.tick for context in self.contexts if context.tick is not None]

    @property
    def numbers(self) -> list[int]:
        """The numbers of its ticks."""
        return [tick.number for tick in self.ticks]

    async def reach(self, count: int) -> None:
        """Return when there were so many."""
        async with asyncio.timeout(60), self._more:
            await self._more.wait_for(lambda: len(self.contexts) >= count)


async def timers(database: Database) -> list[datetime]:
    """When the timers that are armed are due."""
    rows = await database.fetch(
        f'select visible_at from "{database.schema}".engine_streams'
        " where msg_type = 'timehook' order by 1"
    )
    return [row["visible_at"] for row in rows]


async def planned(database: Database) -> datetime:
    """When the one timer that is armed is due, once there is one."""
    (due,) = await eventually(lambda: timers(database))
    return due


def whole(at: datetime) -> datetime:
    """The nearest second: what is planned is counted from a moment in between."""
    return (at + SECOND / 2).replace(microsecond=0)


async def over(virtual: Virtual, job_id: str, limit: float = 30) -> None:
    """Return when a schedule has ended."""

    async def ended() -> bool:
        return await virtual._mesh.get_status(job_id) <= 0

    await eventually(ended, limit)


# --- intervals ------------------------------------------------------------------------------------


async def test_an_interval_ticks_as_often_as_it_may(join: Join) -> None:
    """It begins after its delay, each tick is due one interval after the other, and it ends."""
    virtual, ticks = await join(), Ticks()
    options = {"topic": "tick", "id": "1", "interval": "50 ms", "max_cycles": 6}
    begun = datetime.now(UTC)
    assert await virtual.cron(callback=ticks, delay="0.2 s", args=[1], **options)
    await over(virtual, "schedule tick 1")
    assert ticks.numbers == [1, 2, 3, 4, 5, 6]
    first = ticks.ticks[0].scheduled_at
    assert begun + timedelta(seconds=0.19) < first < begun + timedelta(seconds=30)
    for tick in ticks.ticks:
        steps = (tick.scheduled_at - first) / timedelta(milliseconds=50)
        assert steps == int(steps)  # on the grid of the first, however late it came to be
        assert tick.fired_at >= tick.scheduled_at
    moments = [tick.scheduled_at for tick in ticks.ticks]
    assert moments == sorted(set(moments))


async def test_the_first_tick_comes_after_one_interval(join: Join, database: Database) -> None:
    """Without a delay an interval begins with itself; with none at all, now."""
    virtual, ticks = await join(), Ticks()
    begun = datetime.now(UTC)
    await virtual.cron(topic="tick", id="1", interval="1 hour", callback=ticks)
    assert HOUR <= await planned(database) - begun < HOUR + timedelta(seconds=10)
    await virtual.cron(topic="tick", id="2", interval="1 hour", delay=0)
    await ticks.reach(1)
    assert ticks.contexts[0].workflow_id == "schedule tick 2"


async def test_a_schedule_is_one_by_its_id(
    join: Join, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asks again, anywhere and at once, gets False, and is told if it is another one."""
    virtuals = await asyncio.gather(*(join() for _ in range(3)))
    ticks = Ticks()
    options = {"topic": "tick", "id": "1", "callback": ticks}
    answers = await asyncio.gather(*(v.cron(interval="1 h", **options) for v in virtuals))
    assert sorted(answers) == [False, False, True]
    await planned(database)
    assert caplog.text == ""
    assert await virtuals[0].cron(interval="2 h", **options) is False
    assert "interrupt it first" in caplog.text
    assert len(await timers(database)) == 1
    assert await virtuals[0].cron(topic="tick", id="2", interval="2 h") is True
    assert await virtuals[0].cron(topic="other", id="1", interval="2 h") is True


async def test_an_interrupted_schedule_ticks_no_more(join: Join, database: Database) -> None:
    """Interrupted it has no timer left, and its id is free at once; then there is none."""
    virtual, ticks = await join(), Ticks()
    options = {"topic": "tick", "id": "1", "interval": "1 h", "delay": 0}
    for count in range(1, 6):
        assert await virtual.cron(callback=ticks, **options)
        await ticks.reach(count)
        assert await virtual.interrupt(topic="tick", id="1") is True
        assert await virtual.interrupt(topic="tick", id="1") is False
    assert await timers(database) == []
    assert await virtual.interrupt(topic="tick", id="none") is False


async def test_others_may_answer(join: Join) -> None:
    """Who begins a schedule needs no function: the ticks go to who is connected."""
    here, there = await join(), await join()
    ticks = Ticks()
    await there.connect(topic="tick", callback=ticks)
    await here.cron(topic="tick", id="1", interval=0.02, max_cycles=3)
    await over(here, "schedule tick 1")
    assert ticks.numbers == [1, 2, 3]


async def test_one_callback_per_tick_with_many_workers(join: Join) -> None:
    """Three serve the topic: each tick is answered by one of them, and none is left out."""
    virtuals, ticks = [await join() for _ in range(3)], Ticks()
    for virtual in virtuals:
        await virtual.connect(topic="tick", callback=ticks)
        await virtual.cron(topic="tick", id="1", interval=0.01, delay=0, max_cycles=40)
    await over(virtuals[0], "schedule tick 1")
    assert ticks.numbers == list(range(1, 41))
    assert len({tick.scheduled_at for tick in ticks.ticks}) == 40


async def test_a_tick_waits_for_the_one_before(join: Join) -> None:
    """Ticks that pass while a callback runs are made up for by one, at once, which says so."""
    virtual, ticks = await join(), Ticks()
    ticks.go.clear()
    await virtual.cron(topic="tick", id="1", interval=0.05, delay=0, callback=ticks, max_cycles=3)
    await ticks.reach(1)
    first = ticks.ticks[0]
    late = first.fired_at + timedelta(seconds=0.5)

    async def passed() -> bool:
        return datetime.now(UTC) > late

    await eventually(passed)
    assert ticks.numbers == [1]
    ticks.go.set()
    await over(virtual, "schedule tick 1")
    _, second, third = ticks.ticks
    assert ticks.numbers == [1, 2, 3]
    step = timedelta(seconds=0.05)
    for tick, following in ((first, second), (second, third)):
        assert tick.fired_at < following.scheduled_at <= tick.fired_at + step
        assert (following.scheduled_at - first.scheduled_at) % step == timedelta(0)
    assert second.scheduled_at < late < second.fired_at


async def test_a_tick_that_fails_for_good_is_a_dead_letter(join: Join, database: Database) -> None:
    """Its attempts are those of the policy, its error stays, and the schedule goes on."""
    virtual, ticks = await join(), Ticks(fails=2)
    retry = {"maximumAttempts": 2, "initialInterval": 0, "backoffCoefficient": 1}
    options = {"topic": "tick", "id": "1", "interval": 0.02, "max_cycles": 3}
    await virtual.cron(callback=ticks, retry=retry, **options)
    await over(virtual, "schedule tick 1")
    assert ticks.numbers == [1, 1, 2, 3]
    assert [context.attempt for context in ticks.contexts] == [1, 2, 1, 1]
    assert ticks.ticks[0] == ticks.ticks[1]
    (letter,) = await database.fetch(
        f"select error ->> 'message' as why, message::text from"
        f' "{database.schema}".worker_streams where dead_lettered_at is not null'
    )
    assert letter["why"] == "no"
    assert '"number":1' in letter["message"]


# --- expressions ----------------------------------------------------------------------------------


async def test_an_expression_ticks_at_its_times_only(join: Join, database: Database) -> None:
    """One for each second ticks at whole seconds; one for a day of the year has not by then."""
    virtual, often, rarely = await join(), Ticks(), Ticks()
    day = (datetime.now(UTC) + timedelta(days=90)).date()
    yearly = f"0 0 {day.day} {day.month} *"
    await virtual.cron(topic="rarely", id="1", interval=yearly, callback=rarely)
    due = await planned(database)
    await virtual.cron(topic="often", id="1", interval="* * * * * *", callback=often, max_cycles=2)
    await over(virtual, "schedule often 1")
    moments = [tick.scheduled_at for tick in often.ticks]
    assert [moment.microsecond for moment in moments] == [0, 0]
    assert moments[1] - moments[0] >= timedelta(seconds=1)
    assert rarely.ticks == []
    assert (whole(due).date(), whole(due).hour) == (day, 0)


CHANGES = [
    # From shortly before the tick: its moment, and what is planned next, in UTC.
    ("30 2 * * *", "2026-03-29 01:00", "2026-03-30 00:30"),  # 2:30 is skipped: at 3:00, once
    ("30 2 * * *", "2026-10-25 00:30", "2026-10-26 01:30"),  # 2:30 comes twice: the first time
    ("*/30 * * * *", "2026-10-25 00:30", "2026-10-25 01:00"),  # what is frequent goes on
    ("0 9 * * MON-FRI", "2026-07-03 07:00", "2026-07-06 07:00"),
]


@pytest.mark.parametrize(("expression", "due", "following"), CHANGES)
async def test_ticks_follow_the_clocks_of_their_zone(
    join: Join, database: Database, expression: str, due: str, following: str
) -> None:
    """In Berlin, on the days on which clocks change: no tick is lost, and none comes twice."""
    at = datetime.fromisoformat(f"{due}:00+00:00")
    options = {"topic": "tick", "interval": expression, "time_zone": "Europe/Berlin"}
    virtual, ticks = await join(at - LEAD - datetime.now(UTC)), Ticks()
    assert await virtual.cron(id="1", callback=ticks, **options)
    assert whole(await planned(database)) == at
    await ticks.reach(1)
    assert ticks.ticks[0].scheduled_at == at
    assert whole(await planned(database)) == datetime.fromisoformat(f"{following}:00+00:00")
    assert ticks.numbers == [1]


# --- when nobody was there ------------------------------------------------------------------------


@pytest.mark.parametrize("expression", [False, True])
async def test_what_was_missed_is_made_up_for_once(
    join: Join, database: Database, *, expression: bool
) -> None:
    """After five hours in which nothing ran one tick comes at once; then it goes on as before."""
    virtual, ticks = await join(), Ticks()
    minute = (datetime.now(UTC) + HOUR / 2).minute  # nothing is due while this test prepares
    interval = f"{minute} * * * *" if expression else "1 hour"
    await virtual.cron(topic="tick", id="1", interval=interval, callback=ticks)
    due = await planned(database)
    await virtual.stop()

    back = due + 5 * HOUR + HOUR / 2 - datetime.now(UTC)
    returned = await join(back)
    await returned.connect(topic="tick", callback=ticks)

    async def moved() -> list[datetime]:
        return [at for at in await timers(database) if at != due]

    (following,) = await eventually(moved)
    assert ticks.numbers == [1]
    (late,) = ticks.ticks
    assert abs(late.scheduled_at - due) < SECOND
    assert late.fired_at - late.scheduled_at >= 5 * HOUR
    assert abs(following - (due + 6 * HOUR)) < SECOND
    await returned.stop()

    again = await join(following - datetime.now(UTC))
    await again.connect(topic="tick", callback=ticks)
    await ticks.reach(2)
    assert ticks.numbers == [1, 2]
    assert abs(ticks.ticks[1].scheduled_at - following) < SECOND


@pytest.fixture
def process(database: Database) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Starts a process that serves the topic "work", and dies in the tick of that number."""
    script = Path(__file__).with_name("virtual_process.py")
    started: list[subprocess.Popen[str]] = []

    def start(dies_in: int) -> subprocess.Popen[str]:
        running = subprocess.Popen(
            [sys.executable, str(script), database.dsn, database.schema, str(dies_in)],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(PROJECT)},
        )  # fmt: skip
        started.append(running)
        return running

    yield start
    for running in started:
        running.kill()
        running.communicate()


async def test_a_process_that_dies_in_a_tick(
    join: Join, database: Database, process: Callable[[int], subprocess.Popen[str]]
) -> None:
    """Killed in a tick, its tick alone is run again, by another process, and none is lost."""
    await database.fetch(
        f'create table "{database.schema}".ticks (number int, scheduled_at timestamptz, pid int)'
    )
    virtual, dies = await join(), process(3)
    assert dies.stdout is not None
    assert await asyncio.to_thread(dies.stdout.readline) == "ready\n"
    await virtual.cron(topic="work", id="1", interval=0.1, max_cycles=8)
    assert await asyncio.to_thread(dies.wait, 60) == -signal.SIGKILL
    process(0)
    await over(virtual, "schedule work 1", 90)
    rows = await database.fetch(
        f"select number, count(*) as runs, count(distinct scheduled_at) as moments,"
        f' count(distinct pid) as processes from "{database.schema}".ticks group by 1 order by 1'
    )
    assert [tuple(row) for row in rows] == [
        (number, 2, 1, 2) if number == 3 else (number, 1, 1, 1) for number in range(1, 9)
    ]
