"""Jobs as they are stored: looked at field by field, and removed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from durable.errors import ConfigurationError, JobNotFound
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin
from tests.waiting import eventually

APP = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 1000
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w1:
          type: worker
          topic: work
          job: {maps: {sum: '{$self.output.data.sum}', all: '{$self.output.data}'}}
      transitions: {t1: [{to: w1}]}
"""


async def adds(_message: dict[str, Any]) -> dict[str, Any]:
    """A callback."""
    return {"data": {"sum": 3, "parts": [1, 2]}}


async def test_get_raw_gives_a_job_field_by_field(begin: Begin) -> None:
    """Status, data, metadata and what each activity has left, each under its path."""
    mesh = await begin(APP, work=adds)
    await mesh.pubsub("t", {"id": "x"}, timeout=100)
    raw = await mesh.get_raw("x")
    assert (raw[":"], raw["metadata/jid"], raw["metadata/vrs"]) == (0, "x", "1")
    assert (raw["data/sum"], raw["data/all/parts"]) == (3, [1, 2])
    left = {key: value for key, value in raw.items() if key.startswith("w1,")}
    assert sorted(left.values(), key=str) == [3, [1, 2]]
    assert all("/output/data/" in key for key in left)
    with pytest.raises(JobNotFound):
        await mesh.get_raw("nobody")


async def test_scrub_removes_an_ended_job_and_frees_its_id(
    begin: Begin, database: Database
) -> None:
    """Nothing of it is left, its id can be used at once, and a job that runs is refused."""
    gate = asyncio.Event()

    async def work(_message: dict[str, Any]) -> None:
        await gate.wait()

    mesh = await begin(APP, work=work)
    running = asyncio.create_task(mesh.pubsub("t", {"id": "x"}, timeout=100))

    await eventually(lambda: database.fetch(f'select 1 from "{database.schema}".jobs'))
    with pytest.raises(ConfigurationError, match="still runs"):
        await mesh.scrub("x")
    gate.set()
    await running
    await mesh.scrub("x")
    for table in ("jobs", "activities", "worker_streams", "engine_streams"):
        assert await database.fetchval(f'select count(*) from "{database.schema}".{table}') == 0
    with pytest.raises(JobNotFound):
        await mesh.scrub("x")
    assert await mesh.pub("t", {"id": "x"}) == "x"
