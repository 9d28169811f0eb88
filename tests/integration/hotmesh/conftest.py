"""Fixtures for HotMesh: meshes that are stopped when the test ends, and a bench of callbacks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio

from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from durable.protocol.retention import RetentionPolicy

Callback = Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]
Begin = Callable[..., Awaitable[HotMesh]]


@pytest_asyncio.fixture
async def begin(database: Database) -> AsyncIterator[Begin]:
    """Gives a function that starts a mesh on a document, with a callback for each topic."""
    async with AsyncExitStack() as stack:

        async def begin(
            document: str | None,
            app_id: str = "app",
            retry: Mapping[str, Any] | None = None,
            retain: RetentionPolicy | float = 600,
            **workers: Callback,
        ) -> HotMesh:
            options = [
                {"topic": t.replace("__", "."), "callback": c, "retry": retry}
                for t, c in workers.items()
            ]
            mesh = await HotMesh.init(
                app_id=app_id,
                engine={"connection": database.dsn, "retain": retain},
                workers=options,
                namespace=database.schema,
            )
            stack.push_async_callback(mesh.stop, 0)
            if document is not None:
                deployed = await mesh.deploy(document)
                await mesh.activate(deployed["app"]["version"])
            return mesh

        yield begin


async def ring(database: Database, jid: str) -> None:
    """Let the next timer of a job be due now; an engine finds that within a second."""
    timers = f'"{database.schema}".engine_streams'
    await database.fetch(
        f'update {timers} set visible_at = "{database.schema}".now() where id = (select id'
        f" from {timers} where jid = $1 and msg_type = 'timehook' order by visible_at limit 1)",
        jid,
    )


async def echo(message: dict[str, Any]) -> dict[str, Any]:
    """A callback that gives back what it got."""
    return {"data": message["data"]}
