"""An engine of its own process.

python engine_process.py <dsn> <schema>
"""

from __future__ import annotations

import asyncio
import sys

from durable.hotmesh.mesh import HotMesh


async def main(dsn: str, schema: str) -> None:
    """Take part until told otherwise."""
    mesh = await HotMesh.init(app_id="app", namespace=schema, engine={"connection": dsn})
    print("ready", flush=True)  # noqa: T201 - how the test knows
    await asyncio.Event().wait()
    await mesh.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
