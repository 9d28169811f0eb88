"""The queue of hand-written graphs: the engines' messages, and work for the workers of a topic."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any
from uuid import UUID

from durable.postgres.columns import BigInt, Column, Float, Integer, SmallInt, Text
from durable.postgres.connections import Connection
from durable.postgres.database import Database, Row
from durable.postgres.sql import SqlFile
from durable.protocol.carriers import carrier
from durable.protocol.durations import seconds
from durable.protocol.failures import Failure
from durable.protocol.messages import PRIORITY, MessageKind
from durable.protocol.retry import RetryPolicy
from durable.store.pacing import Pace


def work_stream(app_id: str, topic: str) -> str:
    """The worker stream of a topic: two apps may use the same topic."""
    return f"{app_id}:{topic}"


Kind = Annotated[MessageKind, Column("text")]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to the engines of an app."""

    app_id: Text
    kind: Kind
    message: Text
    """JSON."""
    run_id: BigInt | None = None
    aid: Text | None = None
    dad: Text | None = None
    jid: Text | None = None
    graph: Text = ""
    topic: Text | None = None
    delay: Float = 0.0
    """Seconds."""

    @property
    def priority(self) -> SmallInt:
        """That of its kind."""
        return PRIORITY[self.kind]


@dataclass(frozen=True, slots=True)
class Work:
    """A message to the workers of a topic; `own` says that the activity itself has this policy.

    `attempts`: code -> how many attempts errors of that code may have, where that differs.
    `trace`: what names the trace of its job.
    """

    app_id: str
    topic: str
    message: str
    run_id: int
    aid: str
    dad: str
    jid: str
    graph: str
    retry: RetryPolicy
    own: bool
    attempts: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    trace: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def metadata(self) -> str | None:
        """The trace, and what of the activity's own policy has no column, as JSON text or None."""
        if not self.own:
            return json.dumps({"trace": dict(self.trace)}) if self.trace else None
        out: dict[str, Any] = {"retry": "activity"}
        if self.trace:
            out["trace"] = dict(self.trace)
        if self.retry.non_retryable:
            out["nonRetryable"] = self.retry.non_retryable_names
        if self.attempts:
            out["attempts"] = dict(self.attempts)
        return json.dumps(out)


@carrier
class WorkRow:
    """Work as its row has it, with the policy in force."""

    run_id: BigInt
    stream_name: Text
    graph: Text
    jid: Text
    aid: Text
    dad: Text
    topic: Text
    message: Text
    metadata: Text | None
    attempts: Integer
    coefficient: Float
    longest: Float
    first: Float | None


def work_row(work: Work, policy: RetryPolicy) -> WorkRow:
    """Work as a row, under a policy."""
    first = policy.initial_interval
    return WorkRow(
        work.run_id, work_stream(work.app_id, work.topic), work.graph, work.jid, work.aid, work.dad,
        work.topic, work.message, work.metadata, policy.most, policy.backoff_coefficient,
        seconds(policy.maximum_interval), None if first is None else seconds(first),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Addressed:
    """A signal's message, and the activity that it is for; all None: it waits for nothing."""

    id: BigInt
    run_id: BigInt | None = None
    dad: Text | None = None
    aid: Text | None = None


@dataclass(frozen=True, slots=True)
class Timers:
    """The timers of an activity; without one, whatever a whole run awaits."""

    run_id: BigInt
    dad: Text | None = None
    aid: Text | None = None


SQL = SqlFile(
    "durable.store", "sql/graph_messages.sql",
    messages=Sent, work=WorkRow, signals=Addressed, timers=Timers,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """Work that a worker has taken."""

    id: int
    run_id: int
    jid: str
    aid: str
    dad: str
    topic: str
    graph: str
    message: str
    trace: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), kw_only=True)
    attempt: int
    """Counts from 1."""
    retry: RetryPolicy
    """The policy in force."""
    attempts: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    """Code -> how many attempts errors of that code may have, where that differs."""

    def delay_after(self, code: int, failure: Failure | None = None) -> float | None:
        """Seconds until the attempt that follows an error of this code; None for no other.

        `failure` is what the callback raised; what it returned as an error is none.
        """
        return self.retry.delay_after(self.attempt, failure, most=self.attempts.get(code))

    @property
    def last(self) -> bool:
        """Whether no attempt may follow this one."""
        return self.attempt >= self.retry.most


class EngineStream:
    """The messages of graph jobs in `engine_streams`, on a connection that the caller passes.

    Args:
        pace: that of the engine which claims; others need none.
    """

    def __init__(self, schema: str, pace: Pace | None = None) -> None:
        self._sql = SQL.load(schema)
        self._pace = pace or Pace("")

    async def claim(self, connection: Connection, app_id: str, limit: int) -> list[Row]:
        """Up to `limit` messages that are due, locked until commit; none while it is paused."""
        rows: list[Row] = await connection.fetch(
            *self._sql.bind(
                "claim", app_id=app_id, limit=self._pace.limit(limit), consumer=self._pace.consumer
            )
        )
        self._pace.claimed(rows)
        return rows

    async def suspect(
        self, connection: Connection, ids: Sequence[int], first: int | None, member: int
    ) -> None:
        """Have messages applied alone from now on; `first` by this member, for which it is kept."""
        await connection.execute(
            *self._sql.bind("suspect", ids=list(ids), first=first, member=member)
        )

    async def release(self, connection: Connection, member: int) -> None:
        """Let others apply what is kept for a member."""
        await connection.execute(*self._sql.bind("release", member=member))

    async def claim_these(
        self, connection: Connection, ids: Sequence[int], member: int | None = None
    ) -> list[Row]:
        """Those of these messages that are there and free, locked until commit.

        `member`: those that are kept for it instead.
        """
        rows: list[Row] = await connection.fetch(
            *self._sql.bind("claim_these", ids=list(ids), member=member)
        )
        return rows

    async def next_due(self, connection: Connection, app_id: str) -> float | None:
        """Seconds until a message may be claimed, None when there is none; negative: overdue."""
        due: float | None = await connection.fetchval(
            *self._sql.bind("next_due", app_id=app_id, consumer=self._pace.consumer)
        )
        return due

    async def consume(self, connection: Connection, ids: Sequence[int]) -> None:
        """Delete messages whose effects are written in this transaction."""
        await connection.execute(*self._sql.bind("consume", ids=list(ids)))

    async def dead_letter(self, connection: Connection, message_id: int, error: str) -> int | None:
        """Put a message aside as a dead letter with its error; the run it was for, if any."""
        run_id: int | None = await connection.fetchval(
            *self._sql.bind("dead_letter", message_id=message_id, error=error)
        )
        return run_id

    async def deliver_again(self, connection: Connection, run_id: int) -> bool:
        """Give the engines what an open job has put aside; whether there was any."""
        return bool(await connection.fetch(*self._sql.bind("deliver_again", run_id=run_id)))

    async def send(self, connection: Connection, messages: Sequence[Sent]) -> None:
        """Write messages to engines."""
        await connection.execute(*self._sql.bind("send", messages=messages))

    async def address(self, connection: Connection, signals: Sequence[Addressed]) -> None:
        """Point signals at the activities that wait for them, or at none."""
        await connection.execute(*self._sql.bind("address", signals=signals))

    async def disarm(self, connection: Connection, timers: Sequence[Timers]) -> None:
        """Delete timers of activities, or what whole runs await."""
        await connection.execute(*self._sql.bind("disarm", timers=timers))

    async def dispatch(self, connection: Connection, work: Sequence[Work]) -> None:
        """Write messages to workers."""
        rows = [work_row(w, w.retry) for w in work]
        await connection.execute(*self._sql.bind("dispatch", work=rows))

    async def withdraw(self, connection: Connection, run_ids: Iterable[int]) -> None:
        """Take back the work of jobs that have ended."""
        await connection.execute(*self._sql.bind("withdraw", run_ids=list(run_ids)))

    async def send_once(self, connection: Connection, message: Sent, request: UUID) -> int:
        """Write a message unless this request has done so; its id."""
        row: int | None = await connection.fetchval(
            *self._sql.bind(
                "send_once", app_id=message.app_id, kind=message.kind, topic=message.topic,
                message=message.message, priority=message.priority, request=request,
            )
        )  # fmt: skip
        return row or await self._requested(connection, request) or 0

    async def add(
        self,
        connection: Connection,
        job: tuple[str, str],
        at: tuple[str, str],
        message: str,
        request: UUID,
    ) -> int | None:
        """A further answer for the activity (aid, dad) of a running job (app id, jid); its id.

        None: there is no such job, and this request has not answered it before.
        """
        row: int | None = await connection.fetchval(
            *self._sql.bind(
                "add", app_id=job[0], jid=job[1], aid=at[0], dad=at[1], message=message,
                priority=PRIORITY[MessageKind.RESPONSE], request=request,
            )
        )  # fmt: skip
        return row or await self._requested(connection, request)

    async def _requested(self, connection: Connection, request: UUID) -> int | None:
        row: int | None = await connection.fetchval(*self._sql.bind("requested", request=request))
        return row


class WorkStream:
    """The work of one topic, as a worker sees it; `pace` is that worker's."""

    def __init__(
        self,
        database: Database,
        app_id: str,
        topic: str,
        retry: RetryPolicy | None,
        pace: Pace | None = None,
    ) -> None:
        self._db = database
        self._sql = SQL.load(database.schema)
        self._app_id = app_id
        self._topic = topic
        self._name = work_stream(app_id, topic)
        self._retry = retry
        self._pace = pace or Pace("")

    async def take(self, member: int, limit: int) -> list[Taken]:
        """Reserve up to `limit` due messages, none while this worker is paused.

        This worker's policy applies where none does.
        """
        own = self._retry
        first = None if own is None else own.initial_interval
        rows = await self._db.fetch(
            *self._sql.bind(
                "take", member=member, stream=self._name, limit=self._pace.limit(limit),
                app_id=self._app_id, topic=self._topic, consumer=self._pace.consumer,
                attempts=None if own is None else own.most,
                coefficient=None if own is None else own.backoff_coefficient,
                longest=None if own is None else seconds(own.maximum_interval),
                first=None if first is None else seconds(first),
            )
        )  # fmt: skip
        self._pace.claimed(rows)
        return await self.kept(member, [taken_from(row, self._retry) for row in rows])

    async def kept(self, member: int, taken: list[Taken]) -> list[Taken]:
        """Put last attempts on disk before they begin; what is still ours."""
        if final := [t.id for t in taken if t.last]:
            flushed = await self._db.fetch(*self._sql.bind("flush", member=member, ids=final))
            kept = {r["id"] for r in flushed}
            taken = [t for t in taken if not t.last or t.id in kept]
        return taken

    async def answer(self, member: int, taken: Taken, message: str) -> bool:
        """End an attempt with its answer; False when this member no longer holds it."""
        row = await self._db.fetchval(
            *self._sql.bind(
                "answer", member=member, id=taken.id, app_id=self._app_id, message=message,
                priority=PRIORITY[MessageKind.RESPONSE],
            )
        )  # fmt: skip
        return row is not None

    async def give_up(self, member: int, taken: Taken, message: str, error: str) -> bool:
        """End the last attempt with an error; False when this member no longer holds it."""
        row = await self._db.fetchval(
            *self._sql.bind(
                "give_up", member=member, id=taken.id, app_id=self._app_id, message=message,
                priority=PRIORITY[MessageKind.RESPONSE], error=error,
            )
        )  # fmt: skip
        return row is not None

    async def try_again(self, member: int, taken: Taken, error: str, delay: float) -> bool:
        """End an attempt with an error and write the next, visible after `delay` seconds."""
        row = await self._db.fetchval(
            *self._sql.bind("try_again", member=member, id=taken.id, error=error, delay=delay)
        )
        return row is not None

    async def give_back(self, member: int, ids: Sequence[int]) -> None:
        """Return work undone, uncounted."""
        await self._db.fetch(*self._sql.bind("give_back", member=member, ids=list(ids)))

    async def look(self, member: int) -> tuple[float | None, Sequence[int]]:
        """Seconds until work may be taken (None: there is none), and what a member holds of it."""
        [row] = await self._db.fetch(
            *self._sql.bind(
                "look_for_work", stream=self._name, member=member, app_id=self._app_id,
                topic=self._topic, consumer=self._pace.consumer,
            )
        )  # fmt: skip
        return row["due"], row["held"] or ()


def taken_from(row: Row, own: RetryPolicy | None) -> Taken:
    """Work as its row has it; `own` is the worker's policy."""
    given = json.loads(row["metadata"]) if row["metadata"] else {}
    if "retry" in given:
        unwanted = tuple(given.get("nonRetryable", ()))
    else:
        unwanted = () if own is None else own.non_retryable
    policy = RetryPolicy(
        maximum_attempts=row["max_retry_attempts"],
        backoff_coefficient=row["backoff_coefficient"],
        maximum_interval=row["maximum_interval_seconds"],
        initial_interval=row["initial_interval_seconds"],
        non_retryable=unwanted,
    )
    return Taken(
        row["id"],
        row["run_id"],
        row["jid"],
        row["aid"],
        row["dad"],
        row["topic"],
        row["workflow_name"],
        row["message"],
        row["retry_attempt"] + 1,
        policy,
        {int(code): attempts for code, attempts in given.get("attempts", {}).items()},
        trace=given.get("trace", {}),
    )
