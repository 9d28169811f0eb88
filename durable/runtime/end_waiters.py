"""Waiting for the ends of runs and jobs: woken by notification, with a slow poll beneath.

A run that this process starts carries the process's channel from the start; for any other the
channel is left in its row first, and then the row is read: no end falls between.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from durable.errors import DatabaseError, InternalError
from durable.postgres.retries import retry_until_connected
from durable.runtime.channels import Channel
from durable.runtime.notifications import row_ids
from durable.runtime.supervision import Tasks

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)

REMEMBERED_MAX = 100_000  # open runs of ours; the rows of more are read when a caller waits
EARLY_MAX = 10_000  # ends that came before a caller waited for them
POLL = 1.0  # seconds; what a lost notification costs at most
SILENCE = 1.0  # seconds that closing waits for a server that may not answer


class Ends(Protocol[E_co]):
    """Reads how runs ended."""

    async def ends(self, run_ids: Sequence[int]) -> Mapping[int, E_co]:
        """The ends of those that have ended, by run."""
        ...


class EndWaiters(Generic[E]):
    """All calls of one client or mesh that wait for a run to end.

    Args:
        owner: whose calls they are, for messages.
        channel: on which ends are announced to this process alone.
        reader: reads ends.
        subscribe: leaves the channel in the row of a run that was started elsewhere; None where
            every run that is waited for was started here.

    Example:
        >>> waiters = EndWaiters("a client", channel, jobs, jobs.await_end)  # doctest: +SKIP
        >>> ended = await waiters.wait(run_id, limit=10)  # doctest: +SKIP
    """

    def __init__(
        self,
        owner: str,
        channel: Channel,
        reader: Ends[E],
        subscribe: Callable[[int, Channel], Awaitable[object]] | None = None,
    ) -> None:
        self.channel = channel
        self._owner = owner
        self._reader = reader
        self._subscribe = subscribe
        self._futures: dict[int, list[asyncio.Future[E]]] = {}
        self._announced: set[int] = set()  # awaited runs whose rows are to be read
        self._ours: set[int] = set()  # open runs whose ends will be announced to us
        self._early: dict[int, E | None] = {}  # ended before a caller waited; None: to be read
        self._tasks = Tasks(owner, self._break)
        self._reading: asyncio.Task[None] | None = None
        self._polling: asyncio.Task[None] | None = None

    def started(self, run_id: int) -> None:
        """A run of ours: its end will be announced, unless that has happened already."""
        if run_id in self._early:
            if self._early[run_id] is None:  # it is read when a caller waits
                del self._early[run_id]
        elif len(self._ours) < REMEMBERED_MAX:
            self._ours.add(run_id)

    def ended(self, run_id: int, end: E) -> None:
        """A run of ours ended in this process."""
        if run_id in self._futures:
            self._resolve(run_id, end)
        else:
            self._remember(run_id, end)

    def on_notification(self, payload: str) -> None:
        """Runs that ended, by their ids; "" when notifications may have been lost."""
        if not payload:
            for run_id in self._futures:
                self._look(run_id)
            return
        for ended in row_ids(payload):
            if ended in self._futures:
                self._look(ended)
            elif ended in self._ours:
                self._ours.discard(ended)  # a later wait reads the row
            elif ended not in self._early:
                self._remember(ended, None)

    async def wait(self, run_id: int, limit: float | None) -> E:
        """How a run ended, once it has; raises `TimeoutError` after `limit` seconds."""
        future: asyncio.Future[E] = asyncio.get_running_loop().create_future()
        self._futures.setdefault(run_id, []).append(future)
        try:
            if self._polling is None or self._polling.done():
                self._polling = self._tasks.keep("results", self._poll)
            async with asyncio.timeout(limit):
                early = self._early.pop(run_id, None)
                if early is not None:
                    return early
                if run_id not in self._ours:
                    await self._leave_channel(run_id)
                    self._look(run_id)
                return await asyncio.shield(future)
        finally:
            self._forget(run_id, future)

    async def close(self) -> None:
        """Stop; calls that still wait are cancelled."""
        tasks = [task for task in (self._reading, self._polling) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:  # for a limited time: the driver waits for a silent server even then
            await asyncio.wait(tasks, timeout=SILENCE)
        for futures in self._futures.values():
            for future in futures:
                future.cancel()

    async def _leave_channel(self, run_id: int) -> None:
        subscribe = self._subscribe
        if subscribe is not None:
            await retry_until_connected(lambda: subscribe(run_id, self.channel), host=False)

    def _forget(self, run_id: int, future: asyncio.Future[E]) -> None:
        future.cancel()
        waiting = self._futures.get(run_id, [])
        if future in waiting:
            waiting.remove(future)
        if not waiting:
            self._futures.pop(run_id, None)

    def _remember(self, run_id: int, end: E | None) -> None:
        self._ours.discard(run_id)
        self._early[run_id] = end
        if len(self._early) > EARLY_MAX:
            del self._early[next(iter(self._early))]

    def _look(self, run_id: int) -> None:
        """Have the row of an awaited run read soon."""
        self._announced.add(run_id)
        if self._reading is None or self._reading.done():
            self._reading = self._tasks.once("reading of results", self._read)

    async def _read(self) -> None:
        while self._announced:
            ids = list(self._announced)
            self._announced.clear()
            try:
                # Their waits were accepted: a login that is refused for a while ends none of them.
                found = await retry_until_connected(lambda ids=ids: self._reader.ends(ids))  # type: ignore[misc]
            except DatabaseError as error:
                self._refuse(ids, error)
                continue
            for run_id, end in found.items():
                self._resolve(run_id, end)

    async def _poll(self) -> None:
        while self._futures:
            await asyncio.sleep(POLL)
            with contextlib.suppress(DatabaseError):
                for run_id, end in (await self._reader.ends(list(self._futures))).items():
                    self._resolve(run_id, end)

    def _resolve(self, run_id: int, end: E) -> None:
        self._ours.discard(run_id)
        for future in self._futures.pop(run_id, []):
            if not future.done():
                future.set_result(end)

    def _break(self, name: str, error: BaseException) -> None:
        """A bug of ours: no call must wait for ever."""
        broken = InternalError(f"the task {name!r} of {self._owner} broke: {error}")
        self._refuse(list(self._futures), broken)

    def _refuse(self, run_ids: Iterable[int], error: Exception) -> None:
        """Calls that wait for these get the error, which waiting does not change."""
        for run_id in run_ids:
            for future in self._futures.pop(run_id, []):
                if not future.done():
                    future.set_exception(error)
