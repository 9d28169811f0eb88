"""Chance: the same at each replay of a run, and different in every other run, wherever that is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg

import durable
from durable.client.client import Client
from durable.composition import connect
from durable.worker.worker import Worker
from tests.waiting import eventually

go = durable.Signal("go")


@durable.workflow
async def draws() -> list[str]:
    """A number and a uuid."""
    return [str(durable.random().getrandbits(128)), str(durable.uuid4())]


@durable.workflow
async def draws_twice() -> list[str]:
    """A uuid before a wait, and one after it."""
    first = str(durable.uuid4())
    durable.set_attributes(first=first)
    await go.receive()
    return [first, str(durable.uuid4())]


@durable.workflow
async def parent() -> list[str]:
    """What it and two children draw."""
    own = [str(durable.uuid4())]
    children = await asyncio.gather(draws(), draws())
    return own + children[0] + children[1]


SERVED = [draws, draws_twice, parent]


@asynccontextmanager
async def _served(dsn: str, namespace: str = "durable") -> AsyncIterator[Client]:
    async with (
        await connect(dsn, namespace=namespace, migrate=True) as client,
        Worker(client, workflows=SERVED),
    ):
        yield client


async def test_runs_of_two_namespaces_draw_differently(database_url: str) -> None:
    """Runs of the same numbers in two namespaces, and their children, share nothing drawn."""
    drawn: dict[str, list[str]] = {}
    numbers: dict[str, list[int]] = {}
    for namespace in ("one", "two"):
        async with _served(database_url, namespace) as client:
            handles = [await client.start(draws()), await client.start(parent())]
            results = [await handle.result(timeout=60) for handle in handles]
            drawn[namespace] = results[0] + results[1]
            numbers[namespace] = [await handle.run_id() for handle in handles]
    assert numbers["one"] == numbers["two"]
    everything = drawn["one"] + drawn["two"]
    assert len(set(everything)) == len(everything) == 14
    assert all(UUID(drawn[name][1]).version == 4 for name in drawn)


async def test_a_copy_of_a_database_draws_differently(database_url: str) -> None:
    """Copied while one run waits and one has not begun: what each draws from then on is its own.

    Only the run that had begun goes on in both with what it had drawn, as replay must.
    """
    async with _served(database_url) as client:
        await client.start(draws_twice(), id="begun")
        await _until_drawn(client)
    async with await connect(database_url) as client:
        await client.start(draws(), id="not yet begun")
    copy = f"{urlsplit(database_url).path[1:]}_copy"
    await _execute(database_url, f'create database "{copy}" template "{copy[:-5]}"')
    found: list[dict[str, list[str]]] = []
    for url in (database_url, urlsplit(database_url)._replace(path=f"/{copy}").geturl()):
        async with _served(url) as client:
            await client.handle("begun").signal(go)
            new = await client.start(draws(), id="new")
            begun = client.handle("begun")
            late = client.handle("not yet begun")
            found.append({
                "begun": await begun.result(timeout=60),
                "late": await late.result(timeout=60),
                "new": await new.result(timeout=60),
                "numbers": [str(await new.run_id())],
            })  # fmt: skip
    original, copied = found
    assert original["numbers"] == copied["numbers"]
    assert original["begun"] == copied["begun"]
    assert not set(original["late"]) & set(copied["late"])
    assert not set(original["new"]) & set(copied["new"])
    await _execute(database_url, f'drop database "{copy}" with (force)')


async def test_a_first_turn_that_is_taken_again_draws_the_same(client: Client) -> None:
    """Claimed, lost and claimed again before any commit: the seed is the run's still."""
    await client.start(draws(), id="lost")
    runs = client.services.runs
    (first,) = await runs.claim(1, "default", ["draws"], 10)
    await runs.release(1, [first.run_id])
    (again,) = await runs.claim(2, "default", ["draws"], 10)
    assert first.seed is not None
    assert len(first.seed) == 32
    assert again.seed == first.seed


async def _until_drawn(client: Client) -> None:
    handle = client.handle("begun")

    async def has_drawn() -> bool:
        return bool((await handle.describe()).attributes)

    await eventually(has_drawn)


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(urlsplit(dsn)._replace(path="/postgres").geturl())
    await connection.execute(statement)
    await connection.close()
