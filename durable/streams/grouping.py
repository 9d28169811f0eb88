"""Grouping: what many callers ask in one moment goes as one statement."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Generic, TypeVar

from durable.errors import DatabaseError, InternalError
from durable.postgres.errors import retryable
from durable.postgres.loops import HomeLoop
from durable.postgres.retrying import retry_until_connected

T = TypeVar("T")
R = TypeVar("R")


class Grouped(Generic[T, R]):
    """Gathers items while the last group is in flight, and sends them together.

    Args:
        send: answers a list of items with a list of results, in order. When the connection broke it
            is called again with `again` True: the items may have been taken the first time. A group
            that Postgres refuses is halved until the item that it refuses stands alone, and that
            one's caller gets the error.
        most: items in one group.
        lanes: groups that may be in flight at once.
        limit: seconds after which a caller's group is not sent again, and its callers get the
            error; None for a host, which waits for as long as it takes.
    """

    def __init__(
        self,
        send: Callable[[list[T], bool], Awaitable[list[R]]],
        *,
        most: int = 500,
        lanes: int = 2,
        limit: float | None = None,
    ) -> None:
        self._limit = limit
        self._send = send
        self._most = most
        self._lanes = lanes
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._sent: list[list[tuple[T, asyncio.Future[R]]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._home = HomeLoop("what it belongs to")
        self._closed = False

    def ask(self, item: T) -> asyncio.Future[R]:
        """The result for `item`, when its group has come back; it is settled whatever happens.

        Raises `ConfigurationError` on another loop than the one on which this was made, and
        `NotDurableError` in workflow code.
        """
        self._home.check("what goes to Postgres in groups")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        if self._closed:
            future.set_exception(DatabaseError("the connection has been closed: nothing was sent"))
            return future
        self._waiting.append((item, future))
        self._run_lane()
        return future

    def _run_lane(self) -> None:
        # A lane that has just run dry is still in the set while its callers go on.
        if sum(not task.done() for task in self._tasks) < self._lanes:
            task = asyncio.get_running_loop().create_task(self._drain(), name="durable group")
            self._tasks.add(task)
            task.add_done_callback(self._lane_ended)

    def _lane_ended(self, task: asyncio.Task[None]) -> None:
        """A lane that was cancelled leaves what still waits to another."""
        self._tasks.discard(task)
        if self._waiting and not self._closed:
            self._run_lane()

    async def _drain(self) -> None:
        while self._waiting:
            count = min(self._most, len(self._waiting))
            group = [self._waiting.popleft() for _ in range(count)]
            self._sent.append(group)
            try:
                await self._answer(group)
            finally:
                self._sent.remove(group)
                for _, future in group:  # by now settled, unless this lane was cancelled
                    future.cancel()

    async def _answer(
        self, group: list[tuple[T, asyncio.Future[R]]], *, again: bool = False
    ) -> None:
        tried = again

        async def send() -> list[R]:
            nonlocal tried
            again, tried = tried, True
            results = await self._send([item for item, _ in group], again)
            if len(results) != len(group):
                raise InternalError(f"{len(group)} were asked, and {len(results)} were answered")
            return results

        try:
            results = await retry_until_connected(send, host=self._limit is None, limit=self._limit)
        except DatabaseError as error:
            if len(group) == 1 or retryable(error, host=True):  # time is up for each of them
                _fail(group, error)
                return
            middle = len(group) // 2
            await self._answer(group[:middle], again=tried)
            await self._answer(group[middle:], again=tried)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the callers' to hear of
            _fail(group, error)
            return
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def close(self, grace: float = 3.0) -> None:
        """Wait up to `grace` seconds for what is in flight; who still waits then is cancelled."""
        self._closed = True
        if self._tasks:
            _, late = await asyncio.wait(list(self._tasks), timeout=grace)
            for task in late:  # not awaited: the driver waits for the server even then
                task.cancel()
        for _, future in (*self._waiting, *chain.from_iterable(self._sent)):
            future.cancel()


def _fail(group: list[tuple[T, asyncio.Future[R]]], error: Exception) -> None:
    for _, future in group:
        if not future.done():
            future.set_exception(error)
