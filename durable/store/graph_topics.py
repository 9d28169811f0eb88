"""Work of graphs for a worker of functions: many topics of one app, each with its policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from durable.postgres.columns import Float, Integer, Text
from durable.postgres.database import Database
from durable.postgres.sql import SqlFile
from durable.protocol.durations import seconds
from durable.protocol.retry import RetryPolicy
from durable.store.graph_messages import Taken, WorkStream, taken_from
from durable.store.pacing import Pace


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, and the policy of the function that serves it."""

    topic: Text
    attempts: Integer
    coefficient: Float
    longest: Float
    first: Float | None

    @classmethod
    def of(cls, topic: str, policy: RetryPolicy) -> Topic:
        """A topic with a policy."""
        first = policy.initial_interval
        return cls(
            topic,
            policy.most,
            float(policy.backoff_coefficient),
            seconds(policy.maximum_interval),
            None if first is None else seconds(first),
        )


SQL: Final = SqlFile("durable.store", "sql/graph_topics.sql", topics=Topic)


class TopicStream:
    """The work of some topics of one app, as one worker sees it.

    Args:
        topics: by name, the policy that applies where the graph has none.
        pace: that of the worker.

    Attributes:
        work: ends attempts, and gives work back.
    """

    def __init__(
        self, database: Database, app_id: str, topics: Iterable[tuple[str, RetryPolicy]], pace: Pace
    ) -> None:
        self._db = database
        self._sql = SQL.load(database.schema)
        self._app_id = app_id
        self._policies = dict(topics)
        self._topics = [Topic.of(topic, policy) for topic, policy in self._policies.items()]
        self._pace = pace
        self.work = WorkStream(database, app_id, "", None, pace)

    async def has_graphs(self) -> bool:
        """Whether the app has hand-written graphs that are live."""
        (row,) = await self._db.fetch(*self._sql.bind("has_graphs", app=self._app_id))
        return bool(row[0])

    async def take(self, member: int, limit: int) -> list[Taken]:
        """Reserve up to `limit` due messages of topics that are not paused."""
        rows = await self._db.fetch(
            *self._sql.bind(
                "take",
                member=member,
                app=self._app_id,
                topics=self._topics,
                limit=self._pace.limit(limit),
            )
        )
        self._pace.claimed(rows)
        taken = [taken_from(row, self._policies[row["topic"]]) for row in rows]
        return await self.work.kept(member, taken)
