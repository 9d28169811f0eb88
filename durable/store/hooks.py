"""Waiters of signals, and early signals that have no waiter yet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from durable.postgres.columns import BigInt, Text
from durable.postgres.connections import Connection
from durable.postgres.database import Row
from durable.postgres.sql import SqlFile


@dataclass(frozen=True, slots=True)
class SignalKey:
    """What a waiter and its signal have in common; `names` are job ids that it may stand for."""

    app_id: str
    topic: str
    rule: str
    key: str
    names: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class HookRow:
    """A waiter of a key."""

    app_id: Text
    topic: Text
    rule: Text
    key: Text
    run_id: BigInt
    dad: Text | None
    aid: Text | None


@dataclass(frozen=True, slots=True)
class Waiter:
    """A waiting activity.

    Attributes:
        dad, aid: where in the run it is; None for all of the run.
    """

    run_id: BigInt
    dad: Text | None = None
    aid: Text | None = None


SQL = SqlFile("durable.store", "sql/hooks.sql", hooks=HookRow, waiters=Waiter)


class HookStore:
    """The tables `hooks` and `early_signals`, on a connection that the caller passes.

    Whatever registers, wakes or removes waiters takes `lock` on their keys first.
    """

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._sql = SQL.load(schema)

    async def lock(
        self, connection: Connection, keys: Iterable[SignalKey], ids: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Hold signal keys and job ids (app id, jid) until commit: all needed, in one go."""
        numbers = {self._number(key.app_id, key.topic, key.rule, key.key) for key in keys}
        numbers |= {self._number("job", app_id, jid) for app_id, jid in ids}
        if numbers:
            await connection.fetch(*self._sql.bind("lock_keys", keys=sorted(numbers)))

    def _number(self, *words: str) -> int:
        text = "\0".join((self._schema, *words))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)

    async def register(
        self, connection: Connection, waits: Sequence[tuple[SignalKey, Waiter]]
    ) -> None:
        """Add waiters."""
        hooks = [
            HookRow(k.app_id, k.topic, k.rule, k.key, w.run_id, w.dad, w.aid) for k, w in waits
        ]
        await connection.execute(*self._sql.bind("register", hooks=hooks))

    async def keys_of(self, connection: Connection, waiters: Sequence[Waiter]) -> list[SignalKey]:
        """The keys for which these wait."""
        rows = await connection.fetch(*self._sql.bind("keys_of", waiters=waiters))
        return [SignalKey(r["app_id"], r["topic"], r["rule"], r["key"]) for r in rows]

    async def remove(self, connection: Connection, waiters: Sequence[Waiter]) -> None:
        """Have these wait no longer."""
        await connection.execute(*self._sql.bind("remove", waiters=waiters))

    async def find(
        self, connection: Connection, keys: Sequence[SignalKey], only: int | None = None
    ) -> Waiter | None:
        """The oldest waiter for one of the keys, all of one topic; of run `only` if it is given."""
        if only is None:
            bound = self._sql.bind("find", **_of_topic(keys))
        else:
            bound = self._sql.bind("find_of_run", run_id=only, **_of_topic(keys))
        row = await connection.fetchrow(*bound)
        return None if row is None else Waiter(row["run_id"], row["dad"], row["aid"])

    async def park(
        self,
        connection: Connection,
        signal_id: int,
        keys: Sequence[SignalKey],
        message: str,
        run_id: int | None = None,
    ) -> None:
        """Keep a signal that has no waiter yet; with `run_id` it is for that job and no other.

        If it says itself for which job it is, and that has ended, nobody ever could wait for it: it
        is not kept.
        """
        await connection.execute(
            *self._sql.bind(
                "park", signal_id=signal_id, message=message, run_id=run_id, **_of_topic(keys)
            )
        )

    async def unpark(
        self, connection: Connection, keys: Sequence[SignalKey], run_id: int
    ) -> str | None:
        """Take the oldest early signal of one of the keys, for anybody or a run; its message."""
        row = await connection.fetchrow(*self._sql.bind("unpark", run_id=run_id, **_of_topic(keys)))
        return None if row is None else row["message"]

    async def parked(self, connection: Connection, app_id: str, topic: str) -> list[Row]:
        """The early signals of a topic: signal_id, message, created_at, run_id."""
        rows: list[Row] = await connection.fetch(
            *self._sql.bind("parked", app_id=app_id, topic=topic)
        )
        return rows


def _of_topic(keys: Sequence[SignalKey]) -> dict[str, object]:
    """Keys of one topic, as the statements take them."""
    return {
        "app_id": keys[0].app_id, "topic": keys[0].topic,
        "rules": [k.rule for k in keys], "keys": [k.key for k in keys],
    }  # fmt: skip
