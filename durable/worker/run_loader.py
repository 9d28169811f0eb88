"""Taking claimed runs into memory: those that were lost before come last.

A run that took a worker down, or held one up, comes back together with those that it kept from
moving, perhaps to the only worker there is. They are to get through before its code has the loop
again: so what is under way is waited for first, for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from durable.postgres.retrying import retry_until_connected
from durable.protocol.facts import Fact
from durable.runtime.clocks import HostClock
from durable.runtime.cpu_slice import CpuSlice
from durable.runtime.supervision import Tasks
from durable.store.runs import ClaimedRun
from durable.worker.command_plans import CommandPlans
from durable.worker.worker_services import WorkerServices

R = TypeVar("R")

PAGE = 20_000  # facts that are read at once, for however many runs


def pages(claimed: Sequence[ClaimedRun]) -> Iterator[list[ClaimedRun]]:
    """The runs whose histories are read together: so many facts at most, or those of one run.

    >>> list(pages([]))
    []
    """
    page: list[ClaimedRun] = []
    facts = 0
    for run in claimed:
        if page and facts + run.revision > PAGE:
            yield page
            page, facts = [], 0
        page.append(run)
        facts += run.revision
    if page:
        yield page


async def read_apart(
    read: Callable[[Sequence[int]], Awaitable[dict[int, R]]], run_ids: Sequence[int]
) -> tuple[dict[int, R], dict[int, Exception]]:
    """What `read` finds for each run, and the error of each for which it cannot be read.

    A server that is away is waited for; anything else is found by halving.
    """
    if not run_ids:
        return {}, {}
    try:
        return await retry_until_connected(lambda: read(run_ids)), {}
    except Exception as error:  # noqa: BLE001 - it is the one run's whose error it is
        if len(run_ids) == 1:
            return {}, {run_ids[0]: error}
    middle = len(run_ids) // 2
    first, failed = await read_apart(read, run_ids[:middle])
    second, more = await read_apart(read, run_ids[middle:])
    return {**first, **second}, {**failed, **more}


SURVIVED = 1.0  # seconds after which a run that was held at a death is not suspected any more
TURN = 0.05  # seconds of CPU for first turns in a row: they share commits; then others have theirs
OTHERS_FIRST = 1.0  # seconds, at most, that a run which was lost before waits for the others
LOOK = 0.01  # seconds between two looks whether they are through


class RunHolder(Protocol):
    """Who holds the runs that are taken."""

    member: int
    closing: bool
    plans: CommandPlans

    def holds(self, run_id: int) -> bool:
        """Whether a run is held."""
        ...

    def take_up(self, claimed: ClaimedRun, facts: list[Fact]) -> None:
        """Fold a run, and let it go on."""
        ...

    def unreadable(self, run_id: int, error: Exception) -> None:
        """The history of a run cannot be read."""
        ...

    def heard(self, run_id: int) -> None:
        """Something may have arrived for a run."""
        ...

    def under_way(self) -> bool:
        """Whether an inbox is being read, or a commit is in flight."""
        ...


class RunLoader:
    """The way of claimed runs into memory.

    Args:
        services: histories and the stream of runs.
        host: holds them.
        clock: measures how long the others are waited for.
        tasks: where it does what has to be waited for.

    Attributes:
        coming: runs that are ours, though not folded yet.
    """

    def __init__(
        self, services: WorkerServices, host: RunHolder, clock: HostClock, tasks: Tasks
    ) -> None:
        self.loading: set[int] = set()
        self._services = services
        self._host = host
        self._clock = clock
        self._tasks = tasks

    def expect(self, claimed: Sequence[ClaimedRun]) -> None:
        """These runs are ours from now on, though not folded yet."""
        self.loading.update(c.run_id for c in claimed)

    async def take(self, member: int, claimed: Sequence[ClaimedRun]) -> None:
        """Fold runs that `member` has claimed, and let them go on; those lost before come later."""
        await self._take(member, [c for c in claimed if not c.losses])
        if lost := [c for c in claimed if c.losses]:
            self._tasks.once("runs that were lost before", lambda: self._take_last(member, lost))

    async def _take_last(self, member: int, lost: Sequence[ClaimedRun]) -> None:
        end = self._clock.monotonic() + OTHERS_FIRST
        while self._host.under_way() and self._clock.monotonic() < end:  # noqa: ASYNC110 - short
            await asyncio.sleep(LOOK)
        lost = [c for c in lost if not self._host.holds(c.run_id)]  # where this is done again
        if self._host.closing:
            ids = [c.run_id for c in lost]
            await retry_until_connected(lambda: self._services.runs.release(member, ids))
            self.loading.difference_update(ids)
            return
        await self._take(member, lost)
        survivors = [c.run_id for c in lost]
        asyncio.get_running_loop().call_later(SURVIVED, self._survived, member, survivors)

    def _survived(self, member: int, run_ids: list[int]) -> None:
        """Runs that may have taken a process down have not taken this one down."""
        if member == self._host.member:
            self._tasks.once(
                "note of survival", lambda: self._services.runs.survived(member, run_ids)
            )

    async def _take(self, member: int, claimed: Sequence[ClaimedRun]) -> None:
        try:
            if not await self._know_edits(claimed):
                return
            for page in pages(claimed):
                await self._take_page(member, page)
        finally:  # else nobody would ever take what is left for forgotten
            self.loading.difference_update(c.run_id for c in claimed)

    async def _know_edits(self, claimed: Sequence[ClaimedRun]) -> bool:
        """Read the edits by which the runs are carried out; False: the runs are released."""
        try:
            await retry_until_connected(lambda: self._host.plans.know(c.edit for c in claimed))
        except Exception as error:  # noqa: BLE001 - of the table's content: the claims go on
            for c in claimed:
                self._host.unreadable(c.run_id, error)
            return False
        return True

    async def _take_page(self, member: int, page: Sequence[ClaimedRun]) -> None:
        """One run with a past a turn of the loop; of new ones as many as take no time."""
        behind = [c.run_id for c in page if c.revision]
        facts, unreadable = await read_apart(self._services.histories.facts, behind)
        piece = CpuSlice(TURN)
        for c in page:
            if member != self._host.member:
                return  # declared dead since: others have them
            self.loading.discard(c.run_id)
            if c.run_id in unreadable:
                self._host.unreadable(c.run_id, unreadable[c.run_id])
                continue
            self._host.take_up(c, facts.pop(c.run_id, []))
            if c.revision or piece.is_over():
                await asyncio.sleep(0)
                piece.begin()
        # Read after the claim, by a statement of its own: nobody was told what arrived before it.
        for c in page:
            self._host.heard(c.run_id)
