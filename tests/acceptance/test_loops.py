"""Clients and handles where they do not belong: in workflows, and on other event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.client.handle import Handle
from durable.worker.worker import Worker

go = durable.Signal("go")
Uses = Callable[[Client, Handle[Any]], Coroutine[Any, Any, Any]]

USES: dict[str, Uses] = {
    "client.start": lambda client, _: client.start("quick", id="by-mistake"),
    "client.execute": lambda client, _: client.execute(quick(), id="by-mistake"),
    "client.handle": lambda client, _: client.handle("target").status(),
    "client.list": lambda client, _: client.list(),
    "client.count": lambda client, _: client.count(),
    "client.prune": lambda client, _: client.prune(dry_run=True),
    "client.resume": lambda client, _: client.resume("target"),
    "client.close": lambda client, _: client.close(),
    "handle.result": lambda _, handle: handle.result(),
    "handle.status": lambda _, handle: handle.status(),
    "handle.describe": lambda _, handle: handle.describe(),
    "handle.history": lambda _, handle: handle.history(),
    "handle.signal": lambda _, handle: handle.signal(go),
    "handle.cancel": lambda _, handle: handle.cancel(),
    "handle.terminate": lambda _, handle: handle.terminate(),
    "worker": lambda client, _: _serve(client),
}
HELD: dict[str, tuple[Client, Handle[Any]]] = {}


async def _serve(client: Client) -> None:
    Worker(client, workflows=[quick])


@durable.workflow
async def quick() -> str:
    """Ends at once."""
    return "done"


@durable.workflow
async def waits() -> str:
    """Done when told."""
    await go.receive()
    return "done"


@durable.workflow
async def misuses(use: str) -> str:
    """Touches what it must not."""
    try:
        await USES[use](*HELD[durable.info().id])
    except durable.NotDurableError as error:
        return str(error)
    return "it was let through"


async def test_a_client_in_a_workflow_is_refused_and_hurts_nobody(client: Client) -> None:
    """Each method raises at once, says what to use, does nothing, and the client still serves."""
    async with Worker(client, workflows=[quick, waits, misuses]):
        target = await client.start(waits(), id="target")
        for use in USES:
            HELD[use] = (client, target)
            said = await client.execute(misuses(use), id=use)
            assert "in the code of a workflow" in said, (use, said)
            assert "activity" in said or "await" in said, (use, said)
        assert await client.execute(quick(), id="after") == "done"
        assert await target.status() == "running"
        assert await client.count(id_prefix="by-mistake") == 0
        await target.signal(go)
        assert await target.result(timeout=10) == "done"
    HELD.clear()


async def test_a_client_on_another_loop_is_refused_and_serves_its_own(client: Client) -> None:
    """In a thread with a loop of its own each method raises at once, naming the mistake."""
    async with Worker(client, workflows=[quick, waits]):
        target = await client.start(waits(), id="target")

        async def use_it(use: Uses) -> None:
            await asyncio.wait_for(use(client, target), 5)

        for use in USES.values():
            with pytest.raises(durable.ConfigurationError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, use_it(use))
        assert await target.status() == "running"
        assert await client.execute(quick(), id="after") == "done"
        await target.terminate()
