"""Attempts whose code goes on after a stop: their member stays for them, and settles them itself.

A thread cannot be stopped. If its attempt were released, another worker would run it beside. So the
member's thread goes on beating until the code has ended, settles the attempt by its own connection,
since pool and loop may be gone, and leaves then. Everything else has been given back by that time.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol, cast

from durable.postgres.errors import StatementFault
from durable.protocol.clock import Clock
from durable.store.activities import ActivityStream, Attempt, FailedAttempt, Settlement
from durable.store.membership import Ask
from durable.telemetry.logs import logger
from durable.worker.attempt_code import Outcome
from durable.worker.settlements import after_failure, unwritable

LOOK = 0.1  # seconds between two looks for what has ended


class DetachedAttempts:
    """The attempts of one member that go on after its stop.

    Args:
        schema: the namespace.
        member: the member that holds the attempts.
        clock: the database's time.
        is_over: whether the worker's loop is closed, so that only threads can still end.
    """

    def __init__(self, schema: str, member: int, clock: Clock, is_over: Callable[[], bool]) -> None:
        self._schema = schema
        self._member = member
        self._clock = clock
        self._is_over = is_over
        self._left: dict[int, Attempt] = {}
        self._ended: queue.SimpleQueue[tuple[Attempt, Outcome]] = queue.SimpleQueue()

    @property
    def left(self) -> list[Attempt]:
        """What has not been settled yet; may be read by any thread."""
        return list(self._left.values())

    def warn(self) -> None:
        """Log what goes on."""
        logger.warning(
            "stopped, but for threads that go on: %s; no other worker runs these attempts until"
            " they end or this process does: call durable.heartbeat() in them to notice a stop",
            ", ".join(sorted({f"{a.name} (run {a.jid})" for a in self.left})),
        )

    def add(self, attempts: Iterable[Attempt]) -> None:
        """These go on."""
        self._left.update((a.id, a) for a in attempts if a.id is not None)

    def ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """One has ended; called on any thread."""
        self._ended.put((attempt, outcome))

    async def settle(self, ask: Ask) -> None:
        """Settle each when it ends; returns when none is left. Runs on the member's loop."""
        stream = ActivityStream(_MemberConnection(self._schema, ask))
        while self._left:
            try:
                attempt, outcome = self._ended.get_nowait()
            except queue.Empty:
                if self._is_over():
                    return  # the rest is freed as of a member that died
                await asyncio.sleep(LOOK)
            else:
                try:
                    await self._settle(stream, attempt, outcome)
                except BaseException:
                    self._ended.put((attempt, outcome))  # the answer is lost: it is sent again
                    raise
                self._left.pop(attempt.id or 0, None)

    async def _settle(self, stream: ActivityStream, attempt: Attempt, outcome: Outcome) -> None:
        message = attempt.id or 0
        ended: Settlement | FailedAttempt
        if outcome.data is not None:
            ended = Settlement(message, outcome.data, None)
        elif outcome.failure is not None:
            ended = after_failure(attempt, message, outcome.failure, self._clock.now())
        elif not attempt.last:
            await stream.unclaim(self._member, [message])
            return
        else:
            return  # its outcome is recorded as unknown when the member leaves
        try:
            await self._write(stream, ended)
        except StatementFault as refused:
            error = unwritable(refused)
            if isinstance(ended, Settlement):
                ended = replace(ended, message=None, error=error)
            else:
                ended = replace(ended, error=error)
            await self._write(stream, ended)

    async def _write(self, stream: ActivityStream, ended: Settlement | FailedAttempt) -> None:
        if isinstance(ended, Settlement):
            await stream.settle(self._member, [ended])
        else:
            await stream.retry(self._member, [ended])


class _Connection(Protocol):
    async def fetch(self, statement: str, *args: object) -> object: ...


class _MemberConnection:
    """The member's connection; implements `durable.store.activities.Asks`."""

    def __init__(self, schema: str, ask: Ask) -> None:
        self.schema = schema
        self._ask = ask

    async def fetch(self, statement: str, *args: object) -> list[object]:
        async def fetch(connection: object) -> object:
            return await cast("_Connection", connection).fetch(statement, *args)

        return cast("list[object]", await self._ask(fetch))
