"""What a run costs beside time: CPU of client, worker and server; transactions, statements, WAL."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psutil

SETTINGS = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "shared_buffers",
    "max_connections",
    "wal_sync_method",
)


def cpu(pid: int) -> float:
    """CPU seconds of a process and its children, user and system."""
    try:
        process = psutil.Process(pid)
        times = [p.cpu_times() for p in (process, *process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(t.user + t.system + t.children_user + t.children_system for t in times)


def machine_cpu() -> float:
    """Busy CPU seconds of the whole machine, stolen ones included."""
    t = psutil.cpu_times()
    return float(t.user + t.nice + t.system + t.irq + t.softirq + t.steal)


class Meter:
    """Reads counters before and after a run.

    Args:
        connection: to the server whose counters count; None for systems without Postgres.
        processes: the processes to watch, by role.
        statements: whether the server counts statements.
    """

    def __init__(
        self,
        connection: asyncpg.Connection | None,
        processes: Mapping[str, int],
        *,
        statements: bool = False,
    ) -> None:
        self._connection = connection
        self._pids = dict(processes)
        self._statements = statements

    @classmethod
    async def open(cls, dsn: str | None, processes: Mapping[str, int]) -> Meter:
        """Connect, and find the server's process when it runs on this machine."""
        if dsn is None:
            return cls(None, processes)
        connection = await asyncpg.connect(dsn)
        pids = dict(processes)
        backend = await connection.fetchval("select pg_backend_pid()")
        if psutil.pid_exists(backend) and "postgres" in psutil.Process(backend).name():
            pids["pg"] = psutil.Process(backend).ppid()
        have = await connection.fetchval(
            "select count(*) from pg_extension where extname = 'pg_stat_statements'"
        )
        return cls(connection, pids, statements=bool(have))

    async def read(self) -> dict[str, float]:
        """The counters now."""
        counters: dict[str, float] = {"t": time.perf_counter(), "machine": machine_cpu()}
        if self._connection is not None:
            row = await self._connection.fetchrow(
                "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xid,"
                " (pg_current_wal_insert_lsn() - '0/0')::float8 as wal,"
                " (select sum(xact_commit) from pg_stat_database)::float8 as commits"
            )
            counters.update(row)
        if self._connection is not None and self._statements:
            counters.update(
                await self._connection.fetchrow(
                    "select coalesce(sum(calls), 0)::float8 as calls, coalesce(sum(calls) filter"
                    " (where query ~* '^(begin|commit|rollback|savepoint|release)'), 0)::float8"
                    " as control from pg_stat_statements s"
                    " join pg_database d on d.oid = s.dbid where datname = current_database()"
                )
            )
        own = os.times()
        counters["cpu_client"] = own.user + own.system
        counters.update({f"cpu_{name}": cpu(pid) for name, pid in self._pids.items()})
        return counters

    def difference(self, before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
        """The figures of what lies between two readings."""
        d = {key: after[key] - before[key] for key in after}
        figures = {key: round(value, 2) for key, value in d.items() if key.startswith("cpu_")}
        if d["t"] > 0.2:
            others = d["machine"] - sum(figures.values())
            figures["others_pct"] = round(
                100 * max(0.0, others) / d["t"] / (os.cpu_count() or 1), 1
            )
        if self._connection is None:
            return figures
        figures["pg_write_txns"] = int(d["xid"])
        if d["t"] > 5:  # the server counts them with a delay
            figures["pg_commits"] = int(d["commits"])
        if self._statements:
            figures["pg_stmts"] = int(d["calls"] - d["control"])
            figures["pg_roundtrips"] = int(d["calls"])
        figures["wal_mb"] = round(d["wal"] / 1e6, 2)
        return figures

    async def surroundings(self) -> list[str]:
        """The machine, the versions and the settings, a line each."""
        memory = psutil.virtual_memory().total >> 30
        lines = [
            f"machine: {os.cpu_count()} cores, {memory} GiB, {platform.platform()}",
            f"python: {platform.python_version()} ({platform.python_implementation()})",
        ]
        if self._connection is not None:
            rows = await self._connection.fetch(
                "select name, current_setting(name) as value from pg_settings"
                " where name = any($1::text[])",
                list(SETTINGS),
            )
            lines.append("postgres: " + ", ".join(f"{r['name']} {r['value']}" for r in rows))
        return lines

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()


async def fresh(dsn: str, name: str) -> str:
    """An empty database of this name on the server; its DSN."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(f'drop database if exists "{name}" with (force)')
    await connection.execute(f'create database "{name}"')
    counted = "pg_stat_statements" in await connection.fetchval("show shared_preload_libraries")
    await connection.close()
    made = urlsplit(dsn)._replace(path=f"/{name}").geturl()
    if counted:
        connection = await asyncpg.connect(made)
        await connection.execute("create extension pg_stat_statements")
        await connection.close()
    return made


async def clear(dsn: str, namespace: str) -> None:
    """Drop what an earlier run has left."""
    connection = await asyncpg.connect(dsn)
    await connection.execute(f'drop schema if exists "{namespace}" cascade')
    await connection.close()


async def bare_commits(dsn: str, count: int) -> list[float]:
    """Seconds that each of so many commits of one row takes, one after the other: the floor."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("create table if not exists floor (n int, at timestamptz, data json)")
    insert = await connection.prepare("insert into floor values ($1, now(), $2)")
    await insert.fetch(0, "{}")
    took = []
    for number in range(count):
        before = time.perf_counter()
        await insert.fetch(number, '{"a": 1}')
        took.append(time.perf_counter() - before)
    await connection.close()
    return took
