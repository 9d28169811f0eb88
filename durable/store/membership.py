"""Membership: a process's lease on everything it holds, kept by a thread of its own.

A member is alive while its session holds an advisory lock, or has beaten lately. The thread has its
own event loop and its own connection, so that user code which blocks the process's loop does not
look like death. The connection holds the lock and sends beats and sweeps.

A connection that broke is opened again and the lock taken again. If the member was not reaped
meanwhile it is still the same member, and nothing was lost. If it was, `on_lost` is called: the
process must cancel what the member ran, and joins as a new member.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial

from durable.errors import DatabaseError
from durable.postgres.address import Address
from durable.postgres.errors import ConnectionLost, retryable
from durable.runtime.clocks import MemberClock
from durable.runtime.liveness import SILENT, LivenessMonitor
from durable.runtime.supervision import FAILURES_MAX, Broken, Tasks, backoff
from durable.store.announcer import Announcer
from durable.store.lease import Lease
from durable.store.member_connection import MemberConnection
from durable.store.members import MemberStore
from durable.store.sweeper import Sweeper, announce_reaped
from durable.telemetry.logs import logger

BEAT_BUSY = 0.5  # a third of what makes a beat overdue
BEAT_IDLE = 20.0  # well under the minute after which even a locked member counts as dead
CLOCK_READINGS = 4  # of the database's clock at the beginning; the quickest counts
PROMPT = 1.0  # seconds: a beat that is answered later is no evidence about the lanes
SAY_AT, SAY_EVERY = 5, 60  # beats in a row that failed, after which a warning is logged

Ask = Callable[[Callable[[object], Awaitable[object]]], Awaitable[object]]


@dataclass(frozen=True)
class MemberCallbacks:
    """What a host answers to its member; all but `busy` are called on the loop that joined.

    Attributes:
        busy: whether the member holds anything; read by the thread.
        on_lost: this process has stopped being that member: it was declared dead, left by itself,
            or its thread broke.
        on_joined: this process is a new member, of this id.
        on_prune: it is this member's turn to prune, about once a minute of all members.
        on_broken: the member's thread cannot go on.
    """

    busy: Callable[[], bool]
    on_lost: Callable[[], object]
    on_joined: Callable[[int], object]
    on_prune: Callable[[], object]
    on_broken: Broken


class Membership:
    """One member: it joins, beats, sweeps and leaves.

    Args:
        address: the database.
        schema: the namespace in it.
        name: for people; the task queue, usually.
        announcer: notifies others of what a reaped member has freed.
        callbacks: those of the host.

    Attributes:
        silence: the lanes that this member watches: where one is silent while the member's own
            connection answers, the member leaves and joins anew.
        lease: whether this process is still the member; where code that is to begin waits.
    """

    def __init__(
        self, address: Address, schema: str, name: str, announcer: Announcer,
        callbacks: MemberCallbacks,
    ) -> None:  # fmt: skip
        self.id = 0
        self.clock = MemberClock(on_doubt=self._beat_now)
        self._store = MemberStore(schema)
        self._name, self._announcer, self._callbacks = name, announcer, callbacks
        self._outer: asyncio.AbstractEventLoop | None = None
        self._inner: asyncio.AbstractEventLoop | None = None
        self._nudge: asyncio.Event | None = None
        self._stopping = self._resting = self._away = self._silent = False
        self._thread: threading.Thread | None = None
        self._joined: asyncio.Future[int] | None = None
        self._work: asyncio.Task[None] | None = None
        self._known = 0  # the id that the joining loop knows
        self._connection = MemberConnection(address, self._beat_after_loss)
        self._sweeper = Sweeper(
            self._connection, self._store, announcer, self.clock, self._call, callbacks.on_prune
        )
        self.silence = LivenessMonitor(self.clock.host)
        self.lease = Lease(self.clock.monotonic, self._beat_now)

    @property
    def place(self) -> tuple[int, int]:
        """How many members of this name came before it, and how many there are, lately."""
        return self._sweeper.place

    async def join(self) -> int:
        """Become a member; the id under which this process now holds leases."""
        self._outer = asyncio.get_running_loop()
        joined = self._joined = self._outer.create_future()  # ours: the thread forgets its own
        self._thread = threading.Thread(target=self._run, name="durable member", daemon=True)
        self._thread.start()
        self.id = await joined
        return self.id

    def awake(self) -> None:
        """The member has begun to hold something: beat soon. Cheap when it is beating anyway."""
        if self._resting and self._inner is not None and self._nudge is not None:
            self._resting = False
            self._inner.call_soon_threadsafe(self._nudge.set)

    def _beat_now(self) -> None:
        """Ask the database for the time: this machine's clocks disagree about how long it was."""
        if self._inner is not None and self._nudge is not None:
            with contextlib.suppress(RuntimeError):  # the thread's loop has ended by itself
                self._inner.call_soon_threadsafe(self._nudge.set)

    async def leave(self, within: float = 10.0) -> None:
        """Stop being a member, after everything held was given back."""
        await asyncio.to_thread(self.leave_at_once, within)

    def leave_at_once(self, within: float) -> bool:
        """The same from any thread, whatever its loop does; whether it was done in time.

        What is held still is freed as of one who died: what may not be repeated ends as unknown.
        """
        self._stopping = True
        self._beat_now()
        return self.joined_within(within)

    def joined_within(self, seconds: float) -> bool:
        """Wait so long for the member's thread to end; whether it has, or never began."""
        if self._thread is None:
            return True
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def give_up(self, run: int, error: str, within: float, backend: int = 0) -> bool:
        """Free all that is held, and blame `run` for it; on any thread, however the loop stands.

        This process is no member then, until its loop goes on: it joins anew. `backend`: the
        server's process whose open transaction is ended first. Returns whether that was done in
        time.
        """
        if self._inner is None:
            return False
        try:
            giving = asyncio.run_coroutine_threadsafe(
                self._give_up(run, error, backend), self._inner
            )
            giving.result(within)
        except (TimeoutError, RuntimeError, DatabaseError) as failed:
            logger.warning("what is held could not be freed: %s", failed or type(failed).__name__)
            return False
        return True

    async def _give_up(self, run: int, error: str, backend: int) -> None:
        self._away = True
        self.lease.end()
        member, self.id = self.id, 0
        if backend:
            await self._connection.query(lambda c: self._store.end_transaction(c, backend))
        await self._connection.query(lambda c: self._store.blame(c, member, run, error))
        reaped = await self._connection.query(lambda c: self._store.reap(c, member))
        self._connection.drop()
        self._call(announce_reaped, self._announcer, reaped)
        self._call(self._callbacks.on_lost)
        self._call(self._return)

    def _return(self) -> None:
        """The process's loop goes on: join anew."""
        self._away = False
        self._beat_now()

    def stay(self, work: Callable[[Ask], Coroutine[object, object, None]]) -> None:
        """Leave when `work` is done, which asks by the member's connection, on its thread."""
        if self._inner is not None:
            with contextlib.suppress(RuntimeError):
                self._inner.call_soon_threadsafe(self._begin_work, work)

    def _begin_work(self, work: Callable[[Ask], Coroutine[object, object, None]]) -> None:
        self._work = asyncio.create_task(self._until_done(work), name="durable last work")

    async def _until_done(self, work: Callable[[Ask], Coroutine[object, object, None]]) -> None:
        try:
            while True:
                try:
                    await work(self._connection.query)
                except DatabaseError as error:  # it is begun again, and fenced by the member's id
                    if not retryable(error, host=True):
                        raise
                    await asyncio.sleep(0.2)
                else:
                    return
        finally:
            self._stopping = True
            self._beat_now()

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except Exception as error:  # noqa: BLE001 - whatever it is: the host ends by it
            self._call(self._say_broken, error)
        finally:
            if not self._stopping:  # without its beat this process must not go on writing
                self._call(self._callbacks.on_lost)
            self._call(self.lease.close)

    def _say_broken(self, error: Exception) -> None:
        joined, self._joined = self._joined, None
        if joined is not None and not joined.done():
            joined.set_exception(error)
            return
        logger.critical("the thread of member %d broke: %s", self.id, error, exc_info=error)
        self._callbacks.on_broken("membership", error)

    async def _live(self) -> None:
        self._inner = asyncio.get_running_loop()
        self._nudge = asyncio.Event()
        sweeper = Tasks(
            f"member {self._name!r}",
            lambda name, error: self._call(self._callbacks.on_broken, name, error),
            self.clock.host,
        ).keep("sweep", partial(self._sweeper.run, lambda: self.id, self._beat_after_loss))
        try:
            await self._beat_until_stopped()
        finally:
            sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeper
            self._connection.drop()

    async def _beat_until_stopped(self) -> None:
        failures = 0
        while not self._stopping:
            began = self.clock.monotonic()
            try:
                await self._beat()
                if self._silent:
                    await self._leave_for_another()
                    continue
            except DatabaseError as error:
                failures += 1
                self._sweeper.postpone()
                self._connection.drop()
                if self._joined is not None and not isinstance(error, ConnectionLost):
                    self._call(self._joined.set_exception, error)
                    self._stopping = True
                    return
                self._say(failures, error)
                await self._pause(backoff(failures, first=0.2, most=2.0))
                continue
            failures = 0
            if self.clock.monotonic() - began < PROMPT:
                self._call(self._look_at_lanes)
            self._resting = not self._callbacks.busy()
            await self._pause(BEAT_IDLE if self._resting else BEAT_BUSY)
            self._resting = False
        with contextlib.suppress(DatabaseError):
            reaped = await self._connection.query(lambda c: self._store.reap(c, self.id))
            self._call(announce_reaped, self._announcer, reaped)

    def _say(self, failures: int, error: DatabaseError) -> None:
        """A refusal that does not pass ends the host in the end; all others are waited out."""
        if not retryable(error, host=True) and failures >= FAILURES_MAX:
            raise error
        if failures == SAY_AT or failures % SAY_EVERY == 0:
            logger.warning("member %d beats again when Postgres lets it: %s", self.id, error)

    def _look_at_lanes(self) -> None:
        """After a beat that was answered at once, on the loop whose lanes they are."""
        if self.silence.look() >= SILENT and not self._silent:
            logger.warning(
                "member %d beats, but a connection of its host has completed nothing for %g s: it"
                " leaves, so that others take what it holds, and joins anew", self.id, SILENT,
            )  # fmt: skip
            self._silent = True
            self._beat_now()

    async def _leave_for_another(self) -> None:
        """Reap ourselves by the connection that answers; the next beat joins as a new member."""
        self.lease.end()
        reaped = await self._connection.query(lambda c: self._store.reap(c, self.id))
        self._silent = False
        self._call(self._callbacks.on_lost)
        self._call(announce_reaped, self._announcer, reaped)
        self.id = 0
        self._connection.drop()

    async def _beat(self) -> None:
        if self._away:
            return
        if self.id == 0:
            self.id = await self._connection.query(
                lambda c: self._store.join(c, self._name, socket.gethostname(), os.getpid())
            )
        await self._take_lock()
        came, began = self.lease.came, self.clock.monotonic()
        alive = await self._tick()
        if not alive:
            self._call(self._callbacks.on_lost)
        # There, not here: whoever sees a new lease has been told of the end of the old one.
        self._call(self.lease.renew, began if alive else float("-inf"), came)
        if not alive:
            self.id = 0
            self._connection.drop()
            await self._beat()
        elif self._known != self.id:
            for _ in range(CLOCK_READINGS):
                asked = self.clock.monotonic()
                self.clock.synchronize(asked, await self._connection.query(self._store.clock))
            self._known = self.id
            joined, self._joined = self._joined, None
            self._call(self._callbacks.on_joined if joined is None else joined.set_result, self.id)

    async def _tick(self) -> bool:
        """Say "alive", and set the clock by the answer; False: declared dead."""
        asked = self.clock.monotonic()
        now = await self._connection.query(lambda c: self._store.beat(c, self.id))
        if now is not None:
            self.clock.synchronize(asked, now)
        return now is not None

    async def _take_lock(self) -> None:
        """Take the lock, as the member that this process still is, or as a new one."""
        while not self._connection.holds_lock:
            if not await self._connection.lock(lambda c: self._store.lock(c, self.id)):
                # A session that broke keeps the lock for as long as the server takes to notice.
                if self._stopping or not await self._tick():
                    return
                await self._pause(0.2)

    def _beat_after_loss(self) -> None:
        """The connection broke: find out soon whether this process is the member still."""
        self._sweeper.postpone()
        if self._nudge is not None:
            self._nudge.set()

    def _call(self, callback: Callable[..., object], *args: object) -> None:
        if self._outer is not None and not self._outer.is_closed():
            with contextlib.suppress(RuntimeError):  # the process's loop is closing
                self._outer.call_soon_threadsafe(callback, *args)

    async def _pause(self, seconds: float) -> None:
        if self._nudge is None or self._stopping:
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._nudge.wait(), seconds)
        self._nudge.clear()
