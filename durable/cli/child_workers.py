"""Workers in processes of their own, for the commands that start and stop them."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from durable.client.client import Client


async def started(client: Client, module: str, options: Sequence[str], **streams: Any) -> Process:
    """`durable worker MODULE` on the client's database, as a process that ends with this one.

    Args:
        client: its database and namespace are the child's.
        module: what the worker serves, as on the command line.
        options: further options of the command.
        streams: `stdout=` or `stderr=`, as for `asyncio.create_subprocess_exec`.
    """
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "durable", "worker", module, "--until-eof", *options,
        stdin=asyncio.subprocess.PIPE,
        # Ctrl-C reaches us alone: we stop the worker, once.
        start_new_session=True,
        env={
            **os.environ,  # noqa: TID251 - the child has our surroundings
            "DURABLE_DATABASE_URL": client.dsn,
            "DURABLE_DIRECT_URL": client.services.address.direct or "",
            "DURABLE_NAMESPACE": client.namespace,
        },
        **streams,
    )  # fmt: skip


async def ended(process: Process, seconds: float) -> None:
    """Tell a process to stop, and kill it when it has not done so in so many seconds."""
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            process.kill()
            await process.wait()
