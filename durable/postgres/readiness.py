"""Connecting to a schema that is missing or behind: what needs its tables waits for who migrates.

A program connects first and starts its Worker, which migrates, afterwards; one that only calls may
be up before that. So connecting succeeds, and each operation looks, until the schema is up to date,
and says otherwise what is missing and what creates it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from durable.postgres.database import Database
from durable.postgres.migrator import Migration, migrate, pending, require
from durable.postgres.retries import CALLER_TIMEOUT, retry_until_connected

Then = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Do nothing when the schema is up to date."""


class Readiness:
    """Whether the schema of a database can be worked with, and the way there.

    Args:
        database: its statements are refused while the schema is missing or behind.
        then: called once, as soon as it is up to date.
    """

    def __init__(self, database: Database, then: Then = nothing) -> None:
        self._database = database
        self._then = then

    async def look(self) -> None:
        """See what is there; statements wait for what is not.

        Raises `ConfigurationError` when a later version changed the schema such that this one
        cannot work with it.
        """
        self._database.gate = self._pass
        if not await pending(self._database):
            await self._open()

    async def migrate(self) -> list[Migration]:
        """Bring the schema up to date and return what was applied, [] when nothing was missing.

        Raises what `durable.postgres.migrator.migrate` raises.
        """
        applied = await retry_until_connected(
            lambda: migrate(self._database), host=False, limit=CALLER_TIMEOUT
        )  # an interrupted one goes on where it was left
        await self._open()
        return applied

    async def _pass(self) -> None:
        await require(self._database)
        await self._open()

    async def _open(self) -> None:
        then, self._then = self._then, nothing
        self._database.gate = None
        try:
            await then()
        except BaseException:
            self._then, self._database.gate = then, self._pass
            raise
