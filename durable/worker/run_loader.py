"""Bringing claimed runs into memory: those that were lost with a member come last.

A run that took a worker down, or blocked one, comes back together with those that it kept from
moving, perhaps to the only worker there is. They have to get through before its code has the loop
again: so what is under way is waited for first, for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence

from durable.postgres.retries import retry_until_connected
from durable.store.runs import ClaimedRun
from durable.worker.inboxes import read_apart
from durable.worker.worker_context import WorkerContext
from durable.worker.workflow_worker import WorkflowWorker

PAGE = 20_000  # facts that are read at once, of one run or many
SURVIVED = 1.0  # seconds after which a run that was held at a death is not suspected any more
TURN = 0.05  # seconds of CPU for first turns in a row: they share commits; then others have theirs
OTHERS_FIRST = 1.0  # seconds, at most, that a run which was lost before waits for the others
LOOK = 0.01  # seconds between two looks whether they are through


class CpuSlice:
    """So many seconds of CPU for this thread, from `begin` on.

    Elapsed time is never less than CPU time and is read without a system call. So only once it has
    passed is the thread's own clock asked, and that no more often than it takes to run on.

    Args:
        seconds: how long a slice is.

    Example:
        >>> piece = CpuSlice(60.0)
        >>> piece.is_over()
        False
    """

    __slots__ = ("_ask_at", "_began", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.begin()

    def begin(self) -> None:
        """Another slice begins."""
        self._began = time.thread_time()
        self._ask_at = time.monotonic() + self._seconds

    def is_over(self) -> bool:
        """Whether it has been used up."""
        now = time.monotonic()
        if now < self._ask_at:
            return False
        left = self._seconds - (time.thread_time() - self._began)
        self._ask_at = now + left
        return left <= 0


class RunLoader:
    """The way of claimed runs into memory."""

    def __init__(self, context: WorkerContext, workflows: WorkflowWorker) -> None:
        self._context = context
        self._workflows = workflows
        self._loading = workflows.runs.loading
        self._monotonic = context.clock.monotonic

    def expect(self, claimed: Sequence[ClaimedRun]) -> None:
        """These runs are ours from now on, though not held yet."""
        self._loading.update(c.run_id for c in claimed)

    async def load(self, member: int, claimed: Sequence[ClaimedRun]) -> None:
        """Load runs that `member` has claimed; those lost before come later."""
        await self._load(member, [c for c in claimed if not c.losses])
        if lost := [c for c in claimed if c.losses]:
            self._context.tasks.once(
                "runs that were lost before", lambda: self._load_last(member, lost)
            )

    async def _load_last(self, member: int, lost: Sequence[ClaimedRun]) -> None:
        end = self._monotonic() + OTHERS_FIRST
        while self._workflows.under_way() and self._monotonic() < end:  # noqa: ASYNC110 - short
            await asyncio.sleep(LOOK)
        lost = [c for c in lost if c.run_id not in self._workflows.runs]  # where this is done again
        run_ids = [c.run_id for c in lost]
        if self._workflows.slots.closed:
            await retry_until_connected(
                lambda: self._context.services.runs.release(member, run_ids)
            )
            self._loading.difference_update(run_ids)
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
            self._loading.difference_update(c.run_id for c in claimed)

    async def _know_edits(self, claimed: Sequence[ClaimedRun]) -> bool:
        """Read the edits by which the runs are carried out; False: the runs are released."""
        try:
            await retry_until_connected(lambda: self._workflows.plans.know(c.edit for c in claimed))
        except Exception as error:  # noqa: BLE001 - of the table's content: the claims go on
            for c in claimed:
                self._workflows.unreadable(c.run_id, error)
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
            self._loading.discard(c.run_id)
            if c.run_id in unreadable:
                self._workflows.unreadable(c.run_id, unreadable[c.run_id])
                continue
            self._workflows.take_up(c, facts.pop(c.run_id, []))
            if c.revision or first_turns.is_over():
                await asyncio.sleep(0)
                first_turns.begin()
        # Read after the claim, by a statement of its own: what arrived before was not announced.
        for c in page:
            self._workflows.arrived(c.run_id)


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
