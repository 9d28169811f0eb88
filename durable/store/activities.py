"""Attempts of activities as rows: claimed, settled, tried again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from durable.postgres.columns import BigInt, Float, Text
from durable.postgres.sql import SqlFile
from durable.protocol.carriers import carrier
from durable.protocol.clock import from_datetime
from durable.protocol.failures import Failure
from durable.protocol.options import TIMEOUTS, ActivityOptions
from durable.protocol.retry import RetryPolicy
from durable.store.runs import Reached


@carrier
class Attempt:
    """One attempt of one activity, reserved by this member. `id` None: it has no row (yet).

    `scheduled_at` is when the step was first scheduled, in Unix seconds; `waited` how long this
    attempt could have been claimed before it was, in seconds.
    """

    id: int | None
    run_id: int
    jid: str
    workflow: str
    number: int
    name: str
    input: str
    options: ActivityOptions
    attempt: int
    scheduled_at: float
    losses: int = 0
    waited: float = 0.0
    topic: str = ""

    @property
    def served_by(self) -> str:
        """The name of the activity that serves it."""
        return self.topic or self.name

    @property
    def last(self) -> bool:
        """Whether no attempt follows this one."""
        return self.attempt >= self.options.retry.most

    def delay_after(self, failure: Failure, now: float) -> float | None:
        """Seconds until the attempt that follows this failed one; None when it was the last."""
        limit = self.options.schedule_to_close
        remaining = None if limit is None else self.scheduled_at + limit - now
        return self.options.retry.delay_after(self.attempt, failure, remaining=remaining)


def metadata_of(options: ActivityOptions) -> str | None:
    """What the retry columns do not hold of the options, as JSON text; None for nothing."""
    extra: dict[str, Any] = {
        key: value for key in TIMEOUTS if (value := getattr(options, key)) is not None
    }
    if options.retry.non_retryable:
        extra["final"] = options.retry.non_retryable_names
        # For a build before this one, which compares the bare names of classes.
        extra["non_retryable"] = [n.rpartition(":")[2].rpartition(".")[2] for n in extra["final"]]
    return json.dumps(extra) if extra else None


def options_of(row: Any) -> ActivityOptions:
    """The options that a row stands for: the inverse of its columns and `metadata_of`.

    What a later version has added to `metadata` is left alone: its meaning is not known here.
    """
    extra = json.loads(row["metadata"]) if row["metadata"] else {}
    unwanted = extra.get("final", extra.get("non_retryable", ()))
    timeouts = {key: extra[key] for key in TIMEOUTS if key in extra}
    retry = RetryPolicy(
        maximum_attempts=row["max_retry_attempts"],
        backoff_coefficient=row["backoff_coefficient"],
        maximum_interval=row["maximum_interval_seconds"],
        initial_interval=row["initial_interval_seconds"],
        non_retryable=tuple(unwanted),
    )
    return ActivityOptions(retry=retry, priority=row["priority"], **timeouts)


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of an attempt: `message` on success, else `error`, both JSON text."""

    id: BigInt
    message: Text | None
    error: Text | None


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """An attempt that another follows, after `delay` seconds; `error` is JSON text."""

    id: BigInt
    error: Text
    delay: Float


SQL = SqlFile("durable.store", "sql/activities.sql", settlements=Settlement, failed=FailedAttempt)


class Asks(Protocol):
    """Where statements go: the pool, or a connection of one's own."""

    @property
    def schema(self) -> str:
        """The namespace."""
        ...

    async def fetch(self, statement: str, *args: object) -> list[Any]:
        """Run one statement; its rows."""
        ...


class ActivityStream:
    """The activity rows of `worker_streams`."""

    def __init__(self, database: Asks) -> None:
        self._db = database
        self._sql = SQL.load(database.schema)

    async def claim(
        self, member: int, queue: str, names: Sequence[str], limit: int, waiting: float = 0.0
    ) -> list[Attempt]:
        """Take up to `limit` attempts of these activities, visible for `waiting` seconds."""
        rows = await self._db.fetch(
            *self._sql.bind(
                "claim", member=member, queue=queue, names=list(names), limit=limit, waiting=waiting
            )
        )
        return [
            Attempt(
                r["id"], r["run_id"], r["jid"], r["workflow_name"], int(r["dad"]), r["aid"],
                r["message"], options_of(r), r["retry_attempt"] + 1, from_datetime(r["created_at"]),
                r["losses"], (r["reserved_at"] - r["visible_at"]).total_seconds(), r["topic"],
            )
            for r in rows
        ]  # fmt: skip

    async def take(
        self, member: int, queue: str, names: Sequence[str], limit: int, waiting: float = 0.0
    ) -> list[Attempt]:
        """As `claim`; those that may not be repeated are on disk, and still ours."""
        attempts = await self.claim(member, queue, names, limit, waiting)
        last = [a.id for a in attempts if a.last and a.id is not None]
        ours = await self.flush(member, last) if last else set()
        return [a for a in attempts if not a.last or a.id in ours]

    async def flush(self, member: int, ids: Sequence[int]) -> set[int]:
        """Put claims on disk; the ids that are still ours."""
        rows = await self._db.fetch(*self._sql.bind("flush", member=member, ids=list(ids)))
        return {r["id"] for r in rows}

    async def settle(
        self, member: int, settlements: Sequence[Settlement]
    ) -> list[tuple[int, Reached | None]]:
        """End attempts; returns each with the member to notify; refused ones are left out."""
        rows = await self._db.fetch(
            *self._sql.bind("settle", member=member, settlements=settlements)
        )
        reached = {
            r["run_id"]: Reached(r["run_id"], r["reserved_by"], r["stream_name"])
            for r in rows
            if r["id"] is None
        }
        return [(r["id"], reached.get(r["run_id"])) for r in rows if r["id"] is not None]

    async def retry(
        self, member: int, failed: Sequence[FailedAttempt]
    ) -> list[tuple[str, datetime]]:
        """Expire failed attempts and write the next; queue and time of each."""
        rows = await self._db.fetch(*self._sql.bind("retry", member=member, failed=failed))
        return [(r["stream_name"], r["visible_at"]) for r in rows]

    async def unclaim(self, member: int, ids: Sequence[int]) -> set[str]:
        """Give attempts back uncounted; the queues to wake."""
        rows = await self._db.fetch(*self._sql.bind("unclaim", member=member, ids=list(ids)))
        return {r["stream_name"] for r in rows}

    async def overdue(self, run_id: int, number: int, kind: str, error: str) -> list[Reached]:
        """Fail a step that nobody runs at its limit; for schedule_to_start, and nobody ever ran."""
        rows = await self._db.fetch(
            *self._sql.bind("overdue", run_id=run_id, dad=str(number), kind=kind, error=error)
        )
        return [Reached(r["run_id"], r["reserved_by"], r["stream_name"]) for r in rows]

    async def unwanted(self, member: int, ids: Sequence[int]) -> set[int]:
        """Those of our attempts whose results are no longer awaited."""
        rows = await self._db.fetch(*self._sql.bind("wanted", member=member, ids=list(ids)))
        return {r["id"] for r in rows}
