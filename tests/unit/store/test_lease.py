"""A lease is good for a second from the beginning of a beat that was answered."""

from __future__ import annotations

import asyncio

from durable.store.lease import Lease


class Scene:
    """A lease, a clock that is set by hand, and how often a beat was asked for."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked = 0
        self.lease = Lease(lambda: self.now, self._beat)

    def _beat(self) -> None:
        self.asked += 1


async def _turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_young_beat_keeps_nobody_waiting() -> None:
    """Within a second of its beginning there is nothing to wait for, and no beat is asked for."""
    scene = Scene()
    assert not scene.lease.fresh()
    scene.lease.renew(99.5, scene.lease.came)
    await asyncio.wait_for(scene.lease.confirmed(), 60)
    assert scene.asked == 0
    scene.now = 100.6
    assert not scene.lease.fresh()


async def test_who_came_while_a_slow_beat_was_on_its_way_waits_for_the_next() -> None:
    """A beat that took two seconds answers those who waited when it began, and nobody else."""
    scene = Scene()
    first = asyncio.create_task(scene.lease.confirmed())
    await _turns()
    began, came = scene.now, scene.lease.came
    second = asyncio.create_task(scene.lease.confirmed())
    await _turns()
    scene.now += 2
    scene.lease.renew(began, came)
    await _turns()
    assert (first.done(), second.done()) == (True, False)
    assert scene.asked == 3  # each of the two, and once more for whom that beat came too early
    scene.lease.renew(scene.now, scene.lease.came)
    await asyncio.wait_for(second, 60)


async def test_a_beat_that_began_before_who_waits_will_do_if_it_is_young() -> None:
    """What matters is how old it is."""
    scene = Scene()
    came = scene.lease.came
    waiting = asyncio.create_task(scene.lease.confirmed())
    await _turns()
    scene.lease.renew(99.9, came)
    await asyncio.wait_for(waiting, 60)


async def test_the_end_of_a_lease_keeps_nobody_and_lets_nobody_begin() -> None:
    """Who waits is answered, and was cancelled before; who comes later waits for the next."""
    scene = Scene()
    scene.lease.renew(99.9, 0)
    scene.now = 102.0
    waiting = asyncio.create_task(scene.lease.confirmed())
    await _turns()
    scene.lease.renew(float("-inf"), scene.lease.came)
    await asyncio.wait_for(waiting, 60)
    assert not scene.lease.fresh()


async def test_a_lease_that_its_member_ends_is_not_renewed_by_an_earlier_beat() -> None:
    """A beat that was answered before, and is told on the loop later, lets nothing begin."""
    scene = Scene()
    scene.lease.renew(99.9, 0)
    scene.lease.end()
    assert not scene.lease.fresh()
    scene.lease.renew(99.95, 0)
    assert not scene.lease.fresh()
    scene.now += 0.2
    scene.lease.renew(100.1, 0)
    assert scene.lease.fresh()


async def test_a_member_that_has_left_waits_for_no_beat() -> None:
    """There are none any more."""
    scene = Scene()
    waiting = asyncio.create_task(scene.lease.confirmed())
    await _turns()
    scene.lease.close()
    await asyncio.wait_for(waiting, 60)
    await asyncio.wait_for(scene.lease.confirmed(), 60)
