"""Passes of cycles that are forgotten while their job goes on."""

from __future__ import annotations

from collections.abc import Sequence

from durable.postgres.connections import Connection
from durable.postgres.sql import SqlFile

SQL = SqlFile("durable.store", "sql/passes.sql")


class PassStore:
    """What activities did in passes of a cycle, on a connection that the caller passes."""

    def __init__(self, schema: str) -> None:
        self._sql = SQL.load(schema)

    async def forget(
        self,
        connection: Connection,
        run_id: int,
        ancestor: tuple[str, str],
        below: Sequence[str],
        before: tuple[str, int],
    ) -> None:
        """Delete what was done in passes with a lower number than `before` (prefix, number).

        Args:
            connection: in a transaction.
            run_id: the job.
            ancestor: the activity that is entered again (id, address of its first leg).
            below: the activities below it.
            before: how the addresses of its answers begin, and the number of the first that stays.
        """
        await connection.execute(
            *self._sql.bind(
                "forget", run_id=run_id, below=list(below), ancestor=ancestor[0], leg=ancestor[1],
                prefix=before[0], number=before[1],
            )
        )  # fmt: skip
