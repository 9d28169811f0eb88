"""Members: the processes that hold leases, and what happens to the leases of dead ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from durable.postgres.connections import Connection
from durable.postgres.sql import SqlFile
from durable.protocol.failures import Failure

SQL = SqlFile("durable.store", "sql/members.sql")


def lock_class(schema: str) -> int:
    """The first half of a namespace's advisory locks, which no other namespace or product has."""
    digest = hashlib.sha256(f"durable:{schema}".encode()).digest()
    return int.from_bytes(digest[:4], "big", signed=True)


UNKNOWN = Failure(
    type="OutcomeUnknown",
    kind="lost",
    message="the worker that ran this attempt was lost, and the attempt may not be repeated: "
    "whether it took effect is unknown",
)

_LOST = Failure(
    type="OutcomeUnknown",
    kind="lost",
    message="the worker that ran this attempt was lost: whether it took effect is unknown; "
    "it is run again, and does not count",
)

_DEADLY = Failure(
    type="Deadly",
    message="ten times in a row a worker died while it took a turn of this run: look for what its "
    "code does to the process (memory, native crashes, exits), then resume it",
)


@dataclass(frozen=True, slots=True)
class Reaped:
    """Whom to wake after a dead member's leases were freed.

    Queues by message type, holders of runs, and engines by their apps.
    """

    queues: tuple[tuple[str, str], ...]
    holders: tuple[int, ...]
    engines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """What there is to do for all members.

    Attributes:
        members: how many there are.
        place: how many of the same name came before this one, and how many of that name there are.
        ours: whether it was this member's turn to look; else the rest is empty.
        prunes: whether it is its turn to prune, too.
        dead: members to reap, and those long gone that still hold something.
        due: queues, and kinds of message, that hold something due or soon due.
    """

    members: int
    place: tuple[int, int]
    ours: bool
    prunes: bool
    dead: tuple[int, ...]
    due: tuple[tuple[str, str], ...]


class MemberStore:
    """The `members` table, on a connection that the caller passes."""

    def __init__(self, schema: str) -> None:
        self._sql = SQL.load(schema)
        self._locks = lock_class(schema)

    async def join(self, connection: Connection, name: str, host: str, pid: int) -> int:
        """A new member; its id."""
        rows = await connection.fetch(*self._sql.bind("join", name=name, host=host, pid=pid))
        return int(rows[0][0])

    async def lock(self, connection: Connection, member_id: int) -> bool:
        """Take the member's lock for this session; False when another session has it."""
        rows = await connection.fetch(
            *self._sql.bind("lock", lock_class=self._locks, member=member_id)
        )
        return bool(rows[0][0])

    async def beat(self, connection: Connection, member_id: int) -> float | None:
        """Say "alive"; the database's time in Unix seconds, None for one who was declared dead."""
        rows = await connection.fetch(*self._sql.bind("beat", member=member_id))
        return float(rows[0][0]) if rows else None

    async def clock(self, connection: Connection) -> float:
        """The database's time, in Unix seconds."""
        return float((await connection.fetch(self._sql["clock"]))[0][0])

    async def sweep(self, connection: Connection, member_id: int) -> Sweep:
        """Look on behalf of all members, unless another has just done so: see `Sweep`."""
        (row,) = await connection.fetch(
            *self._sql.bind("sweep", lock_class=self._locks, member=member_id)
        )
        return Sweep(
            row["members"], (row["before"], row["alike"]),
            row["prunes"] is not None, bool(row["prunes"]),
            tuple(row["dead"] or ()), tuple((q, kind) for q, kind in row["due"] or ()),
        )  # fmt: skip

    async def blame(self, connection: Connection, member_id: int, run: int, error: str) -> None:
        """Blame one run for the reaped of this member that follows; `error` is the reason."""
        await connection.fetch(*self._sql.bind("blame", member=member_id, run_id=run, error=error))

    async def end_transaction(self, connection: Connection, backend: int) -> None:
        """End the session of a step of ours that stands still."""
        await connection.fetch(*self._sql.bind("end_transaction", backend=backend))

    async def reap(self, connection: Connection, member_id: int) -> Reaped:
        """Free what a member held that died or leaves, in one transaction."""
        rows = await connection.fetch(
            *self._sql.bind(
                "reap", member=member_id, unknown=UNKNOWN.to_json(), deadly=_DEADLY.to_json(),
                lost=_LOST.to_json(),
            )
        )  # fmt: skip
        return Reaped(
            tuple((r["word"], r["msg_type"]) for r in rows if r["what"] == "queue"),
            tuple(r["id"] for r in rows if r["what"] == "holder"),
            tuple(r["word"] for r in rows if r["what"] == "engine"),
        )

    async def tidy(self, connection: Connection) -> None:
        """Expire inbox rows whose run ended in the moment of their arrival."""
        await connection.fetch(self._sql["tidy"])
