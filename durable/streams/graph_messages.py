"""The queue of hand-written graphs: the engines' messages, and work for the workers of a topic."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from durable.postgres.pool import Database, Row
from durable.postgres.sql import Statements
from durable.protocol.durations import seconds
from durable.protocol.failures import Failure
from durable.protocol.retry import RetryPolicy
from durable.streams.pacing import Pace

PRIORITY: Final[Mapping[str, int]] = MappingProxyType(
    {
        "interrupt": 6,
        "timehook": 5,
        "webhook": 5,
        "transition": 4,
        "result": 3,
        "outcome": 3,
        "response": 2,
        "fanout": 1,
        "await": 0,
    }
)
"""What goes on comes before what begins, so that load does not pile up half-done jobs."""


def work_stream(app_id: str, topic: str) -> str:
    """The worker stream of a topic: two apps may use the same topic."""
    return f"{app_id}:{topic}"


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to the engines of an app; `delay` in seconds, `message` is JSON text."""

    app_id: str
    kind: str
    message: str
    run_id: int | None = None
    aid: str | None = None
    dad: str | None = None
    jid: str | None = None
    graph: str = ""
    topic: str | None = None
    delay: float = 0.0


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


@dataclass(frozen=True, slots=True)
class Taken:
    """Work that a worker has taken; `attempt` counts from 1, `retry` is the policy in force.

    `attempts`: code -> how many attempts errors of that code may have, where that differs.
    """

    id: int
    run_id: int
    jid: str
    aid: str
    dad: str
    topic: str
    graph: str
    message: str
    attempt: int
    retry: RetryPolicy
    attempts: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    trace: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

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
        self._sql = Statements("durable.streams", "sql/graph_messages.sql", schema)
        self._pace = pace or Pace("")

    async def claim(self, connection: Any, app_id: str, limit: int) -> list[Row]:
        """Up to `limit` messages that are due, locked until commit; none while it is paused."""
        rows: list[Row] = await connection.fetch(
            self._sql["claim"], app_id, self._pace.limit(limit), self._pace.consumer
        )
        self._pace.claimed(rows)
        return rows

    async def suspect(
        self, connection: Any, ids: Sequence[int], first: int | None, member: int
    ) -> None:
        """Have messages applied alone from now on; `first` by this member, for which it is kept."""
        await connection.execute(self._sql["suspect"], list(ids), first, member)

    async def release(self, connection: Any, member: int) -> None:
        """Let others apply what is kept for a member."""
        await connection.execute(self._sql["release"], member)

    async def claim_these(
        self, connection: Any, ids: Sequence[int], member: int | None = None
    ) -> list[Row]:
        """Those of these messages that are there and free, locked until commit.

        `member`: those that are kept for it instead.
        """
        rows: list[Row] = await connection.fetch(self._sql["claim_these"], list(ids), member)
        return rows

    async def next_due(self, connection: Any, app_id: str) -> float | None:
        """Seconds until a message may be claimed, None when there is none; negative: overdue."""
        due: float | None = await connection.fetchval(
            self._sql["next_due"], app_id, self._pace.consumer
        )
        return due

    async def consume(self, connection: Any, ids: Sequence[int]) -> None:
        """Delete messages whose effects are written in this transaction."""
        await connection.execute(self._sql["consume"], list(ids))

    async def bury(self, connection: Any, message_id: int, error: str) -> int | None:
        """Put a message aside as a dead letter with its error; the run it was for, if any."""
        run_id: int | None = await connection.fetchval(self._sql["bury"], message_id, error)
        return run_id

    async def deliver_again(self, connection: Any, run_id: int) -> bool:
        """Give the engines what an open job has put aside; whether there was any."""
        return bool(await connection.fetch(self._sql["deliver_again"], run_id))

    async def send(self, connection: Any, messages: Sequence[Sent]) -> None:
        """Write messages to engines."""
        await connection.execute(
            self._sql["send"],
            [m.app_id for m in messages],
            [m.graph for m in messages],
            [m.jid for m in messages],
            [m.run_id for m in messages],
            [m.aid for m in messages],
            [m.dad for m in messages],
            [m.kind for m in messages],
            [m.topic for m in messages],
            [m.message for m in messages],
            [PRIORITY[m.kind] for m in messages],
            [m.delay for m in messages],
        )

    async def address(
        self, connection: Any, found: Sequence[tuple[int, int | None, str | None, str | None]]
    ) -> None:
        """Point signals (message id, run id, dad, aid) at who waits, or at nobody."""
        await connection.execute(self._sql["address"], *map(list, zip(*found, strict=True)))

    async def disarm(
        self, connection: Any, timers: Sequence[tuple[int, str | None, str | None]]
    ) -> None:
        """Delete timers of activities (run id, dad, aid), or what whole runs await (None, None)."""
        await connection.execute(self._sql["disarm"], *map(list, zip(*timers, strict=True)))

    async def dispatch(self, connection: Any, work: Sequence[Work]) -> None:
        """Write messages to workers."""
        first = [w.retry.initial_interval for w in work]
        await connection.execute(
            self._sql["dispatch"],
            [work_stream(w.app_id, w.topic) for w in work],
            [w.graph for w in work],
            [w.jid for w in work],
            [w.run_id for w in work],
            [w.aid for w in work],
            [w.dad for w in work],
            [w.topic for w in work],
            [w.message for w in work],
            [w.metadata for w in work],
            [w.retry.most for w in work],
            [w.retry.backoff_coefficient for w in work],
            [seconds(w.retry.maximum_interval) for w in work],
            [None if value is None else seconds(value) for value in first],
        )

    async def withdraw(self, connection: Any, run_ids: Iterable[int]) -> None:
        """Take back the work of jobs that have ended."""
        await connection.execute(self._sql["withdraw"], list(run_ids))

    async def send_once(self, connection: Any, message: Sent, request: UUID) -> int:
        """Write a message unless this request has done so; its id."""
        row: int | None = await connection.fetchval(
            self._sql["send_once"],
            message.app_id,
            message.kind,
            message.topic,
            message.message,
            PRIORITY[message.kind],
            request,
        )
        return row or await self._requested(connection, request) or 0

    async def add(
        self,
        connection: Any,
        job: tuple[str, str],
        at: tuple[str, str],
        message: str,
        request: UUID,
    ) -> int | None:
        """A further answer for the activity (aid, dad) of a running job (app id, jid); its id.

        None: there is no such job, and this request has not answered it before.
        """
        row: int | None = await connection.fetchval(
            self._sql["add"], *job, *at, message, PRIORITY["response"], request
        )
        return row or await self._requested(connection, request)

    async def _requested(self, connection: Any, request: UUID) -> int | None:
        row: int | None = await connection.fetchval(self._sql["requested"], request)
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
        self._sql = Statements("durable.streams", "sql/graph_messages.sql", database.schema)
        self._app_id = app_id
        self._topic = topic
        self._name = work_stream(app_id, topic)
        self._retry = retry
        self._pace = pace or Pace("")

    async def take(self, member: int, limit: int) -> list[Taken]:
        """Reserve up to `limit` due messages, none while this worker is paused.

        This worker's policy applies where none does.
        """
        policy: tuple[Any, ...] = (None, None, None, None)
        if self._retry is not None:
            first = self._retry.initial_interval
            policy = (
                self._retry.most,
                float(self._retry.backoff_coefficient),
                seconds(self._retry.maximum_interval),
                None if first is None else seconds(first),
            )
        may = self._pace.limit(limit)
        rows = await self._db.fetch(
            self._sql["take"], member, self._name, may, *policy, *self._throttled
        )
        self._pace.claimed(rows)
        return await self.kept(member, [taken_from(row, self._retry) for row in rows])

    async def kept(self, member: int, taken: list[Taken]) -> list[Taken]:
        """Put last attempts on disk before they begin; what is still ours."""
        if final := [t.id for t in taken if t.last]:
            kept = {r["id"] for r in await self._db.fetch(self._sql["flush"], member, final)}
            taken = [t for t in taken if not t.last or t.id in kept]
        return taken

    async def answer(self, member: int, taken: Taken, message: str) -> bool:
        """End an attempt with its answer; False when this member no longer holds it."""
        return await self._end("answer", member, taken, message)

    async def give_up(self, member: int, taken: Taken, message: str, error: str) -> bool:
        """End the last attempt with an error; False when this member no longer holds it."""
        return await self._end("give_up", member, taken, message, error)

    async def _end(self, how: str, member: int, taken: Taken, message: str, *error: str) -> bool:
        row = await self._db.fetchval(
            self._sql[how], member, taken.id, self._app_id, message, PRIORITY["response"], *error
        )
        return row is not None

    async def try_again(self, member: int, taken: Taken, error: str, delay: float) -> bool:
        """End an attempt with an error and write the next, visible after `delay` seconds."""
        row = await self._db.fetchval(self._sql["try_again"], member, taken.id, error, delay)
        return row is not None

    async def give_back(self, member: int, ids: Sequence[int]) -> None:
        """Return work undone, uncounted."""
        await self._db.fetch(self._sql["give_back"], member, list(ids))

    async def look(self, member: int) -> tuple[float | None, Sequence[int]]:
        """Seconds until work may be taken (None: there is none), and what a member holds of it."""
        [row] = await self._db.fetch(
            self._sql["look_for_work"], self._name, *self._throttled, member
        )
        return row["due"], row["held"] or ()

    @property
    def _throttled(self) -> tuple[str, str, str]:
        """What the statements that claim find the throttle by."""
        return self._app_id, self._topic, self._pace.consumer


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
        given.get("trace", {}),
    )
