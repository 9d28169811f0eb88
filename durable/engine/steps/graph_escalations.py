"""The part of a step that concerns escalations; graphs that have none never come here."""

from __future__ import annotations

from collections.abc import Sequence

from durable.engine.effects import CloseEscalation, OpenEscalation
from durable.engine.job import encode
from durable.engine.steps.graph_walk import Changes
from durable.postgres.connections import Connection
from durable.store.escalations import Closing, EscalationStore


class EscalationWriter:
    """Writes what steps of jobs lead to in the table `escalations`."""

    def __init__(self, schema: str) -> None:
        self._store = EscalationStore(schema)

    async def write(self, connection: Connection, placed: Sequence[tuple[Changes, int]]) -> None:
        """Open those of waits that begin, close those of waits that have ended, however."""
        opened = [row for changes, run_id in placed for row in _opened(changes, run_id)]
        if opened:
            await self._store.open(connection, opened)
        closed = [row for changes, run_id in placed for row in _closed(changes, run_id)]
        if closed:
            await self._store.close(connection, closed)


def _opened(changes: Changes, run_id: int) -> list[dict[str, object]]:
    job = changes.job
    return [
        {
            **addressed.effect.columns,
            "app_id": job.app_id,
            "run_id": run_id,
            "aid": addressed.aid,
            "dad": addressed.dad,
            "jid": job.jid,
            "graph": job.graph,
        }
        for addressed in changes.effects
        if isinstance(addressed.effect, OpenEscalation)
    ]


def _closed(changes: Changes, run_id: int) -> list[Closing]:
    closed = [
        Closing(
            run_id,
            addressed.dad,
            addressed.aid,
            addressed.effect.status,
            encode(addressed.effect.payload, f"what activity {addressed.aid!r} was answered"),
        )
        for addressed in changes.effects
        if isinstance(addressed.effect, CloseEscalation)
    ]
    if changes.ended:
        closed.append(Closing(run_id, None, None, "cancelled", None))
    return closed
