"""How many rows statements look at: they are explained while they run."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import asyncpg
import pytest


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, bytes):
        value = f"\\x{value.hex()}"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def literal(value: Any) -> str:
    """A parameter as it is written in SQL: EXPLAIN of a prepared statement takes no other."""
    if isinstance(value, list | tuple):
        value = "{" + ",".join(map(_element, value)) + "}"
    return "null" if value is None else "'" + str(value).replace("'", "''") + "'"


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's nodes, the outer ones first."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def _rows(plan: dict[str, Any]) -> int:
    """Postgres gives averages of loops: from 18 on with two digits, before as whole numbers."""
    return sum(
        round(
            node["Actual Loops"]
            * sum(
                rows
                for key, rows in node.items()
                if key == "Actual Rows" or key.startswith("Rows Removed by")
            )
        )
        for node in nodes(plan)
    )


async def looked_at(connection: asyncpg.Connection, name: str, *arguments: Any) -> int:
    """Run a prepared statement; how many rows all nodes of its plan looked at."""
    given = f"({', '.join(map(literal, arguments))})" if arguments else ""
    found = await connection.fetchval(f"explain (analyze, format json) execute {name}{given}")
    return _rows(json.loads(found)[0]["Plan"])


class Looking:
    """Explains every statement of this process before it runs, in a savepoint that is rolled back.

    A statement's plan is made when it is first met on a connection, and kept: generic, as that of
    a statement that is used often.

    Attributes:
        seen: rows looked at, by the beginning of the statement.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: Counter[str] = Counter()
        self._prepared: set[tuple[asyncpg.Connection, str]] = set()
        self._execute = asyncpg.Connection.execute
        for name in ("fetch", "fetchrow", "fetchval", "execute"):
            monkeypatch.setattr(
                asyncpg.Connection, name, self._explaining(getattr(asyncpg.Connection, name))
            )

    def _explaining(self, original: Any) -> Any:
        looking = self

        async def explaining(
            connection: asyncpg.Connection, query: str, *args: Any, **more: Any
        ) -> Any:
            if args and not query.startswith("explain"):
                await looking._explain(connection, query, args)
            return await original(connection, query, *args, **more)

        return explaining

    async def _explain(
        self, connection: asyncpg.Connection, query: str, args: tuple[Any, ...]
    ) -> None:
        name = f"looked_{zlib.crc32(query.encode())}"
        if (connection, name) not in self._prepared:
            self._prepared.add((connection, name))
            await self._execute(connection, f"prepare {name} as {query}")
        transaction = connection.transaction()
        await transaction.start()
        try:
            await self._execute(connection, "set local plan_cache_mode = force_generic_plan")
            self.seen[" ".join(query.split())[:100]] += await looked_at(connection, name, *args)
        finally:
            await transaction.rollback()
