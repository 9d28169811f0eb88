"""Where a database is: a DSN, or wherever a pool of the caller's connects to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import asyncpg

from durable.errors import ConfigurationError
from durable.postgres.sql import Statements

Pool = asyncpg.Pool


class Address:
    """How to open a connection of one's own, beside those of a pool.

    Attributes:
        dsn: for people, and for other processes; without a password where a pool was given.
        pool: the caller's pool, None where a DSN was given.
    """

    def __init__(self, dsn: str, pool: Pool | None = None) -> None:
        self.dsn = dsn
        self.pool = pool

    @classmethod
    async def of_pool(cls, pool: Pool) -> Address:
        """Where a pool's connections go.

        Raises `ConfigurationError` for a pool whose connections read JSON otherwise than as text.
        """
        sql = Statements("durable.postgres", "sql/pools.sql", "durable")
        if not isinstance(await pool.fetchval(sql["json"]), str):
            raise ConfigurationError(
                "this pool decodes json (set_type_codec in its init): durable reads it as text."
                " Give a pool without that codec, or a DSN"
            )
        (row,) = await pool.fetch(sql["where"])
        user, name = quote(row["role"], safe=""), quote(row["name"], safe="")
        if row["host"] is None:
            where = f"/{name}?host={quote(row['directory'].strip())}&port={row['port']}"
        else:
            where = f"{row['host']}:{row['port']}/{name}"
        return cls(f"postgresql://{user}@{where}", pool)

    async def connect(self, settings: Mapping[str, str]) -> asyncpg.Connection:
        """A new connection with these settings of its session, outside of any pool.

        A pool is asked anew each time how it connects: its password may have changed.
        """
        if self.pool is None:
            return await asyncpg.connect(
                self.dsn,
                timeout=10,
                server_settings=dict(settings),
                max_cached_statement_lifetime=0,
            )
        made: Any = self.pool  # asyncpg has no public way to ask how a pool connects
        make, args, given = made._connect, made._connect_args, made._connect_kwargs  # noqa: SLF001
        options: dict[str, Any] = {"timeout": 10, **given}
        options["server_settings"] = {**(options.get("server_settings") or {}), **settings}
        options["max_cached_statement_lifetime"] = 0
        connection: asyncpg.Connection = await make(*args, **options)
        return connection
