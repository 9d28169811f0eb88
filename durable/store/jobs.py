"""Jobs of function workflows as rows: started, read, listed, ended from outside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import MAXYEAR, datetime
from typing import Any, Final

from durable.codec.fields_set import plain_value
from durable.postgres.columns import Bytes, SmallInt, Text, Uuid
from durable.postgres.connections import LONG_DEADLINE
from durable.postgres.database import Database, Row
from durable.postgres.sql import SqlFile, Statements
from durable.protocol.failures import Failure, failure_from_json
from durable.protocol.ids import new_seed
from durable.protocol.states import RunState

ATTEMPTS_MAX: Final = 100  # that have ended, in a description: a step may be tried for ever


@dataclass(frozen=True, slots=True)
class Start:
    """A start to be written.

    `policy`: fresh (the id is new by construction), allow, failed_only, reject. `state`: attributes
    and entity that it begins with, a JSON object; None for none. `seed`: of its random numbers.
    """

    request_id: Uuid
    jid: Text
    queue: Text
    workflow: Text
    input: Text
    priority: SmallInt
    policy: Text
    reply_to: Text | None
    state: Text | None = None
    seed: Bytes = field(default_factory=new_seed)


@dataclass(frozen=True, slots=True)
class Started:
    """What came of a start: the run, and whether it is the one that was asked for.

    `run_id` None: another start of this id won in the same moment; ask again. `workflow` is that of
    the run that was there already, None where there was none.
    """

    run_id: int | None
    started: bool
    open: bool = True
    workflow: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        state: a state, with `output` (JSON text) or `failure`; "gone": it was pruned.
    """

    run_id: int
    jid: str
    state: str
    output: str | None
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Terminated:
    """The members to notify after a termination.

    `holder` held the run; `attempts` (message, member) ran for it; `relatives` (run, member,
    queue), its parent and its children, have something in their inboxes; so have the engines of
    `apps`.
    """

    waiters: tuple[str, ...]
    holder: int | None
    attempts: tuple[tuple[int, int], ...]
    relatives: tuple[tuple[int, int | None, str], ...]
    apps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActivityAttempt:
    """An attempt of an activity as its row shows it.

    `state`: "waiting", "running", "failed" (another follows), "dead" (none follows), "dropped", or
    "lost": its process went away in it, what it did may have taken effect, and it is run again.
    """

    number: int
    name: str
    task_queue: str
    attempt: int
    maximum_attempts: int
    state: str
    visible_at: datetime
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class SignalAside:
    """A signal that the run's code could not read: its payload as JSON has it, why not, and when.

    It is delivered again by `client.resume(id)`, or `durable resume ID`.
    """

    name: str
    payload: Any
    failure: Failure | None
    at: datetime


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A line of a list of runs."""

    id: str
    run_id: int
    workflow: str
    task_queue: str
    state: RunState
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class RunDescription(RunSummary):
    """Everything that is known of a run but its history.

    `pending` lists the open commands that are written down (number, kind, name, due; `waits_for`
    says in words what a graph waits for whose app has no engine, or a paused activity);
    `activities` the attempts with rows, of those that have ended the newest 100, and
    `earlier_attempts` counts the others;
    `failure` why it failed or is suspended; `worker` the queue name of the member that holds it,
    None when none does; `wakes_at` when it is next due;
    `parent_run_id` is that of the run or job that awaits it; `put_aside` the signals that its code
    could not read; `paused` whether a throttle of its task queue keeps it from its next turn.
    """

    version: str | None
    open_steps: int
    revision: int
    input: Any
    output: Any
    failure: Failure | None
    pending: tuple[dict[str, Any], ...]
    activities: tuple[ActivityAttempt, ...]
    parent_run_id: int | None
    worker: str | None
    wakes_at: datetime | None
    attributes: dict[str, str | int | float | bool]
    entity: dict[str, Any] | None
    put_aside: tuple[SignalAside, ...] = ()
    earlier_attempts: int = 0
    paused: bool = False


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to list; None means any. `attributes`: a JSON object of what they must have."""

    workflow: str | None = None
    states: tuple[RunState, ...] | None = None
    task_queue: str | None = None
    id_prefix: str | None = None
    attributes: str | None = None


def _attempt(row: Row) -> ActivityAttempt:
    failure = failure_from_json(row["error"])
    if row["expired_at"] is None:
        state = "waiting" if row["reserved_by"] is None else "running"
    elif row["dead_lettered_at"] is not None:
        state = "dead"
    elif failure is None:
        state = "dropped"
    else:
        state = "lost" if failure.kind == "lost" else "failed"
    return ActivityAttempt(
        int(row["dad"]), row["aid"], row["stream_name"], row["retry_attempt"] + 1,
        row["max_retry_attempts"], state, row["visible_at"], failure,
    )  # fmt: skip


def _pending(row: Row, activities: Sequence[Row]) -> tuple[dict[str, Any], ...]:
    steps: list[dict[str, Any]] = json.loads(row["pending"] or "[]")
    paused = {int(a["dad"]): a for a in activities if a["paused"]}
    for step in steps:
        if (of := paused.get(step["number"])) is not None:
            queue = of["stream_name"]
            step["waits_for"] = (
                f"the end of a throttle that pauses {of['aid']} on queue {queue}: throttle(0) of"
                f" HotMesh with app_id={queue!r}"
            )
        elif step["kind"] == "graph" and step["app"] in row["without_engine"]:
            step["waits_for"] = f"an engine of app {step['app']!r}, of which none runs"
    return tuple(steps)


def _description(row: Row, activities: Sequence[Row], aside: Sequence[Row]) -> RunDescription:
    wakes = row["visible_at"]
    ended = max((a["all_ended"] for a in activities), default=0)
    return RunDescription(
        id=row["jid"], run_id=row["run_id"], workflow=row["graph"], task_queue=row["app_id"],
        state=row["state"], started_at=row["created_at"], finished_at=row["finished_at"],
        version=row["graph_version"], open_steps=max(0, row["status"] - 1),
        revision=row["revision"], input=plain_value(row["input"]) if row["input"] else None,
        output=plain_value(row["output"]) if row["output"] else None,
        failure=failure_from_json(row["error"]), pending=_pending(row, activities),
        activities=tuple(_attempt(a) for a in activities), parent_run_id=row["parent_run_id"],
        worker=row["member"], wakes_at=None if wakes is None or wakes.year >= MAXYEAR else wakes,
        attributes=json.loads(row["attributes"] or "{}"),
        entity=None if row["document"] is None else json.loads(row["document"]),
        put_aside=tuple(
            SignalAside(
                a["topic"], plain_value(a["message"] or "null"), failure_from_json(a["error"]),
                a["dead_lettered_at"],
            )
            for a in aside
        ),
        earlier_attempts=max(0, ended - ATTEMPTS_MAX), paused=row["paused"],
    )  # fmt: skip


SQL = SqlFile("durable.store", "sql/jobs.sql", starts=Start)


class JobStore:
    """The `jobs` table."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._sql = SQL.load(database.schema)

    async def probe(self) -> None:
        """Return once the server has answered; raises what kept it from that."""
        await self._db.probe()

    async def start(self, starts: Sequence[Start]) -> list[Started]:
        """Start runs, or find those that stand in the way; in the order asked."""
        rows = await self._db.fetch(*self._sql.bind("start_runs", starts=starts))
        found = {
            r["place"]: Started(r["run_id"], r["started"], r["open"], r["workflow"]) for r in rows
        }
        return [found[place] for place in range(1, len(starts) + 1)]

    async def latest(self, jid: str) -> tuple[int, str] | None:
        """The newest run of an id, and of which workflow it is."""
        rows = await self._db.read(*self._sql.bind("latest", jid=jid))
        return (int(rows[0]["run_id"]), str(rows[0]["workflow"])) if rows else None

    async def ends(self, run_ids: Sequence[int]) -> dict[int, Ended]:
        """How those of the runs ended that have, by run."""
        rows = await self._db.fetch(*self._sql.bind("outcomes", run_ids=list(run_ids)))
        return {
            r["run_id"]: Ended(
                r["run_id"], r["jid"], r["state"], r["output"], failure_from_json(r["error"])
            )
            for r in rows
        }

    async def await_end(self, run_id: int, channel: str) -> bool:
        """Have `channel` notified when the run ends; False when it has ended."""
        return bool(
            await self._db.fetch(*self._sql.bind("await_end", run_id=run_id, channel=channel))
        )

    async def state(self, run_id: int) -> RunState | None:
        """The state of a run; None when there is none."""
        rows = await self._db.read(*self._sql.bind("state", run_id=run_id))
        return rows[0]["state"] if rows else None

    async def describe(self, run_id: int) -> RunDescription | None:
        """All that the rows say of a run."""
        rows = await self._db.read(*self._sql.bind("describe", run_id=run_id))
        if not rows:
            return None
        activities = await self._db.read(
            *self._sql.bind("open_activities", run_id=run_id, limit=ATTEMPTS_MAX)
        )
        aside = await self._db.read(*self._sql.bind("put_aside", run_id=run_id))
        return _description(rows[0], activities, aside)

    async def deployed_for(self, run_id: int) -> tuple[str, str, list[str]]:
        """The workflow and task queue of a run, and the versions deployed to it, newest first."""
        rows = await self._db.fetch(*self._sql.bind("deployed_for", run_id=run_id))
        if not rows:
            return "", "", []
        versions = [r["version"] for r in rows if r["version"] is not None]
        return rows[0]["graph"], rows[0]["app_id"], versions

    async def deployed_to(self, queue: str) -> list[str]:
        """The versions that workers of a task queue have deployed, the newest first."""
        rows = await self._db.fetch(*self._sql.bind("deployed_to", queue=queue))
        return [r["version"] for r in rows]

    async def document(self, queue: str, version: str) -> str | None:
        """What was deployed to a task queue as this version."""
        found: str | None = await self._db.fetchval(
            *self._sql.bind("document", queue=queue, version=version)
        )
        return found

    async def list(self, chosen: RunFilter, before: int | None, limit: int) -> list[RunSummary]:
        """Runs, the newest first, older than `before`."""
        page = {**_filter(chosen), "before": before, "limit": limit}
        if chosen.attributes is None:
            bound = self._sql.bind("list", **page)
        else:
            bound = self._sql.bind("list_having", attributes=chosen.attributes, **page)
        rows = await self._db.read(*bound, deadline=LONG_DEADLINE)
        return [
            RunSummary(
                r["jid"],
                r["run_id"],
                r["graph"],
                r["app_id"],
                r["state"],
                r["created_at"],
                r["finished_at"],
            )
            for r in rows
        ]

    async def count(self, chosen: RunFilter) -> int:
        """How many runs there are."""
        filters = _filter(chosen)
        if chosen.attributes is None:
            bound = self._sql.bind("count", **filters)
        else:
            bound = self._sql.bind("count_having", attributes=chosen.attributes, **filters)
        rows = await self._db.read(*bound, deadline=LONG_DEADLINE)
        return int(rows[0][0])

    async def terminate(
        self, run_id: int, failure: Failure, *, throws: bool = True, descend: bool = True
    ) -> Terminated | None:
        """End a run from outside; None when it has ended by itself.

        Args:
            run_id: the run.
            failure: why; its history and its parent keep it.
            throws: whether the run itself keeps it as its error.
            descend: whether its children are asked to stop.
        """
        bound = terminating(self._sql, run_id, failure, throws=throws, descend=descend)
        return terminated(await self._db.fetch(*bound))


def terminating(
    sql: Statements, run_id: int, failure: Failure, *, throws: bool = True, descend: bool = True
) -> tuple[Any, ...]:
    """The statement that ends a run from outside: see `JobStore.terminate`."""
    return sql.bind(
        "terminate", run_id=run_id, error=failure.to_json(), throws=throws, descend=descend
    )


def terminated(rows: Sequence[Row]) -> Terminated | None:
    """What that statement has done; None when the run had ended by itself."""
    ended = next((r for r in rows if r["what"] == "ended"), None)
    if ended is None:
        return None
    return Terminated(
        tuple(ended["waiters"]),
        ended["holder"],
        tuple((r["id"], r["holder"]) for r in rows if r["what"] == "attempt"),
        tuple((r["id"], r["holder"], r["queue"]) for r in rows if r["what"] == "relative"),
        tuple({r["queue"] for r in rows if r["what"] == "graph"}),
    )


def _filter(chosen: RunFilter) -> dict[str, Any]:
    prefix = chosen.id_prefix
    if prefix is not None:
        prefix = prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    states = None if chosen.states is None else list(chosen.states)
    return {
        "workflow": chosen.workflow, "states": states, "queue": chosen.task_queue, "prefix": prefix,
    }  # fmt: skip
