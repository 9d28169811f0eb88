"""What blocks a worker's event loop: the turn of a run, or an async activity.

It is found, named, and after a limit its member gives everything up: see
`durable.runtime.watchdog`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from durable.protocol.failures import Failure
from durable.replay.drains import Drains
from durable.store.activities import Attempt
from durable.telemetry.logs import logger
from durable.worker.attempts import Attempts


@dataclass(frozen=True, slots=True)
class Blocker:
    """What blocks the loop: a run's code (`run_id`), or the attempt of an async activity."""

    run_id: int
    what: str
    attempt: Attempt | None = None


@dataclass(frozen=True, slots=True)
class BlockedLoop:
    """The event loop of a worker; implements `durable.runtime.watchdog.Watched`.

    Attributes:
        drains: which run's code runs.
        attempts: which activities run.
        is_busy: whether the worker holds anything.
        give_up: called on the watchdog's thread after the limit, with the run to blame (0: an
            attempt that has a row of its own), and why.
    """

    drains: Drains
    attempts: Attempts
    is_busy: Callable[[], bool]
    give_up: Callable[[int, Failure], None]

    @property
    def advice(self) -> str:
        """What to do about it."""
        return "move what computes or blocks into a plain activity"

    def busy(self) -> bool:
        """Whether the worker holds anything."""
        return self.is_busy()

    def key(self, loop: asyncio.AbstractEventLoop) -> tuple[object, ...]:
        """One drain of one run, or one task."""
        if self.drains.run_id:
            return ("run", self.drains.run_id, self.drains.count)
        return ("task", id(asyncio.current_task(loop)))

    def name(self, loop: asyncio.AbstractEventLoop) -> str:
        """Which code it is."""
        return self._blocker(loop).what

    def remedy(
        self, loop: asyncio.AbstractEventLoop, limit: float, stack: str
    ) -> Callable[[], None] | None:
        """Give everything up to others, and blame the run; None for any other code."""
        blocker = self._blocker(loop)
        if not blocker.run_id:
            return None

        def act() -> None:
            logger.critical(
                "%s has held the event loop for %g s: this worker gives its runs to others and is"
                " no member any more, until its loop goes on", blocker.what, limit,
            )  # fmt: skip
            # An attempt that has a row is counted by itself.
            written = blocker.attempt is not None and blocker.attempt.id is not None
            self.give_up(0 if written else blocker.run_id, _deadly(blocker, limit, stack))

        return act

    def _blocker(self, loop: asyncio.AbstractEventLoop) -> Blocker:
        if self.drains.run_id:
            return Blocker(self.drains.run_id, self.drains.label)
        task = asyncio.current_task(loop)
        attempt = None if task is None else self.attempts.of_task(task)
        if attempt is not None:
            return Blocker(
                attempt.run_id, f"activity {attempt.name!r} (run {attempt.jid})", attempt
            )
        return Blocker(0, "something on the event loop")


def _deadly(blocker: Blocker, limit: float, stack: str) -> Failure:
    message = (
        f"{blocker.what} held its worker's event loop for {limit:g} s without yielding, and ten"
        " times it cost its worker: it computes or blocks, without end or for too long; let it"
        " await something, or move that into a plain activity, then resume the run"
    )
    return Failure(type="Deadly", message=message, traceback=stack)
