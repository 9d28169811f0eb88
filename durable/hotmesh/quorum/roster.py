"""The consumers of an app that are alive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from durable.postgres.columns import Text
from durable.postgres.database import Database
from durable.postgres.sql import SqlFile
from durable.store.graph_messages import work_stream
from durable.store.members import lock_class
from durable.store.membership import BEAT_BUSY, BEAT_IDLE

LATE = 3.0  # seconds by which the beat of a worker that runs may be late


@dataclass(frozen=True, slots=True)
class Consumer:
    """An engine (`topic` None) or a worker, the throttle in force for it, and when it was seen."""

    guid: str
    topic: str | None
    member_id: int
    host: str
    pid: int
    joined_at: float
    throttle: int
    seen_at: float

    def __str__(self) -> str:
        what = "engine" if self.topic is None else f"worker of topic {self.topic!r},"
        return f"{what} {self.guid} (host {self.host}, process {self.pid})"


@dataclass(frozen=True, slots=True)
class FunctionWorker:
    """A worker of functions: the version that it serves, and how many runs it holds.

    `answers`: whether its last beat, at `seen_at`, is not overdue; `paused`: how many of these runs
    a throttle pauses; `throttle`: the one for the whole worker.
    """

    member_id: int
    host: str
    pid: int
    version: str | None
    joined_at: float
    seen_at: float
    answers: bool
    runs: int
    paused: int
    throttle: int

    def __str__(self) -> str:
        return f"worker of functions {self.member_id} (host {self.host}, process {self.pid})"


@dataclass(frozen=True, slots=True)
class ConsumerRow:
    """A consumer that takes part."""

    guid: Text
    topic: Text | None


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """An answer to a message; JSON text."""

    sender: Text
    message: Text


SQL = SqlFile("durable.hotmesh.quorum", "sql/quorum.sql", consumers=ConsumerRow, answers=AnswerRow)


class Roster:
    """The table `quorum`, for one app."""

    def __init__(self, database: Database, app_id: str) -> None:
        self._db = database
        self._app_id = app_id
        self._sql = SQL.load(database.schema)
        self._locks = lock_class(database.schema)

    async def join(self, member_id: int, consumers: Sequence[tuple[str, str | None]]) -> None:
        """Have consumers (guid, topic) take part, as long as this member lives."""
        await self._db.fetch(
            *self._sql.bind(
                "join", app_id=self._app_id, member=member_id,
                consumers=[ConsumerRow(*consumer) for consumer in consumers],
            )
        )  # fmt: skip

    async def leave(self, guids: Iterable[str]) -> None:
        """Have consumers take part no more; throttles that name them go too."""
        await self._db.fetch(*self._sql.bind("leave", guids=list(guids)))

    async def present(self) -> list[Consumer]:
        """The consumers that are alive: engines first."""
        rows = await self._db.fetch(
            *self._sql.bind("present", app_id=self._app_id, lock_class=self._locks)
        )
        return [Consumer(**dict(row)) for row in rows]

    async def function_workers(self) -> list[FunctionWorker]:
        """The workers of functions on the task queue with the app's name that are alive."""
        bound = self._sql.bind(
            "function_workers", app_id=self._app_id, lock_class=self._locks,
            busy=BEAT_BUSY + LATE, idle=BEAT_IDLE + LATE,
        )  # fmt: skip
        return [FunctionWorker(**dict(row)) for row in await self._db.fetch(*bound)]

    async def claiming(self) -> set[str]:
        """The transactions that may still claim by what was there before this call."""
        return {row[0] for row in await self._db.fetch(*self._sql.bind("claiming"))}

    async def due(self) -> int:
        """How many runs and attempts of functions wait for one of them."""
        return int(await self._db.fetchval(*self._sql.bind("due", app_id=self._app_id)))

    async def depths(self, topics: Iterable[str]) -> dict[str | None, int]:
        """How many messages wait: of the engines (None), and of these topics."""
        streams = [work_stream(self._app_id, topic) for topic in topics]
        rows = await self._db.fetch(*self._sql.bind("depths", app_id=self._app_id, streams=streams))
        return {row["topic"]: row["depth"] for row in rows}

    async def deployed(self, version: str) -> bool:
        """Whether there is such a version of the app that may be active."""
        return bool(
            await self._db.fetchval(
                *self._sql.bind("deployed", app_id=self._app_id, version=version)
            )
        )
