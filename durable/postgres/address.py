"""Where a database is: a DSN, or wherever a pool of the caller's connects to."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

import asyncpg

from durable.errors import ConfigurationError
from durable.postgres.dsn import read_dsn, shown
from durable.postgres.sql import SqlFile

Pool = asyncpg.Pool

CONNECT_TIMEOUT = 10.0
AT_ONCE = 2  # connections of one process that are being opened
JITTER = 0.1  # seconds

POOLS = SqlFile("durable.postgres", "sql/pools.sql")


class Address:
    """How to open connections to a database.

    Args:
        dsn: where it is, in any form that `read_dsn` takes.
        pool: the caller's pool, None where a DSN was given.
        direct: the DSN of a way round a pooler, for connections that have to keep their session.

    Attributes:
        dsn: as a URI, for other processes; without a password where a pool was given.
        pool: the caller's pool, or None.
        direct: the URI of the direct way, or None.
        keeps_sessions: whether a connection by `dsn` has a session of its own for as long as it
            lives; False behind a pooler in transaction mode.
    """

    def __init__(self, dsn: str, pool: Pool | None = None, direct: str | None = None) -> None:
        self.dsn = read_dsn(dsn)
        self.pool = pool
        self.direct = None if direct is None else read_dsn(direct)
        self.keeps_sessions = True
        self._gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )

    @classmethod
    async def of_pool(cls, pool: Pool, direct: str | None = None) -> Address:
        """Where a pool's connections go.

        Raises `ConfigurationError` for a pool whose connections read JSON otherwise than as text.
        """
        sql = POOLS.load("durable")
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
            host = f"[{row['host']}]" if ":" in row["host"] else row["host"]
            where = f"{host}:{row['port']}/{name}"
        return cls(f"postgresql://{user}@{where}", pool, direct)

    async def connect(self, name: str, *, direct: bool = True) -> asyncpg.Connection:
        """A new connection, outside of any pool, whose session nobody has set.

        A pool is asked anew each time how it connects: its password may have changed.

        Args:
            name: what `pg_stat_activity` shows.
            direct: by the direct way, where there is one.
        """
        async with self._gate():
            return await self._connect(name, direct=direct)

    async def jitter(self) -> None:
        """Wait a moment before a connection that broke is opened again, as thousands may at once.

        A server that is just back is not to be met by all of them in one moment.
        """
        rng = random.random
        await asyncio.sleep(rng() * JITTER)

    def _gate(self) -> asyncio.Semaphore:
        """Two at a time; of each loop its own, for a semaphore belongs to one."""
        return self._gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))

    async def _connect(self, name: str, *, direct: bool) -> asyncpg.Connection:
        dsn = self.direct if direct and self.direct is not None else None
        if dsn is None and self.pool is not None:
            return await self._as_pool(name)
        try:
            return await asyncpg.connect(
                dsn or self.dsn,
                timeout=CONNECT_TIMEOUT,
                server_settings={"application_name": name},
                max_cached_statement_lifetime=0,
                # Behind a shared session a statement that was prepared is not there the next time.
                statement_cache_size=100 if direct or self.keeps_sessions else 0,
            )
        except asyncpg.ClientConfigurationError as error:
            raise ConfigurationError(
                f"the DSN {shown(dsn or self.dsn)!r} is not usable: {error}"
            ) from None

    async def _as_pool(self, name: str) -> asyncpg.Connection:
        made: Any = self.pool  # asyncpg has no public way to ask how a pool connects
        make, args, given = made._connect, made._connect_args, made._connect_kwargs  # noqa: SLF001
        options: dict[str, Any] = {"timeout": CONNECT_TIMEOUT, **given}
        options["server_settings"] = {
            **(options.get("server_settings") or {}),
            "application_name": name,
        }
        options["max_cached_statement_lifetime"] = 0
        connection: asyncpg.Connection = await make(*args, **options)
        return connection
