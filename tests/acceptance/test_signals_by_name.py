"""Signals by name: from the command, and from code that cannot import the declaration."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker
from tests.waiting import eventually


@dataclass
class Approval:
    """A payload."""

    by: str


approval = durable.Signal("approval", Approval)


@durable.workflow
async def asks() -> str:
    """Who approves."""
    return (await approval.receive()).by


async def test_a_mistyped_signal_by_name_is_refused_and_destroys_nothing(client: Client) -> None:
    """A wrong name says which there are, a wrong payload what is wrong; nothing was sent."""
    handle = await client.start(asks(), id="a")
    async with Worker(client, workflows=[asks]):
        with pytest.raises(durable.ConfigurationError, match="there are: 'approval'"):
            await handle.signal("aproval", {"by": "ann"})
        for payload in ({"by": 3}, {"by": "ann", "commment": "?"}, None, "ann"):
            with pytest.raises(durable.PayloadError, match="nothing was sent"):
                await handle.signal("approval", payload)
        assert "signal" not in [event.kind for event in await handle.history()]
        await handle.signal("approval", {"by": "ann"})
        assert await handle.result(timeout=60) == "ann"


async def test_what_no_worker_has_deployed_is_let_through(client: Client) -> None:
    """Before a worker ever ran nothing can be checked; what cannot be read is put aside later."""
    handle = await client.start(asks(), id="a")
    await handle.signal("approval", {"by": 3})
    await handle.signal("approval", {"by": "ann"})
    async with Worker(client, workflows=[asks]):
        assert await handle.result(timeout=60) == "ann"
    (aside,) = (await handle.describe()).put_aside
    assert (aside.name, aside.payload) == ("approval", {"by": 3})


async def test_the_command_checks_and_shows(
    database_url: str, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """`durable signal` refuses likewise; `durable show` shows what was put aside."""
    async with await durable.connect(database_url) as client:
        handle = await client.start(asks(), id="order-7")
        await handle.signal("approval", {"by": 3})
        async with Worker(client, workflows=[asks]):
            await _put_aside(handle)
        refused = cli("signal", "order-7", "approval", json.dumps({"by": "ann", "commment": "?"}))
        assert refused.returncode == 1
        assert "unknown field 'commment'; there are 'by'" in refused.stderr
        shown = cli("show", "order-7").stdout
        assert "Signals that its code could not read" in shown
        assert 'approval {"by": 3}: PayloadError: ' in shown
        assert "durable resume order-7" in shown


async def _put_aside(handle: durable.Handle[str]) -> None:
    async def has() -> bool:
        return bool((await handle.describe()).put_aside)

    await eventually(has)
