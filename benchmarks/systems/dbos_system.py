"""DBOS Transact for Python: workflows and steps run in the process that starts them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
import uuid
from typing import Any

from dbos import DBOS, SetWorkflowID

from benchmarks.systems.system import System

POOL = 32  # connections, and threads that wait for them; more made it slower on two cores


@DBOS.step()
async def tick(number: int) -> float:  # noqa: ARG001 - it tells the calls apart
    """The time."""
    return time.time()


@DBOS.workflow()
async def seq(count: int) -> list[float]:
    """Steps one after the other."""
    return [await tick(number) for number in range(count)]


@DBOS.workflow()
async def fan(count: int) -> int:
    """Steps at once."""
    return len(await asyncio.gather(*[tick(number) for number in range(count)]))


@DBOS.workflow()
async def sig(_: None) -> float:
    """Waits for one message."""
    await DBOS.recv_async("go", timeout_seconds=120)
    return time.time()


@DBOS.workflow()
async def timer(delay: float) -> float:
    """Sleeps."""
    await DBOS.sleep_async(delay)
    return time.time()


WORKFLOWS: dict[str, Any] = {"seq": seq, "fan": fan, "sig": sig, "timer": timer}


class Dbos(System):
    """The client is the worker."""

    name = "DBOS"

    async def begin(self) -> None:
        """Launch it in this process."""
        threads = concurrent.futures.ThreadPoolExecutor(POOL)
        asyncio.get_running_loop().set_default_executor(threads)
        DBOS(
            config={
                "name": "bench",
                "system_database_url": self.dsn.replace("postgresql://", "postgresql+psycopg://"),
                "application_version": "1",
                "sys_db_pool_size": POOL,
                "log_level": "ERROR",
            }
        )
        await asyncio.to_thread(DBOS.launch)

    async def end(self) -> None:
        """Shut it down."""
        await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)

    async def start(self, workflow: str, argument: Any) -> Any:
        """Start a workflow in this process."""
        with SetWorkflowID(uuid.uuid4().hex):
            return await DBOS.start_workflow_async(WORKFLOWS[workflow], argument)

    async def result(self, handle: Any) -> Any:
        """What it returned."""
        return await handle.get_result()

    async def signal(self, handle: Any) -> None:
        """Send the message."""
        await DBOS.send_async(handle.get_workflow_id(), "x", topic="go")


SYSTEM = Dbos
