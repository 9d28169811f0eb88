"""Bringing claimed runs into memory: those that were lost with a member come last.

A run that took a worker down, or blocked one, comes back together with those that it kept from
moving, perhaps to the only worker there is. They have to get through before its code has the loop
again: so what is under way is waited for first, for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from durable.postgres.retrying import retry_until_connected
from durable.protocol.facts import Fact
from durable.runtime.cpu_slice import CpuSlice
from durable.store.runs import ClaimedRun
from durable.worker.active_runs import ActiveRuns
from durable.worker.command_plans import CommandPlans
from durable.worker.local_slots import LocalSlots
from durable.worker.worker_context import WorkerContext

R = TypeVar("R")

PAGE = 20_000  # facts that are read at once, of one run or many


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
    """Holds the runs that are loaded."""

    @property
    def runs(self) -> ActiveRuns:
        """The runs that it holds."""
        ...

    @property
    def slots(self) -> LocalSlots:
        """Which of their steps run here."""
        ...

    @property
    def plans(self) -> CommandPlans:
        """How their commands are carried out."""
        ...

    def take_up(self, claimed: ClaimedRun, facts: list[Fact]) -> None:
        """Replay a run, and let it go on."""
        ...

    def unreadable(self, run_id: int, error: Exception) -> None:
        """The history of a run cannot be read."""
        ...

    def arrived(self, run_id: int) -> None:
        """Something may have arrived for a run."""
        ...

    def under_way(self) -> bool:
        """Whether an inbox is being read, or a commit is in flight."""
        ...


class RunLoader:
    """The way of claimed runs into memory.

    Args:
        context: the member that claimed them.
        holder: holds them once they are loaded.

    Attributes:
        loading: runs that are claimed and not yet held.
    """

    def __init__(self, context: WorkerContext, holder: RunHolder) -> None:
        self.loading: set[int] = set()
        self._context = context
        self._holder = holder
        self._monotonic = context.clock.monotonic

    def expect(self, claimed: Sequence[ClaimedRun]) -> None:
        """These runs are ours from now on, though not held yet."""
        self.loading.update(c.run_id for c in claimed)

    async def load(self, member: int, claimed: Sequence[ClaimedRun]) -> None:
        """Load runs that `member` has claimed; those lost before come later."""
        await self._load(member, [c for c in claimed if not c.losses])
        if lost := [c for c in claimed if c.losses]:
            self._context.tasks.once(
                "runs that were lost before", lambda: self._load_last(member, lost)
            )

    async def _load_last(self, member: int, lost: Sequence[ClaimedRun]) -> None:
        end = self._monotonic() + OTHERS_FIRST
        while self._holder.under_way() and self._monotonic() < end:  # noqa: ASYNC110 - short
            await asyncio.sleep(LOOK)
        lost = [c for c in lost if c.run_id not in self._holder.runs]  # where this is done again
        run_ids = [c.run_id for c in lost]
        if self._holder.slots.closed:
            await retry_until_connected(
                lambda: self._context.services.runs.release(member, run_ids)
            )
            self.loading.difference_update(run_ids)
            return
        await self._load(member, lost)
        asyncio.get_running_loop().call_later(SURVIVED, self._survived, member, run_ids)

    def _survived(self, member: int, run_ids: list[int]) -> None:
        """Runs that may have taken a process down have not taken this one down."""
        if member == self._context.member:
            self._context.tasks.once(
                "note of survival", lambda: self._context.services.runs.survived(member, run_ids)
            )

    async def _load(self, member: int, claimed: Sequence[ClaimedRun]) -> None:
        try:
            if await self._know_edits(claimed):
                for page in pages(claimed):
                    await self._load_page(member, page)
        finally:  # the reconciler releases what is left
            self.loading.difference_update(c.run_id for c in claimed)

    async def _know_edits(self, claimed: Sequence[ClaimedRun]) -> bool:
        """Read the edits by which the runs are carried out; False: the runs are released."""
        try:
            await retry_until_connected(lambda: self._holder.plans.know(c.edit for c in claimed))
        except Exception as error:  # noqa: BLE001 - of the table's content: the claims go on
            for c in claimed:
                self._holder.unreadable(c.run_id, error)
            return False
        return True

    async def _load_page(self, member: int, page: Sequence[ClaimedRun]) -> None:
        """Load one run with a history per turn of the loop; of new ones as many as take no time."""
        replayed = [c.run_id for c in page if c.revision]
        facts, unreadable = await read_apart(self._context.services.histories.facts, replayed)
        first_turns = CpuSlice(TURN)
        for c in page:
            if member != self._context.member:
                return  # declared dead since: others have them
            self.loading.discard(c.run_id)
            if c.run_id in unreadable:
                self._holder.unreadable(c.run_id, unreadable[c.run_id])
                continue
            self._holder.take_up(c, facts.pop(c.run_id, []))
            if c.revision or first_turns.is_over():
                await asyncio.sleep(0)
                first_turns.begin()
        # Read after the claim, by a statement of its own: what arrived before was not announced.
        for c in page:
            self._holder.arrived(c.run_id)
