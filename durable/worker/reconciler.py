"""What this worker's member has reserved in the tables, against what the worker holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from durable.postgres.retrying import retry_until_connected
from durable.runtime.clocks import SYSTEM, HostClock
from durable.runtime.reconciler import APART, Reconciler
from durable.store.runs import Look, RunStream
from durable.telemetry.logs import logger
from durable.worker.attempts import Attempts
from durable.worker.workflow_worker import WorkflowWorker

ROWS = 1_000.0  # of those held are looked at in a second, on average
RECENT = 3.0  # seconds


class PollWindow:
    """What the polls of one worker have looked at.

    Args:
        clock: measures the seconds between them.

    Example:
        >>> PollWindow().after is None  # nothing has been looked at yet
        True
    """

    def __init__(self, clock: HostClock = SYSTEM) -> None:
        self._clock = clock
        self._ids: deque[tuple[float, int]] = deque()  # when it was the last one given out
        self._whole = float("-inf")  # when all is to be looked at again

    @property
    def after(self) -> int | None:
        """The next poll looks at inbox rows after this id; None: at all that is held."""
        now = self._clock.monotonic()
        while len(self._ids) > 1 and self._ids[1][0] <= now - RECENT:
            self._ids.popleft()
        if now >= self._whole or not self._ids or self._ids[0][0] > now - RECENT:
            return None
        return self._ids[0][1]

    def looked(self, last_id: int, held: int | None) -> None:
        """Note what a poll has seen.

        Args:
            last_id: the last id that the database had given out.
            held: how many rows are held; None where the poll did not look at them.
        """
        now = self._clock.monotonic()
        self._ids.append((now, last_id))
        if held is not None:
            self._whole = now + held / ROWS

    def look_again(self, within: float) -> None:
        """Look at all that is held again in so many seconds, if not before."""
        self._whole = min(self._whole, self._clock.monotonic() + within)


class WorkerReconciler:
    """The reconciler of one worker.

    Args:
        runs: the stream that says what is reserved.
        host: the runs held. attempts: those that run.
        freed: called when rows were let go of: somebody is to claim them.
        graphs: rows of work for graphs that is under way.
        clock: measures the seconds between two looks.
    """

    def __init__(
        self,
        runs: RunStream,
        host: WorkflowWorker,
        attempts: Attempts,
        freed: Callable[[], None],
        graphs: Callable[[], set[int]] = set,
        clock: HostClock = SYSTEM,
    ) -> None:
        self.flights = Reconciler(clock)
        self._horizon = PollWindow(clock)
        self._runs = runs
        self._host = host
        self._attempts = attempts
        self._freed, self._graphs = freed, graphs

    def _rows(self) -> set[int]:
        running = {a.id for a in self._attempts.running() if a.id is not None}
        return running | self._graphs()

    @property
    def after(self) -> int | None:
        """What the next poll has to look at: see `RunStream.look`."""
        return self._horizon.after

    async def compare(self, look: Look) -> None:
        """Put right what differs, if a poll has looked at what is reserved."""
        member, reserved = self._host.member, look.reserved
        self._horizon.looked(look.last_id, None if reserved is None else reserved.count)
        if reserved is None or not member:
            return
        if not self.flights.is_due(reserved, self._host.reserved() | self._rows()):
            return
        held = await retry_until_connected(lambda: self._runs.held(member))
        if member != self._host.member:
            return
        running = self._rows()
        found = self.flights.look(
            held,
            lambda row, run: row in running or self._host.knows(row, run),
            self._host.settled() | {row for row in running if self._is_settled(row)},
        )
        if self.flights.doubtful:
            self._horizon.look_again(APART)
        for row in found.lost:
            logger.warning("row %d is reserved by us no more; what we do of it is stopped", row)
            self._host.over(row)
            self._attempts.stop_message(row)
        if found.forgotten:
            logger.warning(
                "%d rows were reserved by us without our knowledge, and are let go of",
                len(found.forgotten),
            )
            rows = list(found.forgotten)
            await retry_until_connected(lambda: self._runs.release(member, rows))
            self._freed()

    def _is_settled(self, row: int) -> bool:
        return not self._host.knows(row, 0)
