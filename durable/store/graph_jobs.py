"""Jobs of hand-written graphs and what their activities did, as rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from durable.postgres.columns import BigInt, Boolean, Integer, Text
from durable.postgres.connections import Connection
from durable.postgres.database import Row
from durable.postgres.sql import SqlFile


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be inserted; all data as JSON text. `over`: it has ended, or counts as ended.

    `pending`: for how many seconds it waits to be resumed, None when it begins at once. `request`:
    unique; a start that meets its own has happened.
    """

    jid: str
    app_id: str
    graph: str
    version: str
    state: str
    status: int
    input: str
    output: str
    error: str | None
    metadata: str
    parent_run_id: int | None
    reply_to: tuple[str, ...]
    over: bool
    pending: float | None = None
    request: UUID | None = None


@dataclass(frozen=True, slots=True)
class SavedJob:
    """What a step changes of a job.

    Attributes:
        over: whether it has ended, or counts as ended.
    """

    run_id: BigInt
    state: Text
    status: BigInt
    output: Text
    error: Text | None
    metadata: Text | None
    over: Boolean


@dataclass(frozen=True, slots=True)
class SavedInstance:
    """One instance of an activity as it is after a step."""

    run_id: BigInt
    dad: Text
    aid: Text
    open: Boolean
    replies: Integer
    code: Integer | None
    input: Text | None
    output: Text | None
    hook: Text | None
    error: Text | None
    settled: Boolean


@dataclass(frozen=True, slots=True)
class ActivityAddress:
    """Where in a run activities stand: all that share a dimensional address."""

    run_id: BigInt
    dad: Text


SQL = SqlFile(
    "durable.store", "sql/graph_jobs.sql",
    jobs=SavedJob, instances=SavedInstance, addresses=ActivityAddress,
)  # fmt: skip


class GraphJobStore:
    """Graph jobs and the table `activities`, on a connection that the caller passes."""

    def __init__(self, schema: str) -> None:
        self._sql = SQL.load(schema)

    async def start(self, connection: Connection, job: NewJob) -> int | None:
        """Insert a job; its run id, None when its id is taken.

        Who starts a job under an id that others may choose holds the id's lock (`HookStore.lock`).
        """
        run_id: int | None = await connection.fetchval(
            *self._sql.bind(
                "start",
                jid=job.jid,
                app_id=job.app_id,
                graph=job.graph,
                version=job.version,
                state=job.state,
                status=job.status,
                input=job.input,
                output=job.output,
                error=job.error,
                metadata=job.metadata,
                parent_run_id=job.parent_run_id,
                reply_to=list(job.reply_to),
                over=job.over,
                pending=job.pending,
                request=job.request,
            ),
        )
        return run_id

    async def requested(self, connection: Connection, request: UUID) -> Row | None:
        """The job that this request has started."""
        row: Row | None = await connection.fetchrow(*self._sql.bind("requested", request=request))
        return row

    async def lock(self, connection: Connection, run_ids: Iterable[int]) -> list[Row]:
        """The jobs that no other engine is stepping, locked until commit."""
        rows: list[Row] = await connection.fetch(*self._sql.bind("lock", run_ids=list(run_ids)))
        return rows

    async def lock_one(self, connection: Connection, run_id: int) -> Row | None:
        """One job, locked until commit, after waiting for an engine that is stepping it."""
        row: Row | None = await connection.fetchrow(*self._sql.bind("lock_one", run_id=run_id))
        return row

    async def find(self, connection: Connection, app_id: str, jid: str) -> Row | None:
        """The latest job of an id."""
        row: Row | None = await connection.fetchrow(*self._sql.bind("find", app_id=app_id, jid=jid))
        return row

    async def latest(
        self, connection: Connection, app_id: str, jids: Sequence[str], before: int
    ) -> list[Row]:
        """The latest jobs of these ids whose runs have lower numbers, the newest first."""
        rows: list[Row] = await connection.fetch(
            *self._sql.bind("latest", app_id=app_id, jids=jids, before=before)
        )
        return rows

    async def read(
        self, connection: Connection, run_ids: Iterable[int], *, ended: bool = False
    ) -> list[Row]:
        """Jobs as they are now; with `ended`, those alone that have ended."""
        rows: list[Row] = await connection.fetch(
            *self._sql.bind("read", run_ids=list(run_ids), ended=ended)
        )
        return rows

    async def save(self, connection: Connection, jobs: Sequence[SavedJob]) -> None:
        """Write what a step changed of jobs; those that are over expire from then on."""
        await connection.execute(*self._sql.bind("save", jobs=jobs))

    async def instances(
        self, connection: Connection, addresses: Iterable[tuple[int, str]]
    ) -> list[Row]:
        """What activities did at these addresses (run id, dimension)."""
        wanted = [ActivityAddress(*address) for address in sorted(set(addresses))]
        rows: list[Row] = await connection.fetch(*self._sql.bind("instances", addresses=wanted))
        return rows

    async def history(self, connection: Connection, run_id: int) -> list[Row]:
        """Everything that the activities of a job did."""
        rows: list[Row] = await connection.fetch(*self._sql.bind("history", run_id=run_id))
        return rows

    async def save_instances(
        self, connection: Connection, instances: Sequence[SavedInstance]
    ) -> None:
        """Write instances of activities."""
        await connection.execute(*self._sql.bind("save_instances", instances=instances))

    async def open_children(self, connection: Connection, run_ids: Iterable[int]) -> list[int]:
        """The running jobs that these await."""
        rows = await connection.fetch(*self._sql.bind("open_children", run_ids=list(run_ids)))
        return [r["run_id"] for r in rows]

    async def ended_since(
        self, connection: Connection, app_id: str, graphs: Iterable[str], since: datetime
    ) -> list[int]:
        """The runs of these graphs that ended since a moment, and emissions; oldest first."""
        rows = await connection.fetch(
            *self._sql.bind("ended_since", app_id=app_id, graphs=list(graphs), since=since)
        )
        return [r["run_id"] for r in rows]

    async def emit(self, connection: Connection, run_id: int, status: int, output: str) -> int:
        """Keep a job's state of this moment (JSON text); the emission's id."""
        emission: int = await connection.fetchval(
            *self._sql.bind("emit", run_id=run_id, status=status, output=output)
        )
        return emission

    async def emitted(self, connection: Connection, ids: Iterable[int]) -> list[Row]:
        """Jobs as they were at these emissions; `now` is when."""
        rows: list[Row] = await connection.fetch(*self._sql.bind("emitted", ids=list(ids)))
        return rows

    async def forget_passes(
        self, connection: Connection, run_id: int, ancestor: tuple[str, str],
        below: Sequence[str], before: tuple[str, int],
    ) -> None:  # fmt: skip
        """Delete what was done in passes of a cycle that the job has left behind.

        Args:
            connection: in a transaction.
            run_id: the job.
            ancestor: the activity that is entered again (id, address of its first leg).
            below: the activities below it.
            before: how the addresses of its answers begin, and the number of the first that stays.
        """
        await connection.execute(
            *self._sql.bind(
                "forget_passes", run_id=run_id, below=list(below), ancestor=ancestor[0],
                leg=ancestor[1], prefix=before[0], number=before[1],
            )
        )  # fmt: skip
