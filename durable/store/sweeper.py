"""The sweeper: once a second one member looks for dead members, due queues and rows to prune."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial

from durable.errors import DatabaseError
from durable.postgres.errors import ConnectionLost
from durable.runtime.clocks import MemberClock
from durable.runtime.notifications import QueueKind
from durable.store.announcer import Announcer
from durable.store.member_connection import MemberConnection
from durable.store.members import MemberStore, Reaped
from durable.telemetry.logs import logger

SWEEP = 1.0
TRIES = 2  # a second, of all members that are not sweeping
GOLDEN = 0.618  # multiples of it fall evenly between 0 and 1
# After our connection broke, we reap no member: what broke it may have broken theirs.
RETURN = 10.0
TIDY_EVERY = 30  # sweeps


class Sweeper:
    """The sweeps of one member, on its thread.

    Args:
        connection: the member's.
        store: the table of members.
        announcer: notifies others of what a sweep has freed or found due.
        clock: the member's.
        call: calls a function on the loop that joined.
        on_prune: called there when it is this member's turn to prune.

    Attributes:
        place: how many members of this name came before this one, and how many there are, lately.
    """

    def __init__(
        self, connection: MemberConnection, store: MemberStore, announcer: Announcer,
        clock: MemberClock, call: Callable[..., None], on_prune: Callable[[], object],
    ) -> None:  # fmt: skip
        self.place = (0, 1)
        self._connection, self._store, self._announcer = connection, store, announcer
        self._clock, self._call, self._on_prune = clock, call, on_prune
        self._quiet = 0.0
        self._tries = 0

    def postpone(self) -> None:
        """Reap no member for a while: the connection broke."""
        self._quiet = self._clock.monotonic() + RETURN

    async def run(self, member: Callable[[], int], on_lost: Callable[[], None]) -> None:
        """Sweep until cancelled.

        Args:
            member: the id of the member.
            on_lost: called when the connection breaks during a sweep.
        """
        sweeps, wait = 0, SWEEP
        while True:
            await asyncio.sleep(wait)
            if not self._connection.is_open or self._clock.monotonic() < self._quiet:
                continue
            try:
                sweep = await self._connection.query(partial(self._store.sweep, member_id=member()))
                self.place = sweep.place
                wait = SWEEP if sweep.ours else self._pause(member(), sweep.members)
                if sweep.ours:
                    sweeps += 1
                    for dead in sweep.dead:
                        await self.reap(dead)
                    self._call(announce_due, self._announcer, sweep.due)
                    if sweeps % TIDY_EVERY == 0:
                        await self._connection.query(self._store.tidy)
                if sweep.prunes:
                    self._call(self._on_prune)
            except ConnectionLost:
                on_lost()
            except DatabaseError as error:
                logger.warning("looking for dead members failed, and is tried again: %s", error)

    async def reap(self, member: int) -> None:
        """Free what a member holds, so that the takeover of its work can begin."""
        reaped = await self._connection.query(partial(self._store.reap, member_id=member))
        self._call(announce_reaped, self._announcer, reaped)

    def _pause(self, member: int, members: int) -> float:
        """Seconds until a member that was not the first tries again.

        All together ask a few times a second, spread out: another sweeper follows soon after one
        has died, and many members cost no more than a few.
        """
        self._tries += 1
        return max(SWEEP, members / TRIES) * (0.5 + (member + self._tries) * GOLDEN % 1)


def announce_due(announcer: Announcer, due: Iterable[tuple[str, str]]) -> None:
    """Wake the workers of queues that hold something due."""
    for queue, msg_type in due:
        announcer.queue(queue, QueueKind.of(msg_type), amount=0)


def announce_reaped(announcer: Announcer, reaped: Reaped) -> None:
    """Wake those that take over what a member held."""
    announce_due(announcer, reaped.queues)
    for holder in reaped.holders:
        announcer.inbox(holder, 0)
    for app in reaped.engines:
        announcer.engine(app)
