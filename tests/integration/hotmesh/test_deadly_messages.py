"""A message that takes engines down is counted, and put aside before it has taken down all."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from durable.engine import interpreter
from durable.engine.steps.graph_steps import TRIES_MAX
from durable.errors import JobFailed
from durable.postgres.pool import Database
from durable.streams.members import MemberStore
from tests.integration.hotmesh import deadly_engine
from tests.integration.hotmesh.conftest import Begin, until

DOC = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 600
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        nap: {type: hook, sleep: '{t1.output.data.seconds}'}
      transitions: {t1: [{to: nap}]}
"""


async def die(database: Database) -> None:
    """Have an engine take up what is due, die of it, and be reaped."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(deadly_engine.__file__)), database.dsn, database.schema
    )
    assert await asyncio.wait_for(process.wait(), 60) == deadly_engine.DIED
    members = f'select member_id from "{database.schema}".members'
    async with database.connection() as connection:
        for row in await connection.fetch(members):
            await MemberStore(database.schema).bury(connection, row["member_id"])


async def test_a_message_that_kills_engines_is_put_aside_and_others_go_on(
    begin: Begin, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tries after the first death are counted beforehand; at three the job ends with its reason."""
    monkeypatch.setattr(interpreter, "CAREFUL", 1.0)
    rows = f'"{database.schema}".engine_streams'
    tries = f"select retry_attempt from {rows} where jid = 'poison' and expired_at is null"

    mesh = await begin(DOC)
    waiting = await mesh.pub("t", {"id": "poison", "seconds": 2})
    assert waiting == "poison"
    await mesh.stop(0)  # one that leaves makes nobody careful
    assert await database.fetchval(f'select count(*) from "{database.schema}".quorum') == 0

    await die(database)
    assert await database.fetchval(tries) == 0, "nobody knew yet"
    await die(database)
    assert await database.fetchval(tries) == 1
    await database.fetch(f"update {rows} set retry_attempt = {TRIES_MAX - 1}")
    await die(database)
    assert await database.fetchval(tries) == TRIES_MAX

    mesh = await begin(None)
    fine = await mesh.pubsub("t", {"id": "fine", "seconds": 0.01}, timeout=30)
    assert fine["metadata"]["jid"] == "fine"

    async def ended() -> bool:
        return await mesh.get_status("poison") <= 0

    await until(ended)
    state = await mesh.get_state("t", "poison")
    assert "3 engines in a row died" in json.dumps(state["metadata"])
    dead = f"select error from {rows} where jid = 'poison' and dead_lettered_at is not null"
    assert "3 engines" in str(await database.fetchval(dead))
    lost = f"""select count(*) from "{database.schema}".quorum q where not exists (
        select from "{database.schema}".members m where m.member_id = q.member_id)"""

    async def forgotten() -> bool:
        return await database.fetchval(lost) == 0

    await until(forgotten)
    left = f"select count(*) from {rows} where retry_attempt > 0 and expired_at is null"
    assert await database.fetchval(left) == 0


PATTERN = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 600
      activities:
        t1: {type: trigger}
        found:
          type: hook
          job:
            maps:
              at: {'@pipe': [['{t1.output.data.s}', 'PATTERN'], ['{@string.search}']]}
      transitions: {t1: [{to: found}]}
"""


async def test_a_pattern_of_a_stored_version_ends_the_job_never_the_engine(
    begin: Begin, database: Database
) -> None:
    """A version whose pattern today's engine refuses still loads; each job says why it failed."""
    mesh = await begin(PATTERN.replace("PATTERN", "b+"))
    assert (await mesh.pubsub("t", {"s": "abb"}))["data"] == {"at": 1}
    await mesh.stop(0)
    await database.fetch(
        f'update "{database.schema}".app_versions'
        r" set descriptor = replace(descriptor, 'b+', '(b)\1')"
    )
    mesh = await begin(None)
    for _ in range(2):
        with pytest.raises(JobFailed, match="backreference"):
            await mesh.pubsub("t", {"s": "abb"})
