"""The life of a role that serves graphs: granted rows and nothing else, a new password, revoked."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from durable.errors import DatabaseError
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import echo

APP = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: work
      expire: 600
      activities:
        t: {type: trigger}
        w:
          type: worker
          topic: work.do
          input: {maps: {a: '{t.output.data.a}'}}
          job: {maps: {b: '{$self.output.data.a}'}}
      transitions: {t: [{to: w}]}
"""


class Role:
    """A login of its own, and what its owner may do with it."""

    def __init__(self, owner: asyncpg.Connection, schema: str, dsn: str) -> None:
        self.name = f"durable_test_{secrets.token_hex(4)}"
        self._owner, self._schema, self._parts = owner, schema, urlsplit(dsn)

    async def word(self) -> str:
        """A new password; the DSN with it."""
        word = secrets.token_hex(8)
        await self._owner.execute(f"alter role {self.name} login password '{word}'")
        host = self._parts.netloc.rpartition("@")[2]
        return urlunsplit(self._parts._replace(netloc=f"{self.name}:{word}@{host}"))

    async def grant(self) -> None:
        """Rows of the namespace, as the page on production says."""
        for right in (
            f"usage on schema {self._schema}",
            f"select, insert, update, delete on all tables in schema {self._schema}",
            f"usage on all sequences in schema {self._schema}",
            f"execute on all functions in schema {self._schema}",
        ):
            await self._owner.execute(f"grant {right} to {self.name}")

    async def revoke(self) -> None:
        """Everything again."""
        await self._owner.execute(f"drop owned by {self.name}")


@pytest_asyncio.fixture
async def role(dsn: str, database: Database) -> AsyncIterator[Role]:
    """A role without any rights; it goes away with the test."""
    owner = await asyncpg.connect(dsn)
    made = Role(owner, database.schema, dsn)
    await owner.execute(f"create role {made.name}")
    yield made
    await made.revoke()
    await owner.execute(f"drop role {made.name}")
    await owner.close()


async def _mesh(dsn: str, schema: str) -> HotMesh:
    return await HotMesh.init(
        app_id="app", engine={"connection": dsn}, namespace=schema,
        workers=[{"topic": "work.do", "callback": echo}],
    )  # fmt: skip


async def test_a_role_with_rights_on_rows_runs_graphs_until_they_are_revoked(
    role: Role, database: Database
) -> None:
    """It deploys, activates and serves; revoked it is refused; granted again it goes on."""
    await role.grant()
    dsn = await role.word()
    mesh = await _mesh(dsn, database.schema)
    await mesh.deploy(APP)
    await mesh.activate("1")
    done = await mesh.pubsub("work", {"a": 7}, timeout=100)
    assert (done["data"], await mesh.get_status(done["metadata"]["jid"])) == ({"b": 7}, 0)
    await mesh.stop(0)

    await role.revoke()
    with pytest.raises(DatabaseError, match="permission denied"):
        await _mesh(dsn, database.schema)

    await role.grant()
    again = await _mesh(await role.word(), database.schema)
    assert (await again.pubsub("work", {"a": 8}, timeout=100))["data"] == {"b": 8}
    assert await again.get_status(done["metadata"]["jid"]) == 0
    await again.stop(0)
