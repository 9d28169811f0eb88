"""Waiting for the ends of runs: told by notification, with a slow poll beneath."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from durable.errors import DatabaseError, InternalError, ResultTimeout
from durable.postgres.retrying import retry_until_connected
from durable.runtime.notifications import row_id
from durable.runtime.supervision import Tasks
from durable.store.jobs import Ended, JobStore
from durable.streams.announce import Announcer

REMEMBERED_MAX = 100_000  # runs; more are asked for when somebody waits
POLL = 1.0  # seconds; what a lost notification costs at most


class Waiters:
    """Everybody in this client who waits for a run to end.

    A run that this client starts carries the client's channel from the start; for any other the
    channel is left in the job row first, and then the row is read: no end falls between.
    """

    def __init__(self, jobs: JobStore, announcer: Announcer, channel: str) -> None:
        self.channel = channel
        self._jobs = jobs
        self._announcer = announcer
        self._futures: dict[int, list[asyncio.Future[Ended]]] = {}
        self._told: set[int] = set()  # awaited runs whose rows are to be read
        self._ours: set[int] = set()  # open runs whose ends we shall be told
        self._early: dict[int, None] = {}  # ends that were told before their starts had come back
        self._tasks = Tasks("a client", self._break)
        self._reader: asyncio.Task[None] | None = None
        self._poller: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen."""
        await self._announcer.hear_own(self.channel, self._heard)

    async def close(self) -> None:
        """Stop; who still waits is cancelled."""
        await self._announcer.unhear_own(self.channel)
        tasks = [task for task in (self._reader, self._poller) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:  # not for ever: the driver waits for a silent server even then
            await asyncio.wait(tasks, timeout=POLL)
        for futures in self._futures.values():
            for future in futures:
                future.cancel()

    def started(self, run_id: int) -> None:
        """A run of ours: its end will be told without asking, unless that has happened already."""
        if run_id in self._early:
            del self._early[run_id]
        elif len(self._ours) < REMEMBERED_MAX:
            self._ours.add(run_id)

    async def wait(self, run_id: int, limit: float | None, name: str) -> Ended:
        """How the run ended, once it has; `limit` in seconds, `name` for the error."""
        future: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._futures.setdefault(run_id, []).append(future)
        try:
            if self._poller is None or self._poller.done():
                self._poller = self._tasks.keep("results", self._poll)
            async with asyncio.timeout(limit):
                if run_id not in self._ours:
                    await retry_until_connected(
                        lambda: self._jobs.await_end(run_id, self.channel), host=False
                    )
                    self._look(run_id)
                return await asyncio.shield(future)
        except TimeoutError:
            raise ResultTimeout(
                f"the workflow {name!r} has not ended within {limit:g} s; "
                "it goes on, and may be awaited again"
            ) from None
        finally:
            self._leave(run_id, future)

    def _leave(self, run_id: int, future: asyncio.Future[Ended]) -> None:
        future.cancel()
        waiting = self._futures.get(run_id, [])
        if future in waiting:
            waiting.remove(future)
        if not waiting:
            self._futures.pop(run_id, None)

    def _heard(self, payload: str) -> None:
        if not payload:
            for run_id in self._futures:
                self._look(run_id)
            return
        ended = row_id(payload)
        if ended is None:
            return
        if ended in self._futures:
            self._look(ended)
        elif ended in self._ours:
            self._ours.discard(ended)  # who waits for it later asks
        else:
            self._early[ended] = None
            if len(self._early) > REMEMBERED_MAX:
                del self._early[next(iter(self._early))]

    def _look(self, run_id: int) -> None:
        """Have the row of an awaited run read soon."""
        self._told.add(run_id)
        if self._reader is None or self._reader.done():
            self._reader = self._tasks.once("reading of results", self._read)

    async def _read(self) -> None:
        while self._told:
            ids = list(self._told)
            self._told.clear()
            try:
                # Their waits were accepted: a login that is refused for a while ends none of them.
                found = await retry_until_connected(lambda ids=ids: self._jobs.outcomes(ids))  # type: ignore[misc]
            except DatabaseError as error:
                self._refuse(ids, error)
                continue
            for ended in found:
                self._resolve(ended)

    def _break(self, name: str, error: BaseException) -> None:
        """A bug of ours: who waits must not wait for ever."""
        broken = InternalError(f"the client's task {name!r} broke: {error}")
        for future in [f for futures in self._futures.values() for f in futures if not f.done()]:
            future.set_exception(broken)

    def _refuse(self, run_ids: Iterable[int], error: DatabaseError) -> None:
        """Who waits for these is told what waiting does not change."""
        for run_id in run_ids:
            for future in self._futures.pop(run_id, []):
                if not future.done():
                    future.set_exception(error)

    def _resolve(self, ended: Ended) -> None:
        self._ours.discard(ended.run_id)
        for future in self._futures.pop(ended.run_id, []):
            if not future.done():
                future.set_result(ended)

    async def _poll(self) -> None:
        while self._futures:
            await asyncio.sleep(POLL)
            with contextlib.suppress(DatabaseError):
                for ended in await self._jobs.outcomes(list(self._futures)):
                    self._resolve(ended)
