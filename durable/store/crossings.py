"""Jobs that are started, and awaited, by a job of the other kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from durable.postgres.columns import BigInt, Bytes, Text
from durable.postgres.sql import SqlFile
from durable.protocol.ids import new_seed


@dataclass(frozen=True, slots=True)
class WorkflowStart:
    """A workflow to be started by an activity of a graph.

    Args:
        jid: its id. input: its arguments by name, as JSON text.
        awaiter_id: the run that awaits it, None where none does.
        awaiter: where in that run, as JSON text.
        channel: who hears of its end, None for nobody.
    """

    jid: Text
    queue: Text
    workflow: Text
    input: Text
    awaiter_id: BigInt | None = None
    awaiter: Text | None = None
    channel: Text | None = None
    seed: Bytes = field(default_factory=new_seed)


SQL: Final = SqlFile("durable.store", "sql/crossings.sql", starts=WorkflowStart)


class CrossingStore:
    """Starts across kinds, on a connection that the caller passes."""

    def __init__(self, schema: str) -> None:
        self._sql = SQL.load(schema)

    async def start_workflows(self, connection: Any, starts: Sequence[WorkflowStart]) -> None:
        """Insert workflows with their wake rows."""
        await connection.execute(*self._sql.bind("start_workflows", starts=starts))
