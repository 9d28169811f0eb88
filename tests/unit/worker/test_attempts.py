"""Attempts: their limits count elapsed time by the host's clock, from when their code may begin."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

import durable
from durable.protocol.options import ActivityOptions
from durable.replay.definitions import ActivityDefinition
from durable.runtime.clocks import MemberClock
from durable.store.activities import Attempt
from durable.store.lease import Lease
from durable.worker.attempt_code import Outcome
from durable.worker.attempts import ActivitySlots, Attempts
from tests.unit.runtime.test_clocks import Hands

released = threading.Event()


@durable.activity
async def waits() -> str:
    """Never ends."""
    await asyncio.Event().wait()
    return "never"


@durable.activity
def blocks() -> str:
    """Ends at the end of the test."""
    released.wait(30)
    return "released"


@dataclass
class Scene:
    """Attempts on a clock that is moved by hand, and how they ended."""

    hands: Hands = field(default_factory=Hands)
    ended: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lease = Lease(self.hands.monotonic, lambda: None)
        self.renew()
        names: dict[str, ActivityDefinition] = {f.__name__: f.definition for f in (waits, blocks)}
        self.attempts = Attempts(
            names, MemberClock(self.hands), self.lease, ActivitySlots(tasks=9, threads=9)
        )

    def renew(self) -> None:
        """A beat that began now is answered."""
        self.lease.renew(self.hands.monotonic(), self.lease.came)

    async def starts(self, name: str, options: ActivityOptions) -> None:
        """Start one; returns when its code runs, or waits for the lease."""
        attempt = Attempt(1, 1, "run", "flow", 1, name, "{}", options, 1, self.hands.now())
        self.attempts.start(attempt, lambda _, outcome: self.ended.append(outcome))
        await _turns()

    async def passes(self, seconds: float) -> None:
        """Time passes."""
        self.hands.passes(seconds)
        await _turns()

    def kinds(self) -> list[object]:
        """Which limits were exceeded."""
        return [(o.failure.details or {})["kind"] for o in self.ended if o.failure is not None]


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    """What still runs at the end is stopped."""
    released.clear()
    made = Scene()
    yield made
    released.set()
    await made.attempts.drain(0)


@pytest.mark.parametrize("name", ["waits", "blocks"])
@pytest.mark.parametrize("limit", ["start_to_close", "heartbeat"])
async def test_limits_count_the_time_of_the_hosts_clock(
    scene: Scene, name: str, limit: str
) -> None:
    """An hour that the machine slept through is an hour; a second less is not."""
    options = ActivityOptions(**{limit: 3600.0})  # type: ignore[arg-type]
    await scene.starts(name, options)
    await scene.passes(3599.99)
    assert scene.ended == []
    await scene.passes(0.02)
    assert scene.kinds() == [limit]


@pytest.mark.parametrize("name", ["waits", "blocks"])
async def test_no_limit_counts_the_wait_for_a_lease(scene: Scene, name: str) -> None:
    """An attempt that may not begin yet has its whole time from then on."""
    await scene.passes(5)
    await scene.starts(name, ActivityOptions(start_to_close=10, heartbeat=10))
    async with asyncio.timeout(60):
        while not scene.lease.came:  # noqa: ASYNC110 - a thread asks for it
            await asyncio.sleep(0.001)
    await _turns()
    await scene.passes(60)
    assert scene.ended == []
    scene.renew()
    await _turns()
    await scene.passes(9.99)
    assert scene.ended == []
    await scene.passes(0.02)
    assert len(scene.kinds()) == 1
