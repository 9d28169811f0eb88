"""Starts by name: from the command, and from code that cannot import the workflow."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import pydantic
import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker


class Speed(Enum):
    """A choice."""

    FAST = "fast"
    SLOW = "slow"


@dataclass
class Order:
    """An argument with fields."""

    id: str
    cents: int = 0


class Note(pydantic.BaseModel):
    """One that leaves out and ignores."""

    text: str | None = None


@durable.workflow
async def plain(order: Order, times: int = 1) -> str:
    """Positional arguments, one with a default."""
    return f"{order.id} {times}"


@durable.workflow
async def several(first: str, *rest: int, times: int = 1) -> str:
    """All kinds of parameters."""
    return f"{first} {rest} {times}"


@durable.workflow
async def values(
    at: datetime, cost: Decimal, speed: Speed, note: Note, pair: tuple[int, str], wait: timedelta
) -> str:
    """What JSON has no form of its own for."""
    return f"{at:%Y} {cost} {speed.value} {note.text} {pair} {wait}"


@durable.workflow
async def anything(one: Any, two=None) -> str:  # type: ignore[no-untyped-def]
    """Of no type."""
    return f"{one} {two}"


WORKFLOWS = [plain, several, values, anything]
PLAIN = {"id": "o-1", "cents": 5}


async def test_wrong_arguments_by_name_are_refused_and_start_nothing(client: Client) -> None:
    """Too few, too many, of another type, with an unknown field: the error says which."""
    async with Worker(client, workflows=WORKFLOWS):
        for name, arguments, said in [
            ("plain", (), "was not given 'order'"),
            ("plain", (PLAIN, 1, 2), r"takes \(order, times\), and was given 3"),
            ("plain", (PLAIN, "1"), "times is not of type integer"),
            ("plain", ({"id": "o-1", "cent": 5},), "unknown field 'cent'"),
            ("plain", ("o-1",), "order is not of type object"),
            ("several", ("a", 1, "2"), r"rest\[1\] is not of type integer"),
            ("several", (), "was not given 'first'"),
            ("values", ("2026-01-01",), "'cost', 'speed', 'note', 'pair', 'wait'"),
        ]:
            with pytest.raises(durable.PayloadError, match=f"{said}.*nothing was started"):
                await client.start(name, *arguments)
        assert await client.count() == 0


async def test_right_arguments_by_name_are_taken(client: Client) -> None:
    """Whatever a worker would take; the same again, without asking."""
    at = "2026-01-01T00:00:00Z"
    async with Worker(client, workflows=WORKFLOWS):
        for name, arguments, result in [
            ("plain", ({"id": "o-1"},), "o-1 1"),
            ("plain", (PLAIN, 2), "o-1 2"),
            ("several", ("a",), "a () 1"),
            ("several", ("a", 1, 2, 3), "a (1, 2, 3) 1"),
            ("values", (at, "1.5", "fast", {}, [1, "a"], "PT1S"), None),
            ("anything", ({"a": [1]},), "{'a': [1]} None"),
            ("anything", (1, "b"), "1 b"),
        ]:
            for _ in range(2):
                handle = await client.start(name, *arguments)
                found = await handle.result(timeout=60)
                assert result in {None, found}
    elsewhere = await client.start("plain", 1, task_queue="nobody")
    assert await elsewhere.status() == "running"


async def test_what_was_deployed_last_is_what_counts(client: Client) -> None:
    """After an upgrade, and after the way back from it; a refusal is not told from memory."""

    @durable.workflow(name="changed")
    async def before(a: int) -> int:
        return a

    @durable.workflow(name="changed")
    async def after(a: int, b: int) -> int:
        return a + b

    for version, right, wrong in [
        (before, (1,), (1, 2)),
        (after, (1, 2), (1,)),
        (before, (1,), ()),
    ]:
        async with Worker(client, workflows=[version]):
            handle = await client.start("changed", *right)
            await handle.result(timeout=60)
            with pytest.raises(durable.PayloadError, match="nothing was started"):
                await client.start("changed", *wrong)


async def test_the_command_checks(
    database_url: str, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """`durable start NAME` refuses likewise, in one line."""
    async with await durable.connect(database_url) as client, Worker(client, workflows=WORKFLOWS):
        refused = cli("start", "plain", "--args", '["o-1"]')
    assert refused.returncode == 1
    assert "order is not of type object; nothing was started" in refused.stderr
