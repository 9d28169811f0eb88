"""Membership: a process's lease on everything it holds, kept by a thread of its own.

A member is alive while its session holds an advisory lock, or has beaten lately. The thread has its own
event loop and its own two connections, so that user code which blocks the process's loop does not look
like death: one connection holds the lock and beats, the other tries once a second to become the sweeper,
and then looks once a second for members to bury.

A connection that broke is opened again and the lock taken again; when the member was not buried
meanwhile it is still the same member, and nothing was lost. When it was, `on_lost` is called: what it
ran must be cancelled, and a new member begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from durable.errors import DatabaseError
from durable.postgres.pool import ConnectionLost, open_connection, translating
from durable.protocol.clock import whole
from durable.streams.announce import Announcer
from durable.streams.members import Burial, MemberStore
from durable.telemetry.logs import logger

BEAT_BUSY = 0.5  # a third of what makes a beat overdue
BEAT_IDLE = 20.0  # well under the minute after which even a locked member counts as dead
SWEEP = 1.0
RETURN = 10.0  # after a sweeper's connection broke: what broke it may have broken everybody's
TIDY_EVERY = 30  # sweeps


class MemberClock:
    """The database's time, from this process's clock and the offset measured at each beat."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        """Unix seconds, whole microseconds."""
        return whole(time.time() + self.offset)  # noqa: TID251 - this is the Clock


class Membership:
    """One member: joins, beats, sweeps, leaves.

    Args:
        dsn, schema: where.
        name: for people; the task queue, usually.
        announcer: tells others whom a burial has freed.
        busy: whether the member holds anything; read by the thread.
        on_lost: called on the joining loop when the member was declared dead.
        on_joined: called there with the id of the new member that follows it.
    """

    def __init__(
        self, dsn: str, schema: str, name: str, announcer: Announcer, *,
        busy: Callable[[], bool], on_lost: Callable[[], Any], on_joined: Callable[[int], Any],
    ) -> None:  # fmt: skip
        self.id = 0
        self.clock = MemberClock()
        self._dsn = dsn
        self._store = MemberStore(schema)
        self._name = name
        self._announcer = announcer
        self._busy = busy
        self._on_lost = on_lost
        self._on_joined = on_joined
        self._outer: asyncio.AbstractEventLoop | None = None
        self._inner: asyncio.AbstractEventLoop | None = None
        self._nudge: asyncio.Event | None = None
        self._stopping = False
        self._resting = False
        self._thread: threading.Thread | None = None
        self._joined: asyncio.Future[int] | None = None
        self._connections: dict[str, Any] = {}

    async def join(self) -> int:
        """Become a member; the id under which this process now holds leases."""
        self._outer = asyncio.get_running_loop()
        self._joined = self._outer.create_future()
        self._thread = threading.Thread(target=self._run, name="durable member", daemon=True)
        self._thread.start()
        self.id = await self._joined
        return self.id

    def awake(self) -> None:
        """The member has begun to hold something: beat soon. Cheap when it is beating anyway."""
        if self._resting and self._inner is not None and self._nudge is not None:
            self._resting = False
            self._inner.call_soon_threadsafe(self._nudge.set)

    async def leave(self) -> None:
        """Stop being a member, after everything held was given back."""
        self._stopping = True
        if self._inner is not None and self._nudge is not None:
            with contextlib.suppress(RuntimeError):  # the thread's loop has ended by itself
                self._inner.call_soon_threadsafe(self._nudge.set)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 10)

    def _run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        self._inner = asyncio.get_running_loop()
        self._nudge = asyncio.Event()
        sweeper = asyncio.create_task(self._sweep())
        try:
            await self._beat_until_stopped()
        finally:
            sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError, DatabaseError):
                await sweeper
            for connection in self._connections.values():
                connection.terminate()

    async def _beat_until_stopped(self) -> None:
        while not self._stopping:
            try:
                await self._beat()
            except DatabaseError as error:
                self._drop("member")
                if self._joined is not None and not isinstance(error, ConnectionLost):
                    self._call(self._joined.set_exception, error)
                    return
                await self._pause(0.2)
                continue
            self._resting = not self._busy()
            await self._pause(BEAT_IDLE if self._resting else BEAT_BUSY)
            self._resting = False
        with contextlib.suppress(DatabaseError):
            burial = await self._query(lambda c: self._store.bury(c, self.id), "member")
            self._call(self._tell, burial)

    async def _beat(self) -> None:
        if not self._is_open("member"):
            await self._enter()
        if not await self._tick():
            self._call(self._on_lost)
            self.id = 0
            self._drop("member")
            await self._enter()
            self._call(self._on_joined, self.id)

    async def _tick(self) -> bool:
        """Say "alive", and set the clock by the answer; False: declared dead."""
        asked = time.time()  # noqa: TID251 - measuring the offset is what a beat is for
        now = await self._query(lambda c: self._store.beat(c, self.id), "member")
        if now is not None:
            self.clock.offset = now - (asked + time.time()) / 2  # noqa: TID251
        return now is not None

    async def _enter(self) -> None:
        """Take the lock: as the member that this process still is, or as a new one."""
        if self.id == 0:
            self.id = await self._query(
                lambda c: self._store.join(c, self._name, socket.gethostname(), os.getpid()),
                "member",
            )
        while not await self._query(lambda c: self._store.lock(c, self.id), "member"):
            # The broken session still has it, for as long as the server takes to notice.
            if self._stopping or not await self._tick():
                return
            await self._pause(0.2)
        joined = self._joined
        if joined is not None:
            await self._tick()
            await self._tick()  # the first one also had to prepare the statement: it took too long to tell time
            self._joined = None
            self._call(joined.set_result, self.id)

    async def _sweep(self) -> None:
        sweeps = 0
        elected = False
        quiet = 0.0
        while True:
            try:
                elected = (elected and self._is_open("sweeper")) or await self._query(
                    self._store.elect, "sweeper"
                )
                if elected and time.monotonic() >= quiet:
                    sweeps += 1
                    await self._bury_the_dead(tidy=sweeps % TIDY_EVERY == 0)
            except ConnectionLost:
                quiet = time.monotonic() + RETURN
                elected = False
                self._drop("sweeper")
            except DatabaseError as error:
                logger.warning("looking for dead members failed, and will be tried again: %s", error)
            await asyncio.sleep(SWEEP)

    async def _bury_the_dead(self, *, tidy: bool) -> None:
        for member in await self._query(self._store.dead, "sweeper"):
            burial = await self._query(lambda c, m=member: self._store.bury(c, m), "sweeper")
            self._call(self._tell, burial)
        if tidy:
            await self._query(self._store.tidy, "sweeper")

    def _tell(self, burial: Burial) -> None:
        for queue, msg_type in burial.queues:
            self._announcer.queue(queue, msg_type)
        for holder in burial.holders:
            self._announcer.inbox(holder, 0)

    def _is_open(self, which: str) -> bool:
        connection = self._connections.get(which)
        return connection is not None and not connection.is_closed()

    async def _query(self, ask: Callable[[Any], Any], which: str) -> Any:
        with translating():
            if not self._is_open(which):
                connection = await open_connection(self._dsn)
                if which == "member":
                    # An idle member would not notice until its next beat that it has lost its lock.
                    connection.add_termination_listener(self._broke)
                self._connections[which] = connection
            return await ask(self._connections[which])

    def _broke(self, _connection: Any) -> None:
        if self._nudge is not None:
            self._nudge.set()

    def _drop(self, which: str) -> None:
        connection = self._connections.pop(which, None)
        if connection is not None:
            connection.terminate()

    def _call(self, callback: Callable[..., Any], *args: Any) -> None:
        if self._outer is not None and not self._outer.is_closed():
            with contextlib.suppress(RuntimeError):  # the process's loop is closing
                self._outer.call_soon_threadsafe(callback, *args)

    async def _pause(self, seconds: float) -> None:
        if self._nudge is None or self._stopping:
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._nudge.wait(), seconds)
        self._nudge.clear()
