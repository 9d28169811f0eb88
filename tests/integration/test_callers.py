"""Callers and a server that is away: what passes is waited out, what does not is told at once."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator

import asyncpg
import psutil
import pytest
import pytest_asyncio

import durable
from durable.cli import child_workers
from durable.client.client import Client
from durable.composition import connect
from durable.postgres.errors import AccessRefused
from tests.integration.proxy import Proxy
from tests.waiting import eventually


@durable.workflow
async def same(n: int) -> int:
    """What it got."""
    return n


@pytest.fixture
def namespace(unmigrated: str) -> str:
    """A schema that is not there yet: a role of the test's own is to own it."""
    return unmigrated


class Refusing(Proxy):
    """A server that is away now and then.

    Attributes:
        refused: connections that were refused since it went away; None while it is there.
    """

    refused: int | None = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refused is None:
            await super()._accept(reader, writer)
        else:
            self.refused += 1
            writer.transport.abort()

    async def is_met(self, times: int) -> None:
        """Return when so many connections were refused."""
        await eventually(lambda: (self.refused or 0) >= times)


async def test_a_server_that_comes_back_is_waited_for(dsn: str, namespace: str):
    """Starts, lists, counts and descriptions made while it was away are answered."""
    async with (
        Refusing(dsn) as proxy,
        await connect(proxy.dsn, namespace=namespace, migrate=True) as client,
    ):
        handle = await client.start(same(1), id="first")
        proxy.refused = 0
        proxy.cut()
        asked = asyncio.gather(
            client.start(same(2), id="second"), client.list(), client.count(), handle.status()
        )
        await asyncio.wait_for(proxy.is_met(8), 60)
        assert not asked.done()
        proxy.refused = None
        started, listed, _, status = await asyncio.wait_for(asked, 60)
        assert (started.id, status) == ("second", "running")
        assert listed


@pytest_asyncio.fixture
async def role(dsn: str, namespace: str) -> AsyncIterator[str]:
    """A role with a password and the rights of an owner."""
    name = f"app_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(dsn)
    await admin.execute(f"create role {name} login password 's3cret'")
    await admin.execute(f'create schema "{namespace}" authorization {name}')
    yield name
    await admin.execute(f"drop owned by {name} cascade")
    await admin.execute(f"drop role {name}")
    await admin.close()


@pytest_asyncio.fixture
async def secretive(dsn: str, namespace: str, role: str) -> AsyncIterator[Client]:
    """A client whose DSN has a password."""
    async with Proxy(dsn) as proxy:
        tail = proxy.dsn.split("@")[1]
        async with await connect(
            f"postgresql://{role}:s3cret@{tail}", namespace=namespace, migrate=True
        ) as client:
            yield client


async def test_a_refused_login_is_told_at_once(secretive: Client, dsn: str, role: str):
    """Nobody who calls waits for an operator."""
    admin = await asyncpg.connect(dsn)
    await admin.execute(f"alter role {role} nologin")
    await admin.fetch(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", role
    )
    for ask in (secretive.list, secretive.count, lambda: secretive.start(same(1))):
        with pytest.raises(AccessRefused) as caught:
            await asyncio.wait_for(ask(), 30)
        assert caught.value.sqlstate == "28000"
        assert "s3cret" not in str(caught.value)
    await admin.execute(f"alter role {role} login")
    await admin.close()


async def test_a_revoked_right_is_told_at_once(secretive: Client, dsn: str, role: str):
    """A table that may not be read any more is no reason to wait a minute."""
    admin = await asyncpg.connect(dsn)
    schema = secretive.namespace
    await admin.execute(f'alter table "{schema}".jobs owner to current_user')
    await admin.execute(f'revoke all on "{schema}".jobs from {role}')
    for ask in (secretive.list, lambda: secretive.start(same(1))):
        with pytest.raises(AccessRefused, match="permission denied"):
            await asyncio.wait_for(ask(), 30)
    await admin.execute(f'alter table "{schema}".jobs owner to {role}')
    await admin.close()


async def test_children_have_the_password_in_no_argument(secretive: Client):
    """What `ps` shows of a worker that a supervisor started has no password in it."""
    process = await child_workers.started(
        secretive, "nothing", [], stderr=asyncio.subprocess.DEVNULL
    )
    try:
        shown = await eventually(lambda: psutil.Process(process.pid).cmdline())
    finally:
        await child_workers.ended(process, 5)
    assert "worker" in shown
    assert "s3cret" not in " ".join(shown)


async def test_what_goes_wrong_is_told_without_the_password(
    secretive: Client, caplog: pytest.LogCaptureFixture
):
    """Neither errors with their causes nor logs have it, whatever stands in the way."""
    good = secretive.dsn
    assert "s3cret" in good
    bad = [
        re.sub(r":\d+/", ":1/", good),  # nobody there
        good.split("?")[0] + "x",  # no such database, and TLS
        good.replace("://", "://nobody"),
        good.replace("sslmode=disable", "sslmode=banana"),
        good.replace("sslmode=disable", "no_such_setting=1"),
        good.replace("s3cret@", "s3cret#@").replace("127.0.0.1", "no host"),
    ]
    for dsn in bad:
        with pytest.raises(durable.DurableError) as caught:
            await connect(dsn)
        error: BaseException | None = caught.value
        while error is not None:
            assert "s3cret" not in f"{error!r} {error}"
            error = error.__cause__ or error.__context__
    assert "s3cret" not in caplog.text
    assert "s3cret" not in repr(secretive) + repr(secretive.services)
