"""Wake rows and inboxes: the holder of a run, and what has arrived for it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from uuid import UUID

from durable.codec.failures import failure_of
from durable.errors import JobFailed
from durable.postgres.columns import BigInt, Text, Uuid
from durable.postgres.database import Database, Row
from durable.postgres.retries import CALLER_TIMEOUT, retry_until_connected
from durable.postgres.sql import SqlFile
from durable.protocol.carriers import carrier
from durable.protocol.clock import from_datetime, to_datetime
from durable.protocol.commits import Arrival
from durable.protocol.facts import Fact, FactKind, UnknownKind, fact_kind
from durable.protocol.failures import Failure, failure_from_json, step_failed
from durable.protocol.graphs import Fault
from durable.protocol.ids import new_request
from durable.protocol.messages import FOR_RUNS, MessageKind
from durable.runtime.reconciler import Reserved

RELEASES_MAX = 10  # in a row: then a run is suspended


@carrier
class ClaimedRun:
    """A run that this member now holds, with what its job row says.

    `hold` counts its claims, this one included; `state` is what it was started with, if it has no
    history yet: attributes and entity. `seed` is likewise of its random numbers: 32 hexadecimal
    digits, other ones in a copy of the database; None for a run started before there were seeds.
    `edit` is the number of the deployment by which its commands are carried out, 0 for none.
    """

    run_id: int
    jid: str
    queue: str
    workflow: str
    version: str | None
    suspended: bool
    revision: int
    issued: int
    pending: list[dict[str, Any]]
    priority: int
    input: str
    started_at: float
    losses: int
    hold: int
    state: dict[str, object] = field(default_factory=dict)
    seed: str | None = None
    edit: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """Something for a run's inbox: msg_type is step, signal or cancel.

    `request_id` tells one that is sent again from another that says the same.
    """

    run_id: BigInt
    msg_type: Text
    topic: Text
    request_id: Uuid = field(default_factory=new_request)
    dad: Text | None = None
    message: Text | None = None
    error: Text | None = None


SQL = SqlFile("durable.store", "sql/runs.sql", messages=Message)


@dataclass(frozen=True, slots=True)
class Reached:
    """A run that took a message.

    Attributes:
        holder: the member that is to hear of it. queue: that which is, where none holds the run.
    """

    run_id: int
    holder: int | None
    queue: str | None


@dataclass(frozen=True, slots=True)
class Look:
    """What a queue holds.

    Whether turns and activities are due, when the next will be (Unix seconds), and the runs of the
    asking member whose inbox was left unread; the last id that was given out; and what the tables
    hold for that member, None where nobody looked. `open_edit`: the deployment of edits that open
    runs follow too, 0 for none. `throttles`: those in force, by name of a workflow or activity, -1
    or milliseconds; `throttle_calls`: who asked whether this member has read them.
    """

    turns: bool
    activities: bool
    next: float | None
    unread: list[int]
    last_id: int
    reserved: Reserved | None
    open_edit: int
    throttles: dict[str, int]
    throttle_calls: list[int]


@dataclass(frozen=True, slots=True)
class Released:
    """How often in a row a run was released by now, and after how many seconds it is due again.

    `suspended`: that was once too often.
    """

    times: int
    delay: float
    suspended: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """Of some runs and attempts (by their messages) those that a member holds no longer."""

    runs: set[int]
    messages: set[int]


def _taken(messages: Sequence[Message], rows: Sequence[Row]) -> dict[UUID, Reached]:
    runs = {r["run_id"]: Reached(r["run_id"], r["reserved_by"], r["stream_name"]) for r in rows}
    return {m.request_id: runs[m.run_id] for m in messages if m.run_id in runs}


def _parsed(text: str | None) -> Any:
    """The value of a JSON text; None for an empty one, which most runs have."""
    return None if text in _EMPTY else json.loads(text)


def claimed_run(row: Row, origin: str) -> ClaimedRun:
    """A claimed row as a value; `origin` names the database."""
    drawn: bytes | None = row["seed"]
    seed = None
    if drawn is not None:
        seed = blake2b(drawn, key=origin.encode()[:64], digest_size=16).hexdigest()
    return ClaimedRun(
        run_id=row["run_id"], jid=row["jid"], queue=row["app_id"], workflow=row["graph"],
        version=row["graph_version"], suspended=row["state"] == "suspended",
        revision=row["revision"], issued=row["issued"], pending=_parsed(row["pending"]) or [],
        priority=row["priority"], input=row["input"], started_at=from_datetime(row["created_at"]),
        losses=row["losses"], hold=row["hold"],
        state=_parsed(row["state"]) or {}, seed=seed, edit=row["edit"] or 0,
    )  # fmt: skip


def _of_child(failure: Failure) -> Failure:
    """How a child failed, as its parent sees it: a cancelled child does not cancel its parent."""
    if failure.kind != "cancelled":
        return failure
    return Failure(
        type="WorkflowCancelled", message=failure.message or "it was cancelled",
        path="durable.errors:WorkflowCancelled", details={"attributes": {"id": ""}},
    )  # fmt: skip


def _of_graph(error: str | None) -> Failure | None:
    """How a graph failed, as its awaiting workflow sees it."""
    if error is None:
        return None
    fault = Fault.from_dict(json.loads(error))
    failed = JobFailed(
        fault.message,
        code=fault.code,
        job_id=fault.job_id,
        stack=fault.stack,
        details=fault.details,
    )
    return failure_of(failed)


def arrival(row: Row) -> Arrival:
    """An inbox row as the fact that it may become. Raises `UnknownKind` for a later version's."""
    settles = row["msg_type"] == MessageKind.STEP
    if settles:
        kind = fact_kind(row["topic"])
    elif row["msg_type"] in FOR_RUNS:
        kind = FactKind(row["msg_type"])
    else:
        raise UnknownKind("a message", row["msg_type"])
    of_graph = settles and kind is FactKind.GRAPH
    failure = _of_graph(row["error"]) if of_graph else failure_from_json(row["error"])
    if settles and failure is not None and kind is not FactKind.GRAPH:
        if kind is FactKind.CHILD:
            failure = _of_child(failure)
        else:
            failure = step_failed("activity", row["aid"] or "", row["retry_attempt"] + 1, failure)
    fact = Fact(
        kind,
        from_datetime(row["created_at"]),
        number=int(row["dad"]) if settles else 0,
        name=(row["aid"] or "") if settles else (row["topic"] or ""),
        data=row["message"],
        failure=failure,
        request=None if row["request_id"] is None else str(row["request_id"]),
    )
    return Arrival(row["id"], fact, row["retry_attempt"] + 1)


class RunStream:
    """The turn rows of `worker_streams`, and the inbox rows of `engine_streams`."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._sql = SQL.load(database.schema)
        self._origin: str | None = None

    async def claim(
        self, member: int, queue: str, workflows: Sequence[str], limit: int, waiting: float = 0.0
    ) -> list[ClaimedRun]:
        """Take up to `limit` runs that have had something to do for `waiting` seconds."""
        rows = await self._db.fetch(
            *self._sql.bind(
                "claim", member=member, queue=queue, workflows=list(workflows), limit=limit,
                waiting=waiting,
            )
        )  # fmt: skip
        if rows and self._origin is None:
            self._origin = str(await self._db.fetchval(self._sql["origin"]))
        return [claimed_run(r, self._origin or "") for r in rows]

    async def look(
        self,
        member: int,
        queue: str,
        workflows: Sequence[str],
        activities: Sequence[str],
        after: int | None = None,
    ) -> Look:
        """What the poll sees: see `Look`.

        With `after` only inboxes with rows after that id are looked into, and what is reserved is
        not counted: else that costs what the member holds.
        """
        (row,) = await self._db.fetch(
            *self._sql.bind(
                "look", member=member, queue=queue, workflows=list(workflows),
                activities=list(activities), after=after,
            )
        )  # fmt: skip
        at = row["next"]
        due = None if at is None or at.year >= _FOREVER else from_datetime(at)
        reserved = Reserved(row["reserved"], row["reserved_ids"]) if after is None else None
        return Look(
            row["turns"], row["activities"], due, row["unread"], row["last_id"] or 0, reserved,
            row["open_edit"],
            dict(zip([*workflows, *activities], row["throttles"] or (), strict=False)),
            row["throttle_calls"],
        )  # fmt: skip

    async def confirm_throttles(self, member: int, queue: str, calls: Sequence[int]) -> None:
        """Answer those who asked whether this member has read the throttles, if any did."""
        if member and calls:
            await self._db.fetch(
                *self._sql.bind("confirm_throttles", member=member, queue=queue, calls=list(calls))
            )

    async def unserved(
        self, queue: str, workflows: Sequence[str], activities: Sequence[str]
    ) -> list[tuple[str, str]]:
        """What waits in a queue and is not among these: ("turn" or "activity", name)."""
        rows = await self._db.fetch(
            *self._sql.bind(
                "unserved", queue=queue, workflows=list(workflows), activities=list(activities)
            )
        )
        return [(r["msg_type"], r["name"]) for r in rows]

    async def without_engine(self, apps: Collection[str]) -> set[str]:
        """Which of these apps have no engine that runs."""
        rows = await self._db.fetch(*self._sql.bind("without_engine", apps=list(apps)))
        return {r["app"] for r in rows}

    async def survived(self, member: int, run_ids: Sequence[int]) -> None:
        """Note that these runs' cold turns did not take the process down."""
        await self._db.fetch(*self._sql.bind("survived", run_ids=list(run_ids), member=member))

    async def give_back(self, member: int, due: dict[int, float | None]) -> list[int]:
        """Let go of runs; each is visible again at its time, None: when something arrives."""
        infinity = to_datetime(_INFINITY)
        times = [infinity if at is None else to_datetime(at) for at in due.values()]
        rows = await self._db.fetch_current(
            *self._sql.bind("give_back", member=member, run_ids=list(due), times=times)
        )
        return [r[0] for r in rows]

    async def gone(self, member: int, run_ids: Sequence[int], messages: Sequence[int]) -> Gone:
        """Which of these `member` holds no longer, whatever it was told."""
        rows = await self._db.fetch(
            *self._sql.bind("gone", member=member, run_ids=list(run_ids), attempts=list(messages))
        )
        return Gone(
            {r["id"] for r in rows if r["is_run"]}, {r["id"] for r in rows if not r["is_run"]}
        )

    async def held(self, member: int) -> dict[int, int]:
        """What the database thinks that `member` holds: message id to run."""
        rows = await self._db.fetch(*self._sql.bind("held", member=member))
        return {r["id"]: r["run_id"] for r in rows}

    async def release(self, member: int, ids: Sequence[int]) -> None:
        """Let go of rows that a lost answer gave us."""
        await self._db.fetch(*self._sql.bind("release", member=member, ids=list(ids)))

    async def suspend(self, member: int, run_id: int, revision: int, error: str) -> bool:
        """Stop a run that cannot go on with this code; False when it is no longer ours."""
        rows = await self._db.fetch(
            *self._sql.bind("suspend", member=member, run_id=run_id, revision=revision, error=error)
        )
        return bool(rows)

    async def release_run(
        self, member: int, run_id: int, error: str, *, for_good: bool = False
    ) -> Released | None:
        """Give a run back that cannot go on here, to be tried again later; None: not ours now.

        `for_good`: however often that happens, it is not suspended.
        """
        most = 2**31 - 1 if for_good else RELEASES_MAX
        rows = await self._db.fetch(
            *self._sql.bind("release_run", member=member, run_id=run_id, error=error, most=most)
        )
        if not rows:
            return None
        times = rows[0]["releases"]
        return Released(times, rows[0]["delay"], times >= most)

    async def resume(
        self, *, jid: str | None = None, queue: str | None = None, workflows: Sequence[str] = ()
    ) -> list[str]:
        """Let suspended runs be tried again; the queues to wake."""
        bound = self._sql.bind("resume", jid=jid, queue=queue, workflows=list(workflows))
        rows = await retry_until_connected(
            lambda: self._db.fetch(*bound), host=False, limit=CALLER_TIMEOUT
        )
        return [r["stream_name"] for r in rows]

    async def deliver_again(self, jid: str) -> list[Reached]:
        """Put signals that the open run of an id has put aside into its inbox again."""
        rows = await self._db.fetch(*self._sql.bind("deliver_again", jid=jid))
        return [Reached(r["run_id"], r["reserved_by"], r["stream_name"]) for r in rows]

    async def arrive(self, messages: Sequence[Message]) -> dict[UUID, Reached]:
        """Put messages into inboxes; by request id, those that were taken.

        Runs that have ended take none.
        """
        rows = await self._db.fetch(*self._sql.bind("arrive", messages=messages))
        return _taken(messages, rows)

    async def arrive_again(self, messages: Sequence[Message]) -> dict[UUID, Reached]:
        """As `arrive`, when the answer to it was lost: what did arrive is not put there twice."""
        runs, requests = [m.run_id for m in messages], [m.request_id for m in messages]
        async with self._db.connection() as connection, connection.transaction():
            wakes = await connection.fetch(*self._sql.bind("lock_wakes", run_ids=runs))
            arrived = await connection.fetch(
                *self._sql.bind("arrived", run_ids=runs, requests=requests)
            )
            there = {r["request_id"] for r in arrived}
            missing = [m for m in messages if m.request_id not in there]
            rows = await connection.fetch(*self._sql.bind("arrive", messages=missing))
        ended = {
            m.request_id: Reached(m.run_id, None, None) for m in messages if m.request_id in there
        }
        return (
            ended
            | _taken([m for m in messages if m.request_id in there], wakes)
            | _taken(missing, rows)
        )

    async def inboxes(self, run_ids: Sequence[int]) -> dict[int, list[Arrival]]:
        """What has arrived for each run, in id order."""
        found: dict[int, list[Arrival]] = {}
        for row in await self._db.fetch(*self._sql.bind("inboxes", run_ids=list(run_ids))):
            found.setdefault(row["run_id"], []).append(arrival(row))
        return found


_EMPTY = (None, "", "[]", "{}")
_FOREVER = 9999  # the year of "never"
_INFINITY = 253402214400.0  # its last day: later than any timer, and a date that every driver reads
