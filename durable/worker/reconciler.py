"""What this worker's member has reserved in the tables, against what the worker holds.

Looking at all costs what is held, so it is done once for so many rows a second: each poll while
there are few. Between two such looks a poll reads the inbox rows of the last seconds; one whose
writer took longer to commit than that is found by the next look at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from durable.postgres.retries import retry_until_connected
from durable.runtime.clocks import SYSTEM, HostClock
from durable.runtime.reconciler import APART, Reconciler
from durable.store.runs import Look
from durable.telemetry.logs import logger
from durable.worker.attempts import Attempts
from durable.worker.graph_topics import GraphTopics
from durable.worker.worker_context import WorkerContext
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
        context: the member.
        workflows: the runs that it holds.
        attempts: those that run.
        graphs: work for graphs that it holds.
        freed: called when rows were let go of, and have to be claimed again.
    """

    def __init__(
        self, context: WorkerContext, workflows: WorkflowWorker, attempts: Attempts,
        graphs: GraphTopics, freed: Callable[[], None],
    ) -> None:  # fmt: skip
        self.flights = Reconciler(context.clock.host)
        self._window = PollWindow(context.clock.host)
        self._context = context
        self._workflows = workflows
        self._attempts = attempts
        self._graphs = graphs
        self._freed = freed

    @property
    def after(self) -> int | None:
        """What the next poll has to look at: see `RunStream.look`."""
        return self._window.after

    async def compare(self, look: Look) -> None:
        """Put right what differs, if a poll has looked at what is reserved."""
        member, reserved = self._context.member, look.reserved
        self._window.looked(look.last_id, None if reserved is None else reserved.count)
        if reserved is None or not member:
            return
        if not self.flights.is_due(reserved, self._workflows.reserved() | self._rows()):
            return
        runs = self._context.services.runs
        held = await retry_until_connected(lambda: runs.held(member))
        if member != self._context.member:
            return
        running = self._rows()
        found = self.flights.look(
            held,
            lambda row, run: row in running or self._workflows.knows(row, run),
            self._workflows.runs.settled()
            | {r for r in running if not self._workflows.knows(r, 0)},
        )
        if self.flights.doubtful:
            self._window.look_again(APART)
        for row in found.lost:
            logger.warning("row %d is reserved by us no more; what we do of it is stopped", row)
            self._workflows.over(row)
            self._attempts.stop_message(row)
        if found.forgotten:
            rows = list(found.forgotten)
            logger.warning("%d rows were reserved by us unknown to us, and are released", len(rows))
            await retry_until_connected(lambda: runs.release(member, rows))
            self._freed()

    def _rows(self) -> set[int]:
        running = {a.id for a in self._attempts.running() if a.id is not None}
        return running | self._graphs.rows()
