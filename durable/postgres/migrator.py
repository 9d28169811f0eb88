"""Migrations: numbered `.sql` files, each applied once, beside processes that are at work.

The schema is the sum of its migrations. A new schema is made in one transaction. One that is in
use is changed step by step: every statement is a transaction of its own that waits for its lock
no longer than two seconds, and is tried again if it did not get it; indexes are made
concurrently; data is changed in batches. Where it is interrupted, the next one goes on.

Concurrent starters wait for each other; who has no right to create tables goes on when the schema
is already there. Older builds work beside a newer schema, unless one of its migrations says
`-- oldest: N`: then those that end below migration N refuse to start.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import asyncpg
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_random,
)

from durable.errors import ConfigurationError, DatabaseError
from durable.postgres.connections import open_connection
from durable.postgres.database import Database
from durable.postgres.errors import translating
from durable.postgres.migration_script import Step, steps
from durable.postgres.sql import SqlFile, Statements, in_schema
from durable.telemetry.logs import logger

FIRST_RELEASE = 7  # builds that end here know the table `migrations`, and nothing of `revisions`
LOCK_EVERY = 0.1  # seconds between two tries to become the one who migrates
WAITING_EVERY = 300  # tries after which somebody should know who it is
GIVE_UP = 600.0  # seconds for which one statement is tried again when it does not get its lock

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_OLDEST = re.compile(r"^[ \t]*-- oldest: (\d+)\s*$", re.MULTILINE)
_BLOCKED = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)

Fetch = Callable[..., Awaitable[Sequence[Any]]]

MIGRATE = SqlFile("durable.postgres", "sql/migrate.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    text: str

    @property
    def oldest(self) -> int:
        """The newest migration that a process must ship to work beside this one; 0: any."""
        match = _OLDEST.search(self.text)
        return 0 if match is None else int(match[1])


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What the schema says was applied to it."""

    applied: frozenset[int]
    begun: dict[int, int]  # number → the oldest build that may work beside it


def migrations() -> list[Migration]:
    """Every migration that this version ships, in order."""
    found = []
    for file in resources.files("durable.postgres.migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match:
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda m: m.number)


async def pending(database: Database) -> list[Migration]:
    """The migrations that the namespace's schema lacks.

    Raises `ConfigurationError` when the schema was changed by a later version of durable such that
    this one cannot work with it.
    """
    sql = MIGRATE.load(database.schema)
    recorded = await _recorded(database.fetch_past_gate, sql, database.schema)
    return _missing(recorded, database.schema)


async def migrate(database: Database) -> list[Migration]:
    """Bring the schema up to date and return what was applied, [] when nothing was missing.

    Raises `ConfigurationError` when migrations are missing and this role may not apply them, and
    `DatabaseError` when a table was locked by others all the time, for ten minutes.
    """
    missing = await pending(database)
    if not missing:
        return []
    try:
        with translating():
            connection = await open_connection(
                database.address, "durable migrations", also="migration"
            )
            try:
                done = await _Migrator(connection, database.schema).run()
                await connection.close()
                return done
            finally:
                connection.terminate()
    except _NotAllowed as error:
        raise ConfigurationError(
            f"the schema {database.schema!r} lacks migrations {[m.number for m in missing]} "
            f"and this role may not apply them ({error}): "
            "run `durable migrate` once with a role that may"
        ) from error


async def require(database: Database) -> None:
    """Make sure that the schema is there and up to date, and change nothing.

    Raises `ConfigurationError` when it is not; the message says what creates it.
    """
    missing = await pending(database)
    if not missing:
        return
    how = (
        "`durable migrate` and `durable worker` do that, and so do connect(migrate=True) and a"
        " Worker when it starts, as a role that may"
    )
    if missing == migrations():
        raise ConfigurationError(
            f"there is no namespace {database.schema!r} in this database: it has to be created"
            f" first; {how}"
        )
    raise ConfigurationError(
        f"the schema {database.schema!r} lacks migrations {[m.number for m in missing]}: it has to"
        f" be brought up to date first; {how}"
    )


class _NotAllowed(Exception):
    """This role may not do it."""


async def _recorded(fetch: Fetch, sql: Statements, schema: str) -> _Recorded:
    (there,) = await fetch(*sql.bind("tables", schema=schema))
    applied = set()
    if there["migrations"]:
        applied = {r["number"] for r in await fetch(sql["applied"])}
    rows = await fetch(sql["revisions"]) if there["revisions"] else []
    applied |= {r["number"] for r in rows if r["applied"]}
    return _Recorded(frozenset(applied), {r["number"]: r["oldest"] for r in rows})


def _missing(recorded: _Recorded, schema: str) -> list[Migration]:
    known = migrations()
    newest, numbers = known[-1].number, {m.number for m in known}
    refused = {n for n, oldest in recorded.begun.items() if n not in numbers and oldest > newest}
    refused |= recorded.applied - numbers - set(recorded.begun)
    if refused:
        raise ConfigurationError(
            f"the schema {schema!r} was migrated by a later version of durable, and this one cannot"
            f" work with it (it has migration {max(refused)}, this version ends at {newest}): "
            "upgrade this process"
        )
    return [m for m in known if m.number not in recorded.applied]


class _Migrator:
    """Brings one schema up to date, on a connection of its own."""

    def __init__(self, connection: asyncpg.Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._sql = MIGRATE.load(schema)

    async def run(self) -> list[Migration]:
        """Apply what is missing; what another process applied meanwhile is not."""
        await self._lock()
        recorded = await _recorded(self._connection.fetch, self._sql, self._schema)
        missing = _missing(recorded, self._schema)
        try:
            if not recorded.applied and not recorded.begun:
                await self._create(missing)
            elif missing:
                await self._upgrade(missing)
        except asyncpg.InsufficientPrivilegeError as error:
            raise _NotAllowed(error) from error
        return missing

    async def _lock(self) -> None:
        key, tries = f"durable:{self._schema}", 0
        while not await self._connection.fetchval(*self._sql.bind("lock", key=key)):
            tries += 1
            if tries % WAITING_EVERY == 0:
                rows = await self._connection.fetch(*self._sql.bind("holder", key=key))
                holders = ", ".join(f"pid {r['pid']} ({r['name']} of {r['host']})" for r in rows)
                logger.warning("waiting for another process to migrate the schema: %s", holders)
            await asyncio.sleep(LOCK_EVERY)

    # --- a new schema ------------------------------------------------------------------------

    async def _create(self, missing: list[Migration]) -> None:
        """Nobody uses it yet: all at once, or not at all."""
        async with self._connection.transaction():
            if not await self._connection.fetchval(
                *self._sql.bind("has_schema", schema=self._schema)
            ):
                text = self._sql["create_schema"]
                await self._connection.execute(text.replace("durable_schema", f'"{self._schema}"'))
            await self._connection.execute(self._sql["create_migrations"])
            await self._connection.execute(self._sql["create_revisions"])
            for migration in missing:
                found = self._steps(migration)
                plain = [step.text for step in found if step.kind != "batched"]
                await self._connection.execute(";\n".join(plain))  # and no data to change
                await self._begin(migration)
                await self._connection.execute(
                    *self._sql.bind("progress", number=migration.number, steps=len(found), cursor=0)
                )
                await self._finish(migration)

    # --- one that is in use ------------------------------------------------------------------

    async def _upgrade(self, missing: list[Migration]) -> None:
        await self._table("revisions", self._sql["create_revisions"], like="migrations")
        for migration in missing:
            done, cursor = await self._begin(migration)
            found = self._steps(migration)
            logger.info(
                "migration %d (%s): %d of %d steps to do",
                migration.number, migration.name, len(found) - done, len(found),
            )  # fmt: skip
            for number, step in enumerate(found[done:], done + 1):
                await self._apply(migration, number, step, cursor)
                cursor = 0
            async with self._connection.transaction():
                await self._finish(migration)

    async def _apply(self, migration: Migration, number: int, step: Step, cursor: int) -> None:
        where = f"migration {migration.number} ({migration.name}), step {number}"
        if step.kind == "batched":
            await self._in_batches(where, migration.number, number, step, cursor)
            return
        if step.kind == "plain":
            await _until_unlocked(where, lambda: self._statement(migration.number, number, step))
            return
        await _until_unlocked(where, lambda: self._index(step))
        await self._progress(migration.number, number)

    async def _statement(self, migration: int, number: int, step: Step) -> None:
        async with self._connection.transaction():
            await self._connection.execute(self._sql["limits"])
            await self._with_grants(step.text, "jobs")
            await self._progress(migration, number)

    async def _table(self, name: str, text: str, *, like: str) -> None:
        async def make() -> None:
            async with self._connection.transaction():
                await self._connection.execute(self._sql["limits"])
                await self._with_grants(text, like)

        await _until_unlocked(f"the table {name}", make)

    async def _with_grants(self, text: str, like: str) -> None:
        """Run a statement; a table that it makes is open to whoever may use the table `like`."""
        before = await self._connection.fetch(*self._sql.bind("names", schema=self._schema))
        await self._connection.execute(text)
        after = await self._connection.fetch(*self._sql.bind("names", schema=self._schema))
        fresh = sorted({r["name"] for r in after} - {r["name"] for r in before})
        if fresh:
            grants = await self._connection.fetch(
                *self._sql.bind("grants", schema=self._schema, tables=fresh, like=like)
            )
            for (grant,) in grants:
                await self._connection.execute(grant)

    async def _index(self, step: Step) -> None:
        """Outside a transaction; half an index, left by an interruption, is made anew."""
        valid = await self._connection.fetchval(
            *self._sql.bind("valid", schema=self._schema, name=step.index)
        )
        if step.kind == "old index":
            await self._connection.execute(step.concurrent)
            return
        if valid is False:
            name = f'"{self._schema}"."{step.index}"'
            await self._connection.execute(self._sql["drop_index"].replace("durable_index", name))
        if not valid:
            await self._connection.execute(step.concurrent)

    async def _in_batches(
        self, where: str, migration: int, number: int, step: Step, cursor: int
    ) -> None:
        loop = asyncio.get_running_loop()

        async def batch(after: int) -> int | None:
            async with self._connection.transaction():
                await self._connection.execute(self._sql["limits"])
                reached: int | None = await self._connection.fetchval(step.text, after)
                if reached is not None:
                    await self._progress(migration, number - 1, reached)
                else:
                    await self._progress(migration, number)
                return reached

        at: int | None = cursor
        while at is not None:
            began = loop.time()
            at = await _until_unlocked(where, lambda at=at: batch(at))  # type: ignore[misc]
            await asyncio.sleep(loop.time() - began)  # half of the time is left to the others

    # --- records -----------------------------------------------------------------------------

    def _steps(self, migration: Migration) -> list[Step]:
        return steps(in_schema(migration.text, self._schema))

    async def _begin(self, migration: Migration) -> tuple[int, int]:
        row = await self._connection.fetchrow(
            *self._sql.bind(
                "begin", number=migration.number, name=migration.name, oldest=migration.oldest
            )
        )
        return (0, 0) if row is None else (row["steps"], row["cursor"])

    async def _progress(self, migration: int, steps_done: int, cursor: int = 0) -> None:
        await self._connection.execute(
            *self._sql.bind("progress", number=migration, steps=steps_done, cursor=cursor)
        )

    async def _finish(self, migration: Migration) -> None:
        await self._connection.execute(*self._sql.bind("finish", number=migration.number))
        if migration.number <= FIRST_RELEASE or migration.oldest > FIRST_RELEASE:
            await self._connection.execute(
                *self._sql.bind("record", number=migration.number, name=migration.name)
            )


async def _until_unlocked(where: str, action: Callable[[], Awaitable[object]]) -> Any:
    """Do it again when others held the lock; they get their turn in between."""

    def say(state: RetryCallState) -> None:
        logger.info("%s: its table is locked, try %d", where, state.attempt_number + 1)

    try:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(_BLOCKED),
            wait=wait_random(0.5, 1.5),
            stop=stop_after_delay(GIVE_UP),
            before_sleep=say,
            reraise=True,
        ):
            with attempt:
                return await action()
    except _BLOCKED as error:
        raise DatabaseError(
            f"{where}: others hold locks on its table for {GIVE_UP:.0f} s ({error}). Look in"
            " pg_stat_activity for what has been open for so long, end it, and migrate again: what"
            " has been applied stays"
        ) from error
    raise AssertionError  # pragma: no cover - tenacity never ends without a result or an error
