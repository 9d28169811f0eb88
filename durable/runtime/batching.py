"""Batching: what many callers send to Postgres at one moment goes as one statement.

Commits of turns, starts, signals and the steps of graphs all wait for a round trip and for the
disk. Items gather while the last batch is in flight, and go together. After an error nothing is
assumed: the sender looks up what happened all the same. What did not happen is sent again if that
may help: in halves if the server took too long, and in ever smaller parts if it keeps failing,
until the item at fault stands alone. That one waits by itself, or its caller gets the error.
Every caller has its future answered, whatever happens.

What differs between kinds of items is their `Sender`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

from durable.errors import DatabaseError, InternalError
from durable.postgres.errors import retryable, timed_out
from durable.postgres.home_loop import HomeLoop
from durable.postgres.retries import retry_until_connected
from durable.protocol.carriers import carrier
from durable.protocol.ids import new_token
from durable.runtime.liveness import Pulse
from durable.runtime.supervision import backoff
from durable.telemetry.logs import logger

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

ITEMS_MAX = 500  # one statement's worth: more only delays the first
BYTES_MAX = 4 << 20  # a statement is held in memory three times: here, on the wire, there

PAUSE_MAX = 0.25  # seconds between two tries while others stand in the way

ALONE_AFTER = 3  # failures of a batch, until each of its items is sent by itself
OFF_LANE = 1.0, 60.0  # seconds that an item that fails alone waits off its lane: first, at most
OFF_LANE_CALLER_MAX = 5.0  # the same, at most, where a caller waits for it


class Again(Enum):
    """In the place of a result: this item has to be sent again."""

    AGAIN = "again"


AGAIN: Final = Again.AGAIN


@carrier
class Batch(Generic[T]):
    """Items that are sent as one.

    Attributes:
        items: the items, in the order in which they were submitted.
        token: of this sending, and of no other.
        again: whether one of them was sent before, and may have been taken then.
    """

    items: Sequence[T]
    token: int
    again: bool = False


class Sender(Protocol[T, R_co]):
    """What a `Batcher` needs to know of its kind of items."""

    async def send(self, batch: Batch[T], /) -> Sequence[R_co | Again]:
        """Carry out all of them in one statement; the results in their order."""
        ...

    async def look_up(self, batch: Batch[T], error: Exception, /) -> Sequence[R_co | Again]:
        """After `error`, wait until Postgres answers, then say what has happened all the same.

        Items for which this gives `AGAIN` are sent again, or refused with the error. What this
        raises is the answer to all of them.
        """
        ...

    def weight(self, item: T, /) -> int:
        """About how many bytes the item is on the wire."""
        ...

    def describe(self, item: T, /) -> str:
        """The item in the words of a log line."""
        ...


class Repeatable(Generic[T, R]):
    """The sender of items that carry a request id: to send them again is to look them up.

    Args:
        name: an item in the words of a log line.
        send: as `Sender.send`; of a batch that is sent again, it finds what was taken before.
        probe: returns once Postgres has answered it.
        limit: seconds that a caller waits for a server that is away; None for a host, which waits
            for as long as it takes.
        weigh: as `Sender.weight`.
    """

    def __init__(
        self,
        name: str,
        send: Callable[[Batch[T]], Awaitable[Sequence[R | Again]]],
        probe: Callable[[], Awaitable[object]],
        *,
        limit: float | None = None,
        weigh: Callable[[T], int] = lambda _item: 0,
    ) -> None:
        self._name = name
        self._send, self._probe = send, probe
        self._limit = limit
        self._weigh = weigh

    async def send(self, batch: Batch[T]) -> Sequence[R | Again]:
        """Send the batch."""
        return await self._send(batch)

    async def look_up(self, batch: Batch[T], error: Exception) -> Sequence[Again]:
        """Wait until Postgres answers, if it was away; nothing is known until they are sent."""
        if retryable(error, host=self._limit is None):
            await retry_until_connected(self._probe, host=self._limit is None, limit=self._limit)
        return [AGAIN] * len(batch.items)

    def weight(self, item: T) -> int:
        """About how many bytes the item is on the wire."""
        return self._weigh(item)

    def describe(self, _item: T) -> str:
        """The kind of item that this sends."""
        return self._name


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T, R]):
    """An item and its future; `failures` counts the passing ones, `until` ends them."""

    item: T
    future: asyncio.Future[R]
    until: float | None
    weight: int = 0
    failures: int = 0
    sent: bool = False

    def refuse(self, error: BaseException) -> None:
        if self.future.done():
            return
        if isinstance(error, asyncio.CancelledError):
            self.future.cancel()
        else:
            self.future.set_exception(error)


class Batcher(Generic[T, R]):
    """Gathers items while the last batch is in flight, and sends them together.

    Args:
        sender: what differs between kinds of items.
        lanes: batches that may be in flight at once.
        most: items in one batch.
        limit: seconds after which a caller's item is not sent again, and gets the last error; None
            for a host, which waits for as long as it takes.

    Attributes:
        pulse: the sign of life of its lanes.

    Example:
        >>> starts = Batcher(Repeatable("a start", send, database.probe))  # doctest: +SKIP
        >>> started = await starts.submit(start)  # doctest: +SKIP
    """

    def __init__(
        self,
        sender: Sender[T, R],
        *,
        lanes: int = 1,
        most: int = ITEMS_MAX,
        limit: float | None = None,
    ) -> None:
        self.pulse = Pulse()
        self._sender = sender
        self._lanes = lanes
        self._most = most
        self._limit = limit
        self._waiting: deque[_Waiting[T, R]] = deque()
        self._aside: dict[_Waiting[T, R], asyncio.TimerHandle] = {}
        self._flights: list[list[_Waiting[T, R]]] = []
        self._watched: list[tuple[list[_Waiting[T, R]], asyncio.Future[None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._home = HomeLoop("what it belongs to")
        self._tokens = itertools.count(new_token() >> 1)  # asking the system each time costs 1 µs
        self._closed = False

    def submit(self, item: T) -> asyncio.Future[R]:
        """The result for `item`, when its batch has come back; it is settled whatever happens.

        Raises `ConfigurationError` on another loop than the one on which this was made, and
        `NotDurableError` in workflow code.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._home.check("what goes to Postgres in batches")
        until = None if self._limit is None else loop.time() + self._limit
        waiting: _Waiting[T, R] = _Waiting(item, loop.create_future(), until)
        try:
            waiting.weight = self._sender.weight(item)
        except Exception as error:  # noqa: BLE001 - it would take the others of its batch with it
            waiting.refuse(error)
        else:
            if self._closed:
                waiting.refuse(DatabaseError("the connection has been closed: nothing was sent"))
            else:
                self._waiting.append(waiting)
                self._run_lane()
        return waiting.future

    async def settled(self) -> None:
        """Return once what is in flight now has come back."""
        loop = asyncio.get_running_loop()
        watched = [(batch, loop.create_future()) for batch in self._flights]
        self._watched += watched
        if watched:
            await asyncio.wait([landed for _, landed in watched])

    async def close(self, grace: float | None = None) -> None:
        """Finish what waits, for `grace` seconds; what waits still is cancelled then."""
        self._closed = True
        for handle in self._aside.values():
            handle.cancel()
        if self._tasks:
            _, late = await asyncio.wait(list(self._tasks), timeout=grace)
            for task in late:  # not awaited: the driver waits for the server even then
                task.cancel()
        for waiting in (
            *self._waiting,
            *self._aside,
            *itertools.chain.from_iterable(self._flights),
        ):
            waiting.future.cancel()
        self._waiting.clear()
        self._aside.clear()

    # --- lanes -----------------------------------------------------------------------------------

    def _run_lane(self) -> None:
        for task in self._tasks:
            if task.done():  # cancelled before it began
                self._tasks.discard(task)
                break
        if len(self._tasks) < self._lanes:
            loop = asyncio.get_running_loop()
            self._tasks.add(loop.create_task(self._drain(), name="durable batch"))

    async def _drain(self) -> None:
        pause = 0.0
        batch: list[_Waiting[T, R]] = []
        try:
            while self._waiting:
                batch = self._gathered()
                self._flights.append(batch)
                with self.pulse:
                    again = await self._send(batch)
                self._landed(batch)
                if again:
                    self._keep(again)
                if len(again) < len(batch):
                    pause = 0.0
                else:  # others stood in the way of every one
                    await asyncio.sleep(pause)
                    pause = min(2 * pause + 0.001, PAUSE_MAX)
        except BaseException as error:
            # Cancelled, or a bug of ours: the callers have to know that their items are not sent.
            if batch in self._flights:
                self._landed(batch)
                for waiting in batch:
                    waiting.refuse(error)
            raise
        finally:
            self._tasks.discard(asyncio.current_task())
            if self._waiting and not self._closed:  # another lane serves those behind it
                self._run_lane()

    def _gathered(self) -> list[_Waiting[T, R]]:
        batch: list[_Waiting[T, R]] = []
        size = 0
        while self._waiting and len(batch) < self._most and size < BYTES_MAX:
            batch.append(self._waiting.popleft())
            size += batch[-1].weight
        return batch

    def _landed(self, batch: list[_Waiting[T, R]]) -> None:
        self._flights.remove(batch)
        if self._watched:
            for flight, landed in self._watched:
                if flight is batch and not landed.done():
                    landed.set_result(None)
            self._watched = [(f, landed) for f, landed in self._watched if not landed.done()]

    def _keep(self, again: list[_Waiting[T, R]]) -> None:
        """Those to be sent again wait their turn, or by themselves."""
        for waiting in again:
            if waiting.failures < ALONE_AFTER:
                self._waiting.append(waiting)
            else:
                self._put_aside(waiting)

    def _put_aside(self, waiting: _Waiting[T, R]) -> None:
        """It has failed alone, and would hold up the others: it waits by itself."""
        first, most = OFF_LANE
        if waiting.until is not None:
            most = OFF_LANE_CALLER_MAX
        wait = backoff(waiting.failures - ALONE_AFTER + 1, first=first, most=most)
        logger.warning(
            "%s failed %d times, and is sent again in %.1f s",
            self._sender.describe(waiting.item), waiting.failures, wait,
        )  # fmt: skip
        loop = asyncio.get_running_loop()
        self._aside[waiting] = loop.call_later(wait, self._take_back, waiting)

    def _take_back(self, waiting: _Waiting[T, R]) -> None:
        if self._aside.pop(waiting, None) is not None:
            self._waiting.append(waiting)
            self._run_lane()

    # --- one batch -------------------------------------------------------------------------------

    async def _send(self, waiting: Sequence[_Waiting[T, R]]) -> list[_Waiting[T, R]]:
        """Send a batch and answer its futures; what is to be sent again comes back."""
        batch = Batch(
            [w.item for w in waiting], next(self._tokens), again=True in [w.sent for w in waiting]
        )
        try:
            results = await self._sender.send(batch)
            return _answered(waiting, results)
        except Exception as error:  # noqa: BLE001 - whatever it is, all of it may have happened
            return await self._after_error(waiting, batch, error)

    async def _after_error(
        self, waiting: Sequence[_Waiting[T, R]], batch: Batch[T], error: Exception
    ) -> list[_Waiting[T, R]]:
        """What happened all the same is answered; the rest is sent again, in parts, or refused."""
        for one in waiting:
            one.sent = True
        try:
            rest = _answered(waiting, await self._sender.look_up(batch, error))
        except Exception as unreadable:  # noqa: BLE001 - the callers get it
            return _refused(waiting, unreadable)
        if retryable(error, host=self._limit is None):
            rest = self._in_time(rest, error)
            # What took too long is sent in halves, for which its connection has twice the time.
            together = not timed_out(error) and all(w.failures < ALONE_AFTER for w in rest)
            if len(rest) <= 1 or together:
                return rest
        elif len(rest) == 1 or retryable(error, host=True):
            return _refused(rest, error)
        middle = (len(rest) + 1) // 2
        again: list[_Waiting[T, R]] = []
        for part in (rest[:middle], rest[middle:]):
            again += await self._send(part) if part else []
        return again

    def _in_time(self, rest: Sequence[_Waiting[T, R]], error: Exception) -> list[_Waiting[T, R]]:
        """Count a failure that passes; a caller whose time is up gets it."""
        now = asyncio.get_running_loop().time()
        left = []
        for waiting in rest:
            waiting.failures += 1
            if waiting.until is not None and now >= waiting.until:
                waiting.refuse(error)
            else:
                left.append(waiting)
        return left


def _answered(
    waiting: Sequence[_Waiting[T, R]], results: Sequence[R | Again]
) -> list[_Waiting[T, R]]:
    """Answer each with its result; those that are to be sent again."""
    if len(results) != len(waiting):
        raise InternalError(f"{len(waiting)} were asked, and {len(results)} were answered")
    again = []
    for one, result in zip(waiting, results, strict=True):
        if result is AGAIN:
            again.append(one)
        elif not one.future.done():
            one.future.set_result(result)
    return again


def _refused(waiting: Sequence[_Waiting[T, R]], error: Exception) -> list[_Waiting[T, R]]:
    for one in waiting:
        one.refuse(error)
    return []
