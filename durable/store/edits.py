"""Versions of generated graphs, and what operators changed of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from durable.descriptor.commands import Plain
from durable.descriptor.edits import SHARED, Edit
from durable.errors import ConfigurationError
from durable.postgres.columns import Text
from durable.postgres.connections import Connection
from durable.postgres.sql import SqlFile


@dataclass(frozen=True, slots=True)
class EditInForce:
    """An edit, with its author and time.

    Args:
        base_version: of the descriptor that was edited.
        deployment: the number of the deployment that brought it.
    """

    edit: Edit
    base_version: str
    author: str
    made_at: datetime
    deployment: int


@dataclass(frozen=True, slots=True)
class _EditRow:
    graph: Text
    activity: Text
    field: Text
    value: Text | None
    base: Text | None


@dataclass(frozen=True, slots=True)
class _GraphRow:
    graph: Text
    version: Text
    document: Text


class EditStore:
    """The tables `graph_versions` and `graph_edits`, on the caller's connection."""

    def __init__(self, schema: str) -> None:
        self._sql = SQL.load(schema)

    async def insert_graphs(self, connection: Connection, app: Plain) -> None:
        """Store the graphs of a generated app, each under its version, and what they share.

        Raises `ConfigurationError` when a version is there with other contents.
        """
        shared = _compact(app.get("shared", {}))
        version = blake2b(shared.encode(), digest_size=8).hexdigest()
        rows = [_GraphRow(SHARED, version, shared)]
        rows += [
            _GraphRow(
                graph["subscribes"], str(graph["version"]), _compact({**graph, "shared": version})
            )
            for graph in app.get("graphs", ())
        ]
        found = await connection.fetch(*self._sql.bind("graphs", app_id=app["id"], graphs=rows))
        stored = {(r["graph"], r["version"]): r["document"] for r in found}
        for row in rows:
            known = stored.get((row.graph, row.version))
            if known is not None and _hashed(known) != _hashed(row.document):
                raise ConfigurationError(
                    f"two graphs {row.graph!r} of task queue {app['id']!r} have one hash,"
                    f" {row.version}, and different contents: change something in one of them"
                )
        await connection.execute(*self._sql.bind("insert_graphs", app_id=app["id"], graphs=rows))

    async def number(self, connection: Connection, queue: str) -> int:
        """The number of the deployment that is in force, 0 for none."""
        found: int | None = await connection.fetchval(*self._sql.bind("number", app_id=queue))
        return found or 0

    async def lock(self, connection: Connection, queue: str) -> tuple[int, int]:
        """Have deployments follow each other; the number in force, and that for open runs."""
        [row] = await connection.fetch(*self._sql.bind("lock", app_id=queue))
        return row["edit"], row["open_edit"]

    async def in_force(self, connection: Connection, queue: str) -> list[EditInForce]:
        """The edits of a task queue that are in force, in the order of their places."""
        return [
            EditInForce(_edit(r), r["base_version"], r["author"], r["made_at"], r["since"])
            for r in await connection.fetch(*self._sql.bind("in_force", app_id=queue))
        ]

    async def at(
        self, connection: Connection, queue: str, numbers: Sequence[int]
    ) -> dict[int, list[Edit]]:
        """The edits that each of these deployments has in force."""
        found: dict[int, list[Edit]] = {number: [] for number in numbers}
        bound = self._sql.bind("at", app_id=queue, numbers=list(numbers))
        for row in await connection.fetch(*bound):
            found[row["number"]].append(_edit(row))
        return found

    async def end(
        self, connection: Connection, queue: str, number: int, edits: Sequence[Edit]
    ) -> None:
        """Take edits out of force with a deployment."""
        rows = [_row(edit) for edit in edits]
        await connection.execute(
            *self._sql.bind("end_edits", app_id=queue, number=number, edits=rows)
        )

    async def insert(
        self,
        connection: Connection,
        queue: str,
        number: int,
        edits: Sequence[Edit],
        made: tuple[str, str],
    ) -> None:
        """Put edits in force with a deployment; `made`: of which version, and by whom."""
        bound = self._sql.bind(
            "insert_edits", app_id=queue, number=number, edits=[_row(edit) for edit in edits],
            base_version=made[0], author=made[1],
        )  # fmt: skip
        await connection.execute(*bound)

    async def put_in_force(
        self, connection: Connection, queue: str, number: int, *, open_runs: bool
    ) -> None:
        """Have runs follow a deployment: new ones, or all."""
        await connection.execute(
            *self._sql.bind("set_edit", app_id=queue, number=number, open_runs=open_runs)
        )

    async def generated(
        self, connection: Connection, queue: str, version: str | None = None
    ) -> tuple[str, str] | None:
        """A generated descriptor, as (version, YAML): of a version, or the one deployed last."""
        row = await connection.fetchrow(*self._sql.bind("generated", app_id=queue, version=version))
        return None if row is None else (row["version"], row["descriptor"])

    async def generated_versions(self, connection: Connection, queue: str) -> list[str]:
        """The versions that were generated for a task queue, the newest first."""
        rows = await connection.fetch(*self._sql.bind("generated_versions", app_id=queue))
        return [r["version"] for r in rows]

    async def serve(self, connection: Connection, member: int, queue: str, version: str) -> None:
        """Note which descriptor a member serves."""
        await connection.execute(
            *self._sql.bind("serve", member=member, app_id=queue, version=version)
        )

    async def served(self, connection: Connection, queue: str) -> dict[str, int]:
        """How many live members serve each version."""
        rows = await connection.fetch(*self._sql.bind("served", app_id=queue))
        return {r["version"]: r["workers"] for r in rows}


def _compact(part: Plain) -> str:
    return json.dumps(part, separators=(",", ":"))


def _hashed(document: str) -> Any:
    """What the version of a graph is the hash of: dot nodes belong to the language's version."""
    found = json.loads(document)
    activities = found.get("activities", {})
    found["activities"] = {a: said for a, said in activities.items() if not a.startswith(".")}
    if "subscribes" in found:
        del found["transitions"]
    return found


def _edit(row: Any) -> Edit:
    return Edit(
        row["graph"], row["activity"], row["field"], _value(row["value"]), _value(row["base"])
    )


def _row(edit: Edit) -> _EditRow:
    return _EditRow(edit.graph, edit.activity, edit.field, _text(edit.value), _text(edit.base))


def _text(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)


SQL = SqlFile("durable.store", "sql/edits.sql", graphs=_GraphRow, edits=_EditRow)
