"""Reading the inboxes of the runs that are held, those of one moment together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from durable.postgres.retries import retry_until_connected
from durable.worker.active_runs import ActiveRuns, Advance
from durable.worker.eviction import Releases
from durable.worker.worker_context import WorkerContext

R = TypeVar("R")


class InboxReader:
    """Reads the inboxes for which a notification came, or which a poll found."""

    def __init__(
        self, context: WorkerContext, runs: ActiveRuns, releases: Releases, advance: Advance
    ) -> None:
        self._context = context
        self._runs = runs
        self._releases = releases
        self._advance = advance
        self._unread: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether an inbox is being read, or has to be."""
        return bool(self._unread) or (self._task is not None and not self._task.done())

    def arrived(self, run_id: int) -> None:
        """Something arrived for a held run; 0: for any of them."""
        if run_id == 0:
            self._unread.update(self._runs.ids)
        elif run_id in self._runs:
            self._unread.add(run_id)
        if self._unread and (self._task is None or self._task.done()):
            self._task = self._context.tasks.once("inboxes", self._read)

    async def _read(self) -> None:
        while self._unread:
            runs = [run for r in self._unread if (run := self._runs.get(r)) is not None]
            self._unread.clear()
            before = [(run, run.begin_reading()) for run in runs]
            ids = [run.claimed.run_id for run in runs]
            inboxes, unreadable = await read_apart(self._context.services.histories.inboxes, ids)
            for run, gone in before:
                if (error := unreadable.get(run.claimed.run_id)) is not None:
                    self._runs.drop(run)
                    self._releases.let_go(run, error, of_turn=False)
                    continue
                run.read(gone, inboxes.get(run.claimed.run_id, ()))
                self._advance(run)


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
