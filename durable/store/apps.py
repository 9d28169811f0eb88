"""Apps, their versions, which one is active, and the rules by which signals are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from durable.postgres.columns import Text
from durable.postgres.connections import Connection
from durable.postgres.database import Row
from durable.postgres.sql import SqlFile


@dataclass(frozen=True, slots=True)
class RuleRow:
    """By what signals of a topic are compared; `actual` is JSON text."""

    topic: Text
    rule: Text
    actual: Text


SQL = SqlFile("durable.store", "sql/apps.sql", rules=RuleRow)


class AppStore:
    """The tables `apps`, `app_versions` and `hook_rules`, on the caller's connection."""

    def __init__(self, schema: str) -> None:
        self._sql = SQL.load(schema)

    async def lock(self, connection: Connection, app_id: str) -> str | None:
        """Have deployments of an app follow each other; its active version."""
        version: str | None = await connection.fetchval(*self._sql.bind("lock_app", app_id=app_id))
        return version

    async def hold(self, connection: Connection, app_ids: Sequence[str]) -> None:
        """Keep the rules of these apps as they are until commit."""
        await connection.fetch(*self._sql.bind("hold_app", app_ids=list(app_ids)))

    async def insert(
        self,
        connection: Connection,
        app: tuple[str, str],
        text: str,
        content: str,
        *,
        generated: bool,
    ) -> bool:
        """Store a version (app id, version) of a document; False when that version is there."""
        row = await connection.fetchval(
            *self._sql.bind(
                "insert_version", app_id=app[0], version=app[1], descriptor=text,
                content_hash=content, generated=generated,
            )
        )  # fmt: skip
        return row is not None

    async def has(self, connection: Connection, app_id: str, version: str) -> bool:
        """Whether a version is stored."""
        found: bool = await connection.fetchval(
            *self._sql.bind("has_version", app_id=app_id, version=version)
        )
        return found

    async def deployed_again(self, connection: Connection, app_id: str, version: str) -> None:
        """Have a version that functions generated be the one that was deployed last."""
        await connection.execute(*self._sql.bind("deployed_again", app_id=app_id, version=version))

    async def version(self, connection: Connection, app_id: str, version: str) -> Row | None:
        """What is stored of a version: descriptor, content_hash, generated."""
        row: Row | None = await connection.fetchrow(
            *self._sql.bind("version", app_id=app_id, version=version)
        )
        return row

    async def versions(self, connection: Connection, app_id: str) -> list[Row]:
        """All versions of an app, oldest first, without their documents."""
        rows: list[Row] = await connection.fetch(*self._sql.bind("versions", app_id=app_id))
        return rows

    async def insert_rules(
        self, connection: Connection, app_id: str, rules: Sequence[tuple[str, str, str]]
    ) -> list[tuple[str, str]]:
        """Store rules (topic, rule, actual as JSON text); those that are new, as (topic, rule)."""
        rows = await connection.fetch(
            *self._sql.bind("insert_rules", app_id=app_id, rules=[RuleRow(*r) for r in rules])
        )
        return [(r["topic"], r["rule"]) for r in rows]

    async def rules(self, connection: Connection, app_id: str, topics: Sequence[str]) -> list[Row]:
        """The rules (topic, rule, actual) of these topics, each with the time as `now`."""
        rows: list[Row] = await connection.fetch(
            *self._sql.bind("rules", app_id=app_id, topics=list(topics))
        )
        return rows

    async def active(self, connection: Connection, app_id: str) -> tuple[str | None, datetime]:
        """The active version, None when none ever was; and the database's time."""
        [row] = await connection.fetch(*self._sql.bind("active", app_id=app_id))
        return row["active_version"], row["now"]

    async def activate(self, connection: Connection, app_id: str, version: str) -> bool:
        """Switch to a version; False when there is none of that name that could be active."""
        return (
            await connection.fetchval(*self._sql.bind("activate", app_id=app_id, version=version))
            is not None
        )
