"""Jobs that are started, and awaited, by a job of the other kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from durable.postgres.columns import BigInt, Bytes, Integer, Text
from durable.postgres.connections import Connection
from durable.postgres.database import Row
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
    """Its arguments, as JSON."""
    awaiter_id: BigInt | None = None
    awaiter: Text | None = None
    seed: Bytes = field(default_factory=new_seed, kw_only=True)
    channel: Text | None = None


@dataclass(frozen=True, slots=True)
class AwaitedJob:
    """A job that a run awaits; `awaiter` says where in it, as JSON text."""

    run_id: BigInt
    awaiter_id: BigInt
    awaiter: Text


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What a step of a workflow hears of a graph that cannot begin; `error` is JSON text."""

    run_id: BigInt
    dad: Text
    topic: Text
    error: Text


@dataclass(frozen=True, slots=True)
class Holder:
    """A run that has something in its inbox, who holds it (None: nobody), and its task queue."""

    run_id: int
    member: int | None
    queue: str


@dataclass(frozen=True, slots=True)
class AwaitingStep:
    """A step of a workflow."""

    run_id: BigInt
    number: Integer


SQL: Final = SqlFile(
    "durable.store", "sql/interop.sql",
    starts=WorkflowStart, awaited=AwaitedJob, steps=AwaitingStep, answers=StepAnswer,
)  # fmt: skip


class InteropStore:
    """Starts and awaits across kinds, on a connection that the caller passes."""

    def __init__(self, schema: str) -> None:
        self._sql = SQL.load(schema)

    async def start_workflows(
        self, connection: Connection, starts: Sequence[WorkflowStart]
    ) -> None:
        """Insert workflows with their wake rows."""
        await connection.execute(*self._sql.bind("start_workflows", starts=starts))

    async def lock_wakes(self, connection: Connection, runs: Iterable[int]) -> None:
        """Have nothing else arrive for these runs, and none of them end, until the commit."""
        await connection.fetch(*self._sql.bind("lock_wakes", runs=sorted(runs)))

    async def waiting(
        self, connection: Connection, steps: Iterable[tuple[int, int]]
    ) -> dict[tuple[int, int], Row]:
        """Those of these steps (run, number) for which their runs wait; each with its run."""
        asked = [AwaitingStep(*step) for step in steps]
        rows = await connection.fetch(*self._sql.bind("waiting", steps=asked)) if asked else ()
        return {(row["run_id"], row["number"]): row for row in rows}

    async def is_asked(self, connection: Connection, request: UUID) -> bool:
        """Whether a graph is still to be begun for a step, or is being begun."""
        return bool(await connection.fetchval(*self._sql.bind("is_asked", request=request)))

    async def asked(self, connection: Connection, message_id: int) -> Row | None:
        """A message that asks for a graph; None: it is another."""
        row: Row | None = await connection.fetchrow(*self._sql.bind("asked", id=message_id))
        return row

    async def await_jobs(self, connection: Connection, awaited: Sequence[AwaitedJob]) -> None:
        """Record the waiters of jobs that were begun in this transaction."""
        await connection.execute(*self._sql.bind("await_jobs", awaited=awaited))

    async def answer(self, connection: Connection, answers: Sequence[StepAnswer]) -> None:
        """Put answers into the inboxes of the runs that wait for them."""
        await connection.execute(*self._sql.bind("answer", answers=answers))

    async def forget(self, connection: Connection, ids: Sequence[int]) -> None:
        """Delete messages whose graphs have begun."""
        await connection.execute(*self._sql.bind("forget", ids=list(ids)))

    async def holders(self, connection: Connection, runs: Iterable[int]) -> list[Holder]:
        """The members that should read the inboxes of these runs."""
        return _holders(await connection.fetch(*self._sql.bind("holders", runs=list(runs))))

    async def cancel_awaited(self, connection: Connection, runs: Iterable[int]) -> list[Holder]:
        """Ask the open workflows to stop that these jobs await."""
        return _holders(await connection.fetch(*self._sql.bind("cancel_awaited", runs=list(runs))))


def _holders(rows: Iterable[Row]) -> list[Holder]:
    return [Holder(row["id"], row["reserved_by"], row["stream_name"]) for row in rows]
