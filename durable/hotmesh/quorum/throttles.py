"""How fast the consumers of an app may claim, as stored. The narrowest throttle applies."""

from __future__ import annotations

from durable.hotmesh.quorum.commands import Throttle
from durable.hotmesh.quorum.roster import SQL
from durable.postgres.database import Database


class Throttles:
    """The table `throttles`, which every claim reads."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._sql = SQL.load(database.schema)

    async def set(self, app_id: str, throttle: Throttle) -> None:
        """Store a throttle; from this commit on it holds for every claim.

        It takes the place of those within it: a pause of all is over for all when 0 is set for all.
        """
        async with self._db.connection() as connection, connection.transaction():
            at = {"app_id": app_id, "target": throttle.target, "name": throttle.name}
            await connection.execute(*self._sql.bind("narrow", **at))
            await connection.execute(*self._sql.bind("set", throttle=throttle.milliseconds, **at))
