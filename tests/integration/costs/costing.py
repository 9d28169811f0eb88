"""Counts what a stretch of work costs Postgres: transactions, round trips, bytes of the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

BESIDE = ("beat_at", "advisory", "pg_postmaster", "pg_notify", "turn_ranks")
"""Beats, the sweeper's looks, notifications and polls: they cost what they cost, run or no run."""


@dataclass
class Cost:
    """What a stretch of work cost; in trips and transactions, what is beside it is left out."""

    transactions: int = 0
    trips: list[str] = field(default_factory=list)
    wal: int = 0


async def _counters(direct: asyncpg.Connection) -> tuple[int, int]:
    """How many transactions have had an xid, asking being one of them; how long the log is."""
    row = await direct.fetchrow(
        "select txid_current() as xids, (pg_current_wal_insert_lsn() - '0/0')::bigint as wal"
    )
    assert row is not None
    return row["xids"], row["wal"]


@asynccontextmanager
async def costing(
    direct: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cost]:
    """Counts for every connection of this process; `fetchrow` and `fetchval` are the test's own."""
    cost, beside = Cost(), []
    fetch, execute = asyncpg.Connection.fetch, asyncpg.Connection.execute

    async def fetching(self: asyncpg.Connection, query: str, *args: Any, **more: Any) -> Any:
        if any(word in query for word in BESIDE):
            found = await fetch(self, query, *args, **more)
            beside.append("pg_notify" in query or "beat_at" in query)  # these have an xid
            return found
        cost.trips.append(query)
        return await fetch(self, query, *args, **more)

    async def executing(self: asyncpg.Connection, query: str, *args: Any, **more: Any) -> Any:
        cost.trips.append(query)
        return await execute(self, query, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "fetch", fetching)
        patch.setattr(asyncpg.Connection, "execute", executing)
        xids, wal = await _counters(direct)
        yield cost
        after = await _counters(direct)
        cost.transactions = after[0] - xids - 1 - sum(beside)
        cost.wal = after[1] - wal
