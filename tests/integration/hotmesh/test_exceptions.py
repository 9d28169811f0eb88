"""Callbacks may raise anything: an attempt that raised has ended, and nobody else by it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from durable.errors import JobFailed
from durable.hotmesh.mesh import HotMesh
from durable.hotmesh.virtual.virtual import Virtual
from durable.postgres.database import Database

DOCUMENT = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: risky
      activities:
        t1: {type: trigger}
        a1: {type: worker, topic: risky, input: {maps: {kind: '{t1.output.data.kind}'}}}
      transitions:
        t1: [{to: a1}]
"""


class PanicError(BaseException):
    """No `Exception`."""


RAISED: dict[str, Callable[[], BaseException]] = {
    "panic": lambda: PanicError("boom"),
    "exit": lambda: SystemExit(2),
    "interrupt": lambda: KeyboardInterrupt("by itself"),
    "closed": lambda: GeneratorExit("closed"),
    "cancelled": lambda: asyncio.CancelledError("by itself"),
    "group": lambda: BaseExceptionGroup("group", [SystemExit(3)]),
}


async def test_a_callback_that_raised_has_ended(begin: Any) -> None:
    """Whatever it raises: as many attempts as the policy says, then the job fails with code 500."""
    calls: Counter[str] = Counter()

    async def risky(message: dict[str, Any]) -> None:
        kind = message["data"]["kind"]
        calls[kind] += 1
        error = RAISED[kind]()
        raise error

    retry = {"maximumAttempts": 2, "initialInterval": 0, "backoffCoefficient": 1}
    mesh: HotMesh = await begin(DOCUMENT, retry=retry, risky=risky)
    for kind in RAISED:
        with pytest.raises(JobFailed) as caught:
            await mesh.pubsub("risky", {"kind": kind}, timeout=100)
        assert caught.value.code == 500
        assert ("sys.exit(2)" in str(caught.value)) is (kind == "exit")
    assert calls == dict.fromkeys(RAISED, 2)


async def test_a_stop_ends_though_a_callback_swallows_it(
    begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left behind, and what it held is free for others."""
    monkeypatch.setattr("durable.hotmesh.worker_loop.UNWIND", 0.2)
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def deaf(_message: dict[str, Any]) -> None:
        begun.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except BaseException:  # noqa: BLE001, S112
                continue

    mesh: HotMesh = await begin(DOCUMENT, risky=deaf)
    await mesh.pub("risky", {"kind": "deaf"})
    await begun.wait()
    async with asyncio.timeout(30):
        await mesh.stop(0)
    let_go.set()


async def test_a_virtual_function_that_exits_has_failed(database: Database) -> None:
    """It ends no process, and whoever called is told what happened."""

    async def leave() -> None:
        raise SystemExit("usage: leave")

    async with await Virtual.init(connection=database.dsn, namespace=database.schema) as virtual:
        await virtual.connect(topic="leave", callback=leave, retry={"maximumAttempts": 1})
        with pytest.raises(JobFailed, match="usage: leave"):
            await virtual.exec(topic="leave", timeout=100)
