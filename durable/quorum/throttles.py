"""How fast the consumers of an app may claim, as stored. The narrowest throttle applies."""

from __future__ import annotations

from durable.postgres.pool import Database
from durable.postgres.sql import Statements
from durable.quorum.commands import Throttle


class Throttles:
    """The table `throttles`, which every claim reads."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._sql = Statements("durable.quorum", "sql/quorum.sql", database.schema)

    async def set(self, app_id: str, throttle: Throttle) -> None:
        """Store a throttle; from this commit on it holds for every claim.

        It takes the place of those within it: a pause of all is over for all when 0 is set for all.
        """
        async with self._db.connection() as connection, connection.transaction():
            at = (app_id, throttle.target, throttle.name)
            await connection.execute(self._sql["narrow"], *at)
            await connection.execute(self._sql["set"], *at, throttle.milliseconds)
