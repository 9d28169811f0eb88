"""Transactions of more than one statement, for the few places that may open them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from durable.postgres.pool import Database


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[Any]:
    """One connection in one transaction: committed when the block ends, rolled back when it raises.

    Errors of the driver leave it as ours: `ConnectionLost` (which, at the commit, leaves the
    outcome unknown), `Conflict` or `DatabaseError`.
    """
    async with database.connection() as connection, connection.transaction():
        yield connection
