"""The generated descriptor: printed, deployed and accepted by the engine as one text."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

import durable

ORDERS = Path(__file__).parent.parent.parent / "examples" / "orders.py"


@pytest.fixture
def printed() -> str:
    """What `durable yaml examples/orders.py` prints."""
    command = [sys.executable, "-m", "durable", "yaml", str(ORDERS)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=150).stdout


async def test_a_worker_deploys_exactly_what_the_command_prints(
    client: durable.Client, dsn: str, printed: str
) -> None:
    """The text that `durable yaml` prints stands in `app_versions` once a worker has started."""
    spec = importlib.util.spec_from_file_location("orders", ORDERS)
    assert spec is not None
    assert spec.loader is not None
    orders = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(orders)
    members = list(vars(orders).values())
    workflows = [m for m in members if isinstance(m, durable.Workflow)]
    activities = [m for m in members if isinstance(m, durable.Activity)]
    async with durable.Worker(client, workflows=workflows, activities=activities):
        connection = await asyncpg.connect(dsn, server_settings={"search_path": client.namespace})
        stored = await connection.fetch("select descriptor from app_versions where generated")
        await connection.close()
    assert [row["descriptor"].strip() for row in stored] == [printed.strip()]


async def test_the_engine_accepts_it(dsn: str, namespace: str, printed: str) -> None:
    """`HotMesh.deploy` takes the generated descriptor as it takes any other."""
    mesh = await durable.HotMesh.init(
        app_id="default", engine={"connection": dsn}, namespace=namespace
    )
    async with mesh:
        deployed = await mesh.deploy(printed)
    assert deployed["app"]["id"] == "default"
