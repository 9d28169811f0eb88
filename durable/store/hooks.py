"""Who waits for which signal, and which signals wait for somebody."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from durable.postgres.pool import Row
from durable.postgres.sql import Statements


@dataclass(frozen=True, slots=True)
class SignalKey:
    """What a waiter and its signal have in common; `names` are job ids that it may stand for."""

    app_id: str
    topic: str
    rule: str
    key: str
    names: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Waiter:
    """A waiting activity; `dad` and `aid` None stand for all of a run."""

    run_id: int
    dad: str | None = None
    aid: str | None = None


class HookStore:
    """The tables `hooks` and `early_signals`, on a connection that the caller passes.

    Whatever registers, wakes or removes waiters takes `lock` on their keys first.
    """

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._sql = Statements("durable.store", "sql/hooks.sql", schema)

    async def lock(
        self, connection: Any, keys: Iterable[SignalKey], ids: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Hold signal keys and job ids (app id, jid) until commit: all needed, in one go."""
        numbers = {self._number(key.app_id, key.topic, key.rule, key.key) for key in keys}
        numbers |= {self._number("job", app_id, jid) for app_id, jid in ids}
        if numbers:
            await connection.fetch(self._sql["lock_keys"], sorted(numbers))

    def _number(self, *words: str) -> int:
        text = "\0".join((self._schema, *words))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)

    async def register(self, connection: Any, waits: Sequence[tuple[SignalKey, Waiter]]) -> None:
        """Add waiters."""
        keys, waiters = [k for k, _ in waits], [w for _, w in waits]
        await connection.execute(
            self._sql["register"],
            [k.app_id for k in keys],
            [k.topic for k in keys],
            [k.rule for k in keys],
            [k.key for k in keys],
            [w.run_id for w in waiters],
            [w.dad for w in waiters],
            [w.aid for w in waiters],
        )

    async def keys_of(self, connection: Any, waiters: Sequence[Waiter]) -> list[SignalKey]:
        """The keys for which these wait."""
        rows = await connection.fetch(self._sql["keys_of"], *self._columns(waiters))
        return [SignalKey(r["app_id"], r["topic"], r["rule"], r["key"]) for r in rows]

    async def remove(self, connection: Any, waiters: Sequence[Waiter]) -> None:
        """Have these wait no longer."""
        await connection.execute(self._sql["remove"], *self._columns(waiters))

    @staticmethod
    def _columns(waiters: Sequence[Waiter]) -> tuple[list[Any], list[Any], list[Any]]:
        return [w.run_id for w in waiters], [w.dad for w in waiters], [w.aid for w in waiters]

    async def find(
        self, connection: Any, keys: Sequence[SignalKey], only: int | None = None
    ) -> Waiter | None:
        """The oldest waiter for one of the keys, all of one topic; of run `only` if it is given."""
        if only is None:
            row = await connection.fetchrow(self._sql["find"], *self._topic(keys))
        else:
            row = await connection.fetchrow(self._sql["find_of_run"], *self._topic(keys), only)
        return None if row is None else Waiter(row["run_id"], row["dad"], row["aid"])

    async def park(
        self,
        connection: Any,
        signal_id: int,
        keys: Sequence[SignalKey],
        message: str,
        run_id: int | None = None,
    ) -> None:
        """Keep a signal for which nobody waits; with `run_id` it is for that job and no other.

        If it says itself for which job it is, and that has ended, nobody ever could wait for it: it
        is not kept.
        """
        app_id, topic, rules, values = self._topic(keys)
        await connection.execute(
            self._sql["park"], signal_id, app_id, topic, rules, values, message, run_id
        )

    async def unpark(self, connection: Any, keys: Sequence[SignalKey], run_id: int) -> str | None:
        """Take the oldest early signal of one of the keys, for anybody or a run; its message."""
        row = await connection.fetchrow(self._sql["unpark"], *self._topic(keys), run_id)
        return None if row is None else row["message"]

    async def parked(self, connection: Any, app_id: str, topic: str) -> list[Row]:
        """The early signals of a topic: signal_id, message, created_at, run_id."""
        rows: list[Row] = await connection.fetch(self._sql["parked"], app_id, topic)
        return rows

    @staticmethod
    def _topic(keys: Sequence[SignalKey]) -> tuple[str, str, list[str], list[str]]:
        return keys[0].app_id, keys[0].topic, [k.rule for k in keys], [k.key for k in keys]
