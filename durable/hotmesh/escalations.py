"""`mesh.escalations`: what waits for a person, who does it, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from durable.engine.effects import Reply
from durable.engine.job import encode
from durable.engine.steps.escalation_steps import EscalationSteps, Settlement
from durable.engine.steps.graph_writes import OnCommitted
from durable.errors import ConfigurationError
from durable.hotmesh.escalation_rows import (
    Escalation,
    EscalationRows,
    Ids,
    WhyNot,
    described,
    ids_of,
    insist,
    missing_of,
    numbers_of,
    refused,
    why_closed,
    why_not_claimable,
    why_not_releasable,
    why_not_resolvable,
)
from durable.postgres.database import Database, Row
from durable.protocol.codes import OK
from durable.protocol.durations import Duration, seconds
from durable.protocol.graphs import Data, Output
from durable.protocol.json_values import plain
from durable.protocol.limits import check_fields
from durable.protocol.messages import MessageKind
from durable.store.escalations import FILTERS, EscalationStore, Wanted

Found = list[Escalation]

PRUNED_MAX = 10_000  # rows of one `prune`, unless it says otherwise; 100,000 at most

_CLOSED: Final = ("resolved", "cancelled", "expired")
_STATUSES: Final = ("pending", *_CLOSED)
_CREATED: Final = (
    "role", "type", "subtype", "entity", "priority", "description", "task_queue", "workflow_type",
    "origin_id", "parent_id", "initiated_by", "trace_id", "span_id", "envelope", "metadata",
    "expires_at",
)  # fmt: skip


class Escalations:
    """The escalations of one app.

    A row is a dict: id, status (pending, resolved, cancelled, expired), available (whether it may
    be claimed), job_id, graph, topic and aid (who waits; None for one that `create` made), what
    the hook's `escalation` says in snake case (role, type, subtype, entity, priority, description,
    task_queue, workflow_type, origin_id, parent_id, initiated_by, trace_id, span_id, metadata,
    envelope, expires_at), assigned_to, assigned_until, claimed_at, resolved_by, resolved_at,
    resolver_payload, milestones, created_at, updated_at. Moments are ISO 8601 text.

    A claim is a promise for a time: it lapses by itself, and the row is available again. Every
    change holds the rows that it concerns, so that of two who claim or resolve one succeeds.
    `EscalationNotFound` and `EscalationConflict` say what stood in the way; nothing has changed
    then.
    """

    def __init__(
        self, database: Database, app_id: str, steps: EscalationSteps, on_committed: OnCommitted
    ) -> None:
        self._db, self._app_id = database, app_id
        self._steps = steps
        self._on_committed = on_committed
        self._store = EscalationStore(database.schema)
        self._rows = EscalationRows(database, app_id, self._store)

    # --- looking ---------------------------------------------------------------------------------

    async def list(
        self,
        *,
        sort_by: str = "priority",
        newest_first: bool = False,
        limit: int = 100,
        offset: int = 0,
        **filters: object,
    ) -> Found:
        """Those that fit, the lowest priority number first, of one priority the oldest.

        Args:
            sort_by: "priority", or "created_at" for their age alone.
            newest_first: instead of the oldest.
            limit: how many at most.
            offset: how many to pass over.
            filters: role, type, subtype, entity, status, assigned_to, job_id, topic, origin_id,
                priority, each a value or a list of which any fits; metadata (a dict that theirs
                contains); available (True: may be claimed).
        """
        if sort_by not in ("priority", "created_at"):
            raise ConfigurationError(f"sort_by={sort_by!r}: it is priority or created_at")
        wanted = _wanted(filters)
        order, page = (sort_by, newest_first), (limit, offset)
        async with self._db.connection() as connection:
            rows = await self._store.find(connection, self._app_id, wanted, order, page)
        return [described(row) for row in rows]

    async def count(self, **filters: object) -> int:
        """How many `list` would find."""
        async with self._db.connection() as connection:
            return await self._store.count(connection, self._app_id, _wanted(filters))

    async def get(self, id: str | int) -> Escalation | None:  # noqa: A002 - the field's word
        """One, or None."""
        async with self._db.connection() as connection:
            rows = await self._store.read(connection, self._app_id, numbers_of([id]))
        return described(rows[0]) if rows else None

    async def stats(
        self, *, roles: Sequence[str] | None = None, period: Duration = "1 day"
    ) -> Found:
        """By role and type: pending, claimed; created and resolved within the period."""
        async with self._db.connection() as connection:
            rows = await self._store.stats(connection, self._app_id, roles, seconds(period))
        return [dict(row) for row in rows]

    async def list_distinct_types(self) -> tuple[str, ...]:
        """The types that there are, in order."""
        async with self._db.connection() as connection:
            return tuple(r["type"] for r in await self._store.types(connection, self._app_id))

    # --- claiming --------------------------------------------------------------------------------

    async def claim(
        self,
        id: str | int,  # noqa: A002
        assignee: str,
        duration: Duration = "30 minutes",
    ) -> Escalation:
        """Have it for yourself until `duration` has passed; claimed again, it is prolonged.

        Raises `EscalationNotFound`; `EscalationConflict` when it is closed or somebody else's.
        """
        async with self._rows.held([id]) as (connection, rows):
            insist(rows, lambda row: why_not_claimable(row, assignee))
            await self._store.claim(connection, ids_of(rows), assignee, seconds(duration))
        return await self._rows.one(id)

    async def claim_many(
        self, ids: Ids, assignee: str, duration: Duration = "30 minutes"
    ) -> dict[str, Found]:
        """Claim those that can be: `{"claimed": rows, "skipped": [{"id", "reason"}]}`."""
        numbers = numbers_of(ids)
        async with self._db.connection() as connection, connection.transaction():
            rows = await self._store.lock(connection, self._app_id, numbers)
            skipped = refused(rows, lambda row: why_not_claimable(row, assignee))
            skipped += missing_of(ids, rows)
            out = {failed["id"] for failed in skipped}
            mine = [row["id"] for row in rows if str(row["id"]) not in out]
            await self._store.claim(connection, mine, assignee, seconds(duration))
            claimed = await self._store.read(connection, self._app_id, mine)
        return {"claimed": [described(row) for row in claimed], "skipped": skipped}

    async def claim_by_metadata(
        self,
        metadata: Data,
        assignee: str,
        duration: Duration = "30 minutes",
        *,
        roles: Sequence[str] | None = None,
    ) -> Escalation | None:
        """Claim the first available one whose metadata contain these; None when there is none.

        Several who ask at once get different ones.
        """
        text = encode(dict(metadata), "the metadata to look for")
        async with self._db.connection() as connection, connection.transaction():
            found = await self._store.next_available(connection, self._app_id, text, roles)
            if found is None:
                return None
            await self._store.claim(connection, [found], assignee, seconds(duration))
            rows = await self._store.read(connection, self._app_id, [found])
        return described(rows[0])

    async def release(self, id: str | int, assignee: str | None = None) -> Escalation:  # noqa: A002
        """Give a claim back; without `assignee`, whoever's it is.

        Raises `EscalationNotFound`; `EscalationConflict` when it is closed, not claimed, or not by
        the assignee.
        """
        async with self._rows.held([id]) as (connection, rows):
            insist(rows, lambda row: why_not_releasable(row, assignee))
            await self._store.release(connection, ids_of(rows))
        return await self._rows.one(id)

    async def escalate_to_role(self, id: str | int, role: str) -> Escalation:  # noqa: A002
        """Pass it to another role; a claim on it ends. Raises as `claim` does."""
        return (await self.escalate_many_to_role([id], role))[0]

    async def escalate_many_to_role(self, ids: Ids, role: str) -> Found:
        """Pass all of them to another role, or none when one cannot be."""
        async with self._rows.held(ids) as (connection, rows):
            insist(rows, why_closed)
            await self._store.to_role(connection, ids_of(rows), role)
        return await self._rows.read(ids)

    # --- changing --------------------------------------------------------------------------------

    async def create(self, **columns: Any) -> Escalation:
        """One that no job waits by: for work that is kept beside that of graphs.

        Its columns are those of a hook's `escalation`, in snake case; `expires_at` is a datetime.
        """
        if unknown := sorted(columns.keys() - set(_CREATED)):
            raise ConfigurationError(
                f"an escalation has no columns {unknown}; known are {sorted(_CREATED)}"
            )
        row = {"app_id": self._app_id, **columns}
        if isinstance(row.get("expires_at"), datetime):
            row["expires_at"] = row["expires_at"].timestamp()
        encode(row, "an escalation")
        async with self._db.connection() as connection:
            (created,) = await self._store.open(connection, [row])
        return await self._rows.one(created)

    async def update(
        self, id: str | int, *, priority: int | None = None,  # noqa: A002
        description: str | None = None, metadata: Data | None = None,
        expires_at: datetime | None = None,
    ) -> Escalation:  # fmt: skip
        """Change what is given; metadata are merged into its own. It must be pending."""
        changes = {
            "priority": priority,
            "description": description,
            "metadata": None if metadata is None else encode(dict(metadata), "metadata"),
            "expires_at": expires_at,
        }
        return (await self._change([id], changes))[0]

    async def update_many_priority(self, ids: Ids, priority: int) -> Found:
        """Give all of them another priority, or none when one is closed."""
        return await self._change(ids, {"priority": priority})

    async def append_milestones(self, id: str | int, *milestones: object) -> Escalation:  # noqa: A002
        """Add what has happened with it, as plain data. It must be pending."""
        text = encode(list(milestones), "milestones")
        return (await self._change([id], {"milestones": text}))[0]

    async def _change(self, ids: Ids, changes: Data) -> Found:
        async with self._rows.held(ids) as (connection, rows):
            insist(rows, why_closed)
            await self._store.update(connection, ids_of(rows), changes)
        return await self._rows.read(ids)

    # --- closing ---------------------------------------------------------------------------------

    async def resolve(
        self,
        id: str | int,  # noqa: A002
        payload: Data | None = None,
        *,
        assignee: str | None = None,
        metadata: Data | None = None,
    ) -> Escalation:
        """Close it; the hook goes on with the payload in the same commit, as after a signal.

        Args:
            id: which.
            payload: `{$self.hook.data}` of the hook.
            assignee: who resolves it: it must be claimed by them then. Without one, anybody's will
                do.
            metadata: merged into its own.

        Raises `EscalationNotFound`; `EscalationConflict` when it is closed already (by whatever
        ended the wait), or, with an assignee, not claimed by them.
        """
        items = [{"id": id, "payload": payload or {}}]
        return (await self.resolve_all_or_none(items, assignee=assignee, metadata=metadata))[0]

    async def resolve_all_or_none(
        self,
        items: Sequence[Data],
        *,
        assignee: str | None = None,
        metadata: Data | None = None,
    ) -> Found:
        """Resolve `[{"id", "payload"}]` in one commit, or none of them when one cannot be.

        Raises as `resolve` does; the error's `failed` names each that stood in the way. An id that
        is named twice is a `ConfigurationError`.
        """
        payloads = {
            number: dict(item.get("payload") or {})
            for number, item in zip(numbers_of([i["id"] for i in items]), items, strict=True)
        }
        if len(payloads) < len(items):
            raise ConfigurationError("an escalation is named twice; each can be resolved once")
        replies = {n: Reply(MessageKind.WEBHOOK, p, "success", OK) for n, p in payloads.items()}
        settlement = Settlement("resolved", replies, assignee, metadata)
        ids = [i["id"] for i in items]
        return await self._settle(settlement, ids, lambda row: why_not_resolvable(row, assignee))

    async def cancel(self, id: str | int, reason: str = "") -> Escalation:  # noqa: A002
        """Close it undone; the hook goes on with `{"cancelled": true, "reason": …}`.

        Raises as `resolve` does.
        """
        (number,) = numbers_of([id])
        data: Output = {"cancelled": True, **({"reason": reason} if reason else {})}
        settlement = Settlement("cancelled", {number: Reply(MessageKind.CANCEL, data)})
        return (await self._settle(settlement, [id], why_closed))[0]

    async def _settle(self, settlement: Settlement, ids: Ids, why_not: WhyNot) -> Found:
        def check(rows: Sequence[Row]) -> None:
            insist(rows, why_not, missing_of(ids, rows))

        rows, written = await self._steps.settle(self._app_id, settlement, check)
        self._on_committed(written)
        return [described(row) for row in rows]

    async def prune(
        self,
        older_than: Duration = "90 days",
        *,
        statuses: Sequence[str] = _CLOSED,
        limit: int = PRUNED_MAX,
    ) -> int:
        """Delete what was closed so long ago, `limit` rows at most; how many. Call it until 0."""
        if unknown := sorted(set(statuses) - set(_CLOSED)):
            raise ConfigurationError(
                f"{unknown} cannot be pruned: closed escalations are {', '.join(_CLOSED)}"
            )
        if not 1 <= limit <= 10 * PRUNED_MAX:
            raise ConfigurationError(f"limit={limit}: it is 1 to {10 * PRUNED_MAX:,}")
        async with self._db.connection() as connection:
            age = seconds(older_than)
            return await self._store.prune(connection, self._app_id, statuses, age, limit)


def _wanted(filters: Data) -> Wanted:
    if unknown := sorted(filters.keys() - {*FILTERS, "metadata", "available"}):
        known = sorted([*FILTERS, "metadata", "available"])
        raise ConfigurationError(f"escalations have no filters {unknown}; known are {known}")
    columns = {
        name: list(value) if isinstance(value, (list, tuple, set)) else [value]
        for name, value in filters.items()
        if name in FILTERS and value is not None
    }
    if unknown := sorted({str(s) for s in columns.get("status", ())} - set(_STATUSES)):
        raise ConfigurationError(f"no escalation has the status {unknown}; known are {_STATUSES}")
    metadata = filters.get("metadata")
    if metadata is not None:
        metadata = plain(check_fields("metadata", metadata, "escalations"), "metadata")
    return Wanted(columns, metadata, filters.get("available"))
