"""The cache keeps to its bounds, and its hands off runs in the middle of a commit."""

from __future__ import annotations

from typing import Any

from durable.replay.cache import RunCache
from durable.replay.run import Run
from tests.unit.replay.driving import do, identity, signal, started, workflow_of


async def waits() -> Any:
    """A program that waits."""
    await do("a", 60)


def begun(run_id: int) -> Run:
    """A waiting run."""
    run = Run(workflow_of(waits), identity(run_id))
    run.apply(started())
    return run


class Keeper:
    """A cache, what it evicted, and which runs are busy."""

    def __init__(self, count_max: int = 3, bytes_max: int = 10**9) -> None:
        self.gone: list[int] = []
        self.busy: set[int] = set()
        self.cache = RunCache(
            count_max, bytes_max, evict=self._evict,
            busy=lambda run: run.identity.run_id in self.busy,
        )  # fmt: skip

    def _evict(self, run: Run) -> None:
        run.evict()
        self.gone.append(run.identity.run_id)


def test_the_least_recently_used_run_goes_first() -> None:
    """Getting a run is using it."""
    keeper = Keeper()
    for n in (1, 2, 3):
        keeper.cache.put(begun(n))
    assert keeper.cache.get(1) is not None
    keeper.cache.put(begun(4))
    assert keeper.gone == [2]
    assert list(keeper.cache) == [3, 1, 4]
    assert keeper.cache.get(2) is None
    keeper.cache.clear()


def test_runs_go_when_they_are_too_heavy_together() -> None:
    """A run that has grown is weighed again."""
    keeper = Keeper(count_max=100, bytes_max=100_000)
    runs = [begun(n) for n in (1, 2, 3)]
    for run in runs:
        keeper.cache.put(run)
    assert keeper.gone == []
    runs[2].apply(signal("s", "x" * 90_000))
    keeper.cache.put(runs[2])
    assert keeper.gone == [1, 2]
    assert keeper.cache.weight == runs[2].weight
    keeper.cache.clear()


def test_busy_runs_stay_though_it_is_full() -> None:
    """They go when they are idle and room is wanted."""
    keeper = Keeper(count_max=1)
    keeper.busy = {1, 2}
    for n in (1, 2):
        keeper.cache.put(begun(n))
    assert (len(keeper.cache), keeper.gone) == (2, [])
    keeper.busy = set()
    keeper.cache.shrink()
    assert keeper.gone == [1]
    keeper.cache.clear()


def test_dropping_is_not_evicting_and_clearing_is() -> None:
    """A dropped run is handed out alive."""
    keeper = Keeper()
    for n in (1, 2, 3):
        keeper.cache.put(begun(n))
    run = keeper.cache.drop(2)
    assert run is not None
    assert not run._dead
    assert keeper.cache.drop(2) is None
    keeper.busy = {3}
    keeper.cache.clear()
    assert (keeper.gone, list(keeper.cache)) == ([1], [3])
    run.evict()
    keeper.busy = set()
    keeper.cache.clear()
    assert (len(keeper.cache), keeper.cache.weight) == (0, 0)


def test_what_a_new_run_costs_does_not_grow_with_the_cache() -> None:
    """A full cache looks at one run to let it go, and at one that is busy no more than once."""
    looks = 0

    def busy(run: Run) -> bool:
        nonlocal looks
        looks += 1
        return run.identity.run_id <= 200  # the oldest, as if each waited for a long activity

    gone: list[int] = []
    cache = RunCache(1000, 10**9, evict=lambda run: gone.append(run.identity.run_id), busy=busy)
    runs = [begun(n) for n in range(1, 1101)]
    for run in runs:
        cache.put(run)
    assert gone == list(range(201, 301))
    assert looks <= 100 + 200
    looks = 0
    assert [cache.room(100, among) for among in (0, 3, 70)] == [50, 50, 70]
    assert looks <= 3 + 70
    for run in runs:
        run.evict()


def test_there_is_room_for_as_many_as_may_go() -> None:
    """Free places and idle runs count, busy ones do not; one may always be tried."""
    keeper = Keeper(count_max=4)
    assert keeper.cache.room(3, 10) == 3
    for n in (1, 2, 3):
        keeper.cache.put(begun(n))
    keeper.busy = {1, 2}
    assert keeper.cache.room(10, 10) == 2
    keeper.busy = {1, 2, 3}
    keeper.cache.put(begun(4))
    keeper.busy.add(4)
    assert keeper.cache.room(10, 10) == 1
    keeper.busy = set()
    keeper.cache.clear()
