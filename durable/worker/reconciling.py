"""What this worker's member has reserved in the tables, against what the worker holds."""

from __future__ import annotations

from collections.abc import Callable

from durable.postgres.retrying import retry_until_connected
from durable.runtime.clocks import SYSTEM, HostClock
from durable.runtime.reconciler import APART, Reconciler
from durable.store.runs import Look, RunStream
from durable.telemetry.logs import logger
from durable.worker.attempts import Attempts
from durable.worker.horizon import Horizon
from durable.worker.workflow_worker import WorkflowWorker


class Reconciling:
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
        self._horizon = Horizon(clock)
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
