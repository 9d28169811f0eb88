"""An interruption that descends to workflows: they are cancelled, and later terminated.

How a run is asked to stop, by its parent or by a graph, is one block: `store/sql/cancellation.sql`.

A cancellation is an arrival, in the step that interrupts. What ends the run if it goes on is a
message to the engines of the interrupted job's app, which is due when the time for that is over.
"""

from __future__ import annotations

from collections.abc import Sequence

from durable.engine.job import decode, encode
from durable.engine.steps.graph_outbox import JobStep
from durable.postgres.connections import Connection
from durable.postgres.database import Row
from durable.protocol.failures import Failure
from durable.protocol.messages import MessageKind
from durable.store.graph_messages import Sent
from durable.store.interop import Holder, InteropStore
from durable.store.jobs import SQL, Terminated, terminated, terminating

GRACE = 10.0  # seconds that a cancelled workflow has to end
REASON = "the job that awaited it was interrupted"


class WorkflowCancellation:
    """Stops workflows that jobs of graphs awaited, in one schema."""

    def __init__(self, schema: str) -> None:
        self._store = InteropStore(schema)
        self._sql = SQL.load(schema)

    async def ask(
        self, connection: Connection, placed: Sequence[tuple[JobStep, int]], sent: list[Sent]
    ) -> list[Holder]:
        """Cancel what those of these jobs awaited that ended by an interruption that descends."""
        ended = [(step, run_id) for step, run_id in placed if step.changes.descend is not None]
        if not ended:
            return []
        app_id = ended[0][0].changes.job.app_id
        found = await self._store.cancel_awaited(connection, [run_id for _, run_id in ended])
        sent.extend(
            Sent(
                app_id,
                MessageKind.TERMINATE,
                encode({"run_id": workflow.run_id}, "a termination"),
                delay=GRACE,
            )
            for workflow in found
        )
        return found

    async def carry_out(
        self, connection: Connection, rows: Sequence[Row]
    ) -> tuple[list[int], list[tuple[int, Terminated]]]:
        """Terminate the workflows that have not ended in time.

        The messages that are done, and the runs that were ended by them.
        """
        due = [row for row in rows if row["msg_type"] == MessageKind.TERMINATE]
        failure = Failure("WorkflowTerminated", REASON, "terminated")
        stopped = []
        for row in due:
            run_id = decode(row["message"])["run_id"]
            ended = terminated(await connection.fetch(*terminating(self._sql, run_id, failure)))
            if ended is not None:
                stopped.append((run_id, ended))
        return [row["id"] for row in due], stopped
