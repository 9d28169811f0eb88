"""Who dies is replaced in seconds; who only seemed dead is fenced; who is slow is left alone."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter

from durable.client.client import Client
from tests.faults.conftest import Spawn
from tests.faults.driver import Journal, Observer
from tests.faults.programs import blocked, once, once_worths, steps, steps_worth, worth
from tests.waiting import eventually

NOTICED = 4.0  # seconds from a death to the first step of whoever takes over


async def _pids(journal: Journal, pid: int, *, at_least: int = 1) -> None:
    """Return when a process has begun so many steps."""

    async def begun() -> bool:
        return sum(line.pid == pid for line in journal.starts()) >= at_least

    await eventually(begun, f"{at_least} steps of process {pid}")


async def test_a_second_worker_takes_over_within_four_seconds(
    client: Client, spawn: Spawn, journal: Journal, observer: Observer
) -> None:
    """With default settings a killed worker's runs go on elsewhere within four seconds."""
    await observer.deaths_count()
    doomed = await spawn()
    handles = [await client.start(steps(f"r{n}", 200, 0.05)) for n in range(5)]
    took = []
    for _ in range(3):  # a machine that is busy for a moment may be late; not each time
        await _pids(journal, doomed.pid, at_least=10)
        successor = await spawn()
        await doomed.kill()
        killed = time.monotonic()
        await _pids(journal, successor.pid)
        took.append(time.monotonic() - killed)
        if took[-1] < NOTICED:
            break
        doomed = successor
    assert min(took) < NOTICED
    assert [await h.result(timeout=60) for h in handles] == [
        steps_worth(f"r{n}", 200) for n in range(5)
    ]
    await observer.no_recorded_step_ran_again(journal)


async def test_a_process_that_only_seemed_dead_is_fenced(
    client: Client, spawn: Spawn, journal: Journal, observer: Observer
) -> None:
    """A stopped process without its lock is replaced; what it writes when it wakes is refused."""
    await observer.deaths_count()
    sleeper = await spawn()
    handles = [await client.start(steps(f"r{n}", 80, 0.03)) for n in range(5)]
    await _pids(journal, sleeper.pid, at_least=20)
    sleeper.send(signal.SIGSTOP)
    successor = await spawn()  # while nothing goes on: on a busy machine this may take long
    (member,) = await observer.members_of(sleeper.pid)
    assert await observer.terminate_member(member)
    await _pids(journal, successor.pid, at_least=10)
    sleeper.send(signal.SIGCONT)

    async def reborn() -> bool:
        return member not in (await observer.members_of(sleeper.pid) or [member])

    await eventually(reborn, "a new member of the process that woke")
    assert [await h.result(timeout=60) for h in handles] == [
        steps_worth(f"r{n}", 80) for n in range(5)
    ]
    await observer.nothing_is_left()
    await observer.no_recorded_step_ran_again(journal)
    await successor.kill()
    assert await client.execute(steps("after", 3)) == steps_worth("after", 3)


async def test_a_stopped_process_whose_lock_is_held_has_a_minute(
    client: Client, spawn: Spawn, journal: Journal, observer: Observer
) -> None:
    """While its lock is held, half a minute of silence is no death; more than a minute is."""
    await observer.deaths_count()
    sleeper = await spawn()
    handle = await client.start(steps("r", 40, 0.05))
    await _pids(journal, sleeper.pid, at_least=3)
    sleeper.send(signal.SIGSTOP)
    successor = await spawn()  # while nothing goes on: on a busy machine this may take long
    (member,) = await observer.members_of(sleeper.pid)
    await observer.beat_was(member, 30)
    await observer.sweeps(2)
    assert await observer.members_of(sleeper.pid) == [member]
    await observer.have_swept(0)
    await observer.beat_was(member, 61)
    await observer.sweeps(2)
    assert await observer.members_of(sleeper.pid) == [member], "nobody has watched for that long"
    await observer.have_swept(26)
    await _pids(journal, successor.pid)
    sleeper.send(signal.SIGCONT)
    assert await handle.result(timeout=60) == steps_worth("r", 40)
    await observer.no_recorded_step_ran_again(journal)


async def test_a_blocked_event_loop_does_not_look_like_death(
    client: Client, spawn: Spawn, journal: Journal, observer: Observer
) -> None:
    """An activity that blocks its process costs no lease: the beat has a thread of its own."""
    await observer.deaths_count()
    slow = await spawn()
    before = await observer.members_of(slow.pid)
    handle = await client.start(blocked("b", 4.0))
    await journal.has("start", "b/block")
    await spawn()
    assert await handle.result(timeout=60) == [worth("b/block"), worth("b/beside")]
    assert await observer.members_of(slow.pid) == before
    assert [line.label for line in journal.starts()].count("b/block") == 1


async def test_an_attempt_that_may_not_be_repeated_is_not(
    client: Client, spawn: Spawn, journal: Journal, observer: Observer
) -> None:
    """A lost non-repeatable attempt fails as lost and never runs twice; a repeatable one does."""
    await observer.deaths_count()
    doomed = await spawn()
    unknown = await client.start(once("o", 60), id="o")
    repeated = await client.start(steps("s", 1, 5.0), id="s")
    await journal.has("start", "o/charge")
    await journal.has("start", "s/0")

    async def written() -> bool:
        return await observer.value(
            "select count(*) = 2 from durable.worker_streams"
            " where msg_type = 'activity' and expired_at is null"
        )

    await eventually(written, "both attempts in the stream")
    await doomed.kill()
    await spawn()
    assert (await unknown.result(timeout=60)).startswith("OutcomeUnknown: ")
    (fact,) = [e for e in await unknown.history() if e.kind == "activity"]
    assert fact.failure is not None
    assert (fact.failure.kind, fact.failure.type) == ("lost", "OutcomeUnknown")
    assert (fact.failure.name, fact.failure.attempts) == ("charge", 1)

    async def counted() -> bool:
        return await observer.value(
            "select max(losses) = 1 and max(retry_attempt) = 0 from durable.worker_streams"
            " where aid = 'count' and expired_at is null"
        )

    await eventually(counted, "a loss counted")
    assert await repeated.result(timeout=60) == steps_worth("s", 1)
    labels = [line.label for line in journal.starts()]
    assert (labels.count("o/charge"), labels.count("s/0")) == (1, 2)
    await observer.nothing_is_left()


async def test_a_graceful_stop_gives_back_uncounted(
    client: Client, spawn: Spawn, journal: Journal, observer: Observer
) -> None:
    """SIGTERM under load: it ends by itself, nothing stays reserved, nothing is counted."""
    leaving = await spawn(grace=1.0)
    handles = [await client.start(steps(f"r{n}", 40, 0.02)) for n in range(30)]
    long = await client.start(steps("long", 1, 3.0))
    unknown = await client.start(once("o", 60))
    charged = [await client.start(once(f"x{n}", 0.02)) for n in range(30)]
    await journal.has("start", "long/0")
    await journal.has("start", "o/charge")
    await journal.reaches(journal.size() + 200)
    leaving.send(signal.SIGTERM)
    await leaving.says("stopped")
    assert await leaving.ends() == 0
    held = await observer.rows(
        "select id, msg_type, reserved_by, losses, retry_attempt, max_retry_attempts"
        " from durable.worker_streams where expired_at is null"
        " and (reserved_by is not null or losses > 0"
        "      or (msg_type = 'activity' and retry_attempt > 0))"
    )
    assert not held
    assert not await observer.rows("select * from durable.members")
    await spawn()
    expected = [steps_worth(f"r{n}", 40) for n in range(30)]
    assert await asyncio.gather(*[h.result(timeout=60) for h in handles]) == expected
    assert await long.result(timeout=60) == steps_worth("long", 1)
    assert "the attempt may not be repeated" in (await unknown.result(timeout=60))
    for n, handle in enumerate(charged):
        assert await handle.result(timeout=60) in once_worths(f"x{n}")[:1]
    charges = Counter(line.label for line in journal.starts() if line.label.endswith("/charge"))
    assert set(charges.values()) == {1}
    await observer.nothing_is_left()
    await observer.no_recorded_step_ran_again(journal)
