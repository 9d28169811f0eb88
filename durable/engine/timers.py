"""When an engine has to look again. Timers are messages that become visible when they are due."""

from __future__ import annotations

from durable.postgres.database import Database
from durable.store.graph_messages import EngineStream
from durable.store.pacing import Pace

POLL = 1.0  # seconds: the net beneath notifications that never came


class Timers:
    """The next timer of apps, for an engine of this `pace`."""

    def __init__(self, database: Database, pace: Pace | None = None) -> None:
        self._db = database
        self._stream = EngineStream(database.schema, pace)

    async def pause(self, app_id: str) -> float:
        """Seconds that an idle engine may rest: to the next timer, a second at most."""
        async with self._db.connection() as connection:
            due = await self._stream.next_due(connection, app_id)
        return POLL if due is None else min(max(due, 0.0), POLL)
