"""The rows of escalations: held in a transaction, read, described, and what may be done to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from durable.engine.job import decode
from durable.errors import EscalationConflict, EscalationError, EscalationNotFound
from durable.postgres.connections import Connection
from durable.postgres.database import Database, Row
from durable.protocol.graphs import Output
from durable.store.escalations import EscalationStore

Escalation = Output
Ids = Sequence[str | int]
WhyNot = Callable[[Row], str | None]
"""Says why something cannot be done to a row; None where it can."""

_HIDDEN: Final = ("run_id", "dad", "jid", "claim_holds")
_JSON: Final = ("resolver_payload", "envelope", "metadata", "milestones")


class EscalationRows:
    """The escalations of one app, row by row."""

    def __init__(self, database: Database, app_id: str, store: EscalationStore) -> None:
        self._db = database
        self._app_id = app_id
        self._store = store

    @asynccontextmanager
    async def held(self, ids: Ids) -> AsyncIterator[tuple[Connection, Sequence[Row]]]:
        """A transaction that holds these rows; raises for those that are not there."""
        async with self._db.connection() as connection, connection.transaction():
            rows = await self._store.lock(connection, self._app_id, numbers_of(ids))
            insist(rows, lambda _: None, missing_of(ids, rows))
            yield connection, rows

    async def read(self, ids: Ids) -> list[Escalation]:
        """These, as their callers see them."""
        async with self._db.connection() as connection:
            rows = await self._store.read(connection, self._app_id, numbers_of(ids))
        return [described(row) for row in rows]

    async def one(self, id: str | int) -> Escalation:  # noqa: A002 - the field's word
        """One that is there."""
        return (await self.read([id]))[0]


def numbers_of(ids: Iterable[str | int]) -> Sequence[int]:
    """Ids as the table has them; what is none becomes a number below 0, which nothing has."""
    texts = [str(i) for i in ids]
    return [
        int(t) if t.isascii() and t.isdigit() and len(t) < 19 else -place  # noqa: PLR2004 - digits of a bigint
        for place, t in enumerate(texts, 1)
    ]


def ids_of(rows: Sequence[Row]) -> Sequence[int]:
    """Their ids."""
    return [row["id"] for row in rows]


def described(row: Row) -> Escalation:
    """A row as its callers see it."""
    found = {name: _plain(name, value) for name, value in row.items() if name not in _HIDDEN}
    return {**found, "id": str(row["id"]), "job_id": row["jid"]}


def _plain(name: str, value: Any) -> object:
    if name in _JSON:
        return decode(value)
    return value.isoformat() if isinstance(value, datetime) else value


# --- why something cannot be done ----------------------------------------------------------------


def why_closed(row: Row) -> str | None:
    """Why nothing can be done to a row any more: it is closed."""
    return None if row["status"] == "pending" else f"already-{row['status']}"


def why_not_claimable(row: Row, assignee: str) -> str | None:
    """Why an assignee cannot claim a row."""
    if row["status"] == "pending" and row["claim_holds"] and row["assigned_to"] != assignee:
        return "claimed-by-other"
    return why_closed(row)


def why_not_releasable(row: Row, assignee: str | None) -> str | None:
    """Why the claim on a row cannot be given back, by its assignee or by anybody (None)."""
    if row["status"] != "pending" or not row["claim_holds"]:
        return why_closed(row) or "not-claimed"
    return None if assignee in (None, row["assigned_to"]) else "claimed-by-other"


def why_not_resolvable(row: Row, assignee: str | None) -> str | None:
    """Why a row cannot be resolved, by an assignee or by anybody (None)."""
    if row["status"] != "pending" or assignee is None:
        return why_closed(row)
    if row["claim_holds"]:
        return None if row["assigned_to"] == assignee else "claimed-by-other"
    return "claim-expired" if row["assigned_to"] == assignee else "not-claimed"


def refused(rows: Sequence[Row], why_not: WhyNot) -> list[dict[str, str]]:
    """The rows to which it cannot be done, each with its reason."""
    return [
        {"id": str(row["id"]), "reason": reason}
        for row in rows
        if (reason := why_not(row)) is not None
    ]


def missing_of(ids: Ids, rows: Sequence[Row]) -> list[dict[str, str]]:
    """The ids that no row has."""
    there = {row["id"] for row in rows}
    return [
        {"id": str(given), "reason": "not-found"}
        for given, number in zip(ids, numbers_of(ids), strict=True)
        if number not in there
    ]


def insist(
    rows: Sequence[Row],
    why_not: WhyNot,
    missing: Sequence[dict[str, str]] = (),
) -> None:
    """Raise when one is missing, or cannot be done."""
    failed = [*missing, *refused(rows, why_not)]
    if failed:
        said = "; ".join(f"{one['id']}: {one['reason']}" for one in failed)
        kind: type[EscalationError] = EscalationNotFound if missing else EscalationConflict
        raise kind(f"nothing was changed, since of the escalations {said}", failed=failed)
