# ruff: noqa: E501 - what tests prove is wider than code
"""The quorum: who is there, what they say, and activation by call and response."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from durable.errors import ConfigurationError
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually


def versioned(version: int) -> str:
    """An app in which three steps each write down the version by which they were done."""
    steps = "".join(
        f"""
        w{n}v{version}: {{type: worker, topic: work, input: {{maps: {{v: {version}}}}},
          job: {{maps: {{s{n}: {version}, a{n}: '{{$self.output.data.v}}'}}}}}}"""
        for n in range(3)
    )
    v = version
    return f"""
app:
  id: app
  version: '{version}'
  graphs:
    - subscribes: t
      expire: 100
      activities:
        t1: {{type: trigger}}{steps}
      transitions:
        t1: [{{to: w0v{v}}}]
        w0v{v}: [{{to: w1v{v}}}]
        w1v{v}: [{{to: w2v{v}}}]
"""


async def test_nine_versions_under_load_lose_no_job_and_mix_none(begin: Begin) -> None:
    """Four engines, constant starts, nine activations: each job is whole, on one version."""
    meshes = [await begin(versioned(1) if n == 0 else None, work=echo) for n in range(4)]
    stop = asyncio.Event()
    outs: list[dict[str, Any]] = []
    live = [1]

    async def load(mesh: HotMesh) -> None:
        while not stop.is_set():
            out = await mesh.pubsub("t", {}, timeout=100)
            outs.append({**out, "least": live[0]})

    tasks = [asyncio.create_task(load(m)) for m, _ in itertools.product(meshes, range(3))]
    took = []
    for version in range(2, 11):
        before = len(outs)
        mesh = meshes[version % 4]
        await mesh.deploy(versioned(version))
        began = time.monotonic()
        await mesh.activate(version)
        took.append(time.monotonic() - began)
        job = await meshes[(version + 1) % 4].pubsub("t", {}, timeout=100)
        assert job["metadata"]["vrs"] == str(version), "an engine was behind"

        async def more(count: int = before + 30) -> bool:
            return len(outs) >= count

        await eventually(more, within=150)
    stop.set()
    await asyncio.gather(*tasks)
    for out in outs:
        assert set(out["data"]) == {"s0", "s1", "s2", "a0", "a1", "a2"}
        assert {str(v) for v in out["data"].values()} == {out["metadata"]["vrs"]}
    said = Counter(out["metadata"]["vrs"] for out in outs)
    print(  # noqa: T201 - measured, not asserted
        f"{len(outs)} jobs; activation took {max(took) * 1000:.0f} ms at most,"
        f" {sorted(took)[4] * 1000:.0f} ms in the middle; by version {dict(said)}"
    )
    assert set(said) == {str(v) for v in range(1, 11)}


async def test_two_that_activate_at_once_both_switch_whole(
    begin: Begin, database: Database
) -> None:
    """Every call returns, the app is on one of the versions, and every engine on that one."""
    meshes = [await begin(versioned(1) if n == 0 else None, work=echo) for n in range(3)]
    for version in (2, 3):
        await meshes[0].deploy(versioned(version))
    for _ in range(5):
        done = await asyncio.gather(
            *(m.activate(v) for m, v in zip(meshes, (2, 3, 2), strict=True))
        )
        assert done == [True, True, True]
        outs = await asyncio.gather(*(m.pubsub("t", {}, timeout=100) for m in meshes))
        active = await database.fetchval(f'select active_version from "{database.schema}".apps')
        assert {o["metadata"]["vrs"] for o in outs} == {active}


@asynccontextmanager
async def _engine(database: Database) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("engine_process.py")),
        database.dsn,
        database.schema,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_an_engine_that_is_silent_is_named_and_one_that_dies_is_not_waited_for(
    begin: Begin,
) -> None:
    """A stopped process holds up the activation, which says so; a killed one does not."""
    mesh = await begin(versioned(1), work=echo)
    await mesh.deploy(versioned(2))
    async with _engine(mesh._parts.host._resources.database) as process:
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(ConfigurationError, match=rf"process {process.pid}\) did not answer"):
            await mesh.activate(2, delay=0.05)
        assert (await mesh.pubsub("t", {}, timeout=100))["metadata"]["vrs"] == "1"

        async def answered() -> dict[int, bool]:
            answers = {p["pid"]: p["answered"] for p in await mesh.roll_call(delay=0.1)}
            return answers if answers[os.getpid()] else {}

        assert await eventually(answered) == {os.getpid(): True, process.pid: False}
        activating = asyncio.create_task(mesh.activate(2, delay=20))
        await eventually(lambda: _called(mesh._parts.host._resources.database))
        process.kill()
        assert await asyncio.wait_for(activating, 60)
    assert (await mesh.pubsub("t", {}, timeout=100))["metadata"]["vrs"] == "2"


async def _called(database: Database) -> bool:
    """Whether the engine of this process has answered the call, so that it is on."""
    rows = await database.fetch(
        f'select 1 from "{database.schema}".quorum_messages'
        " where answers is not null and message ->> 'ready' = '2'"
    )
    return len(rows) > 1


async def test_an_activator_that_dies_in_the_middle_leaves_nothing_behind(begin: Begin) -> None:
    """Cancelled while it waits for answers: the old version runs on, the next activation succeeds."""
    mesh = await begin(versioned(1), work=echo)
    await mesh.deploy(versioned(2))
    async with _engine(mesh._parts.host._resources.database) as process:
        os.kill(process.pid, signal.SIGSTOP)
        activating = asyncio.create_task(mesh.activate(2, delay=20))
        await eventually(lambda: _answered(mesh._parts.host._resources.database))
        activating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await activating
        os.kill(process.pid, signal.SIGCONT)
        assert (await mesh.pubsub("t", {}, timeout=100))["metadata"]["vrs"] == "1"
        assert await mesh.activate(2, delay=20)
    assert (await mesh.pubsub("t", {}, timeout=100))["metadata"]["vrs"] == "2"


async def _answered(database: Database) -> bool:
    return bool(
        await database.fetchval(
            f'select count(*) from "{database.schema}".quorum_messages where answers is not null'
        )
    )


async def test_roll_call_lists_engines_and_workers(begin: Begin) -> None:
    """Each with its stream and place; who has left is not listed."""
    mesh = await begin(versioned(1), work=echo)
    other = await begin(None, other=echo)
    profiles = await mesh.roll_call(delay=30)  # it returns once all have answered
    assert sorted((p.get("worker_topic", ""), p["stream"]) for p in profiles) == [
        ("", "app"),
        ("", "app"),
        ("other", "app:other"),
        ("work", "app:work"),
    ]
    assert all(p["answered"] and p["pid"] == os.getpid() for p in profiles)
    assert {p["engine_id"] for p in profiles} >= {mesh.engine_id, other.engine_id}
    worker = next(p for p in profiles if p.get("worker_topic") == "work")
    assert (worker["running"], worker["concurrency"], worker["stream_depth"]) == (0, 50, 0)
    await other.stop()
    assert len(await mesh.roll_call()) == 2


async def test_messages_reach_every_process_whatever_their_size(begin: Begin) -> None:
    """Also larger than a notification; by guid, one process; a subscriber's failure is its own."""
    mesh = await begin(versioned(1))
    other = await begin(None)
    heard: list[tuple[str, dict[str, Any]]] = []
    here: list[str] = []

    async def note(topic: str, message: dict[str, Any]) -> None:
        heard.append((topic, message))

    def broken(topic: str, _message: dict[str, Any]) -> None:
        raise ValueError(topic)

    def noted(_topic: str, message: dict[str, Any]) -> None:
        here.append(message["text"])

    await other.sub_quorum(broken)
    await other.sub_quorum(note)
    await mesh.sub_quorum(noted)
    long = "語" * 5000
    await mesh.pub_quorum({"type": "user", "topic": "news", "text": long})
    await mesh.pub_quorum({"type": "user", "guid": other.engine_id, "text": "for you"})

    async def both() -> bool:
        return len(heard) == 2 and len(here) == 1

    await eventually(both)
    assert sorted(topic for topic, _ in heard) == sorted(["news", other.engine_id])
    assert {m["text"] for _, m in heard} == {long, "for you"}
    assert {m["originator"] for _, m in heard} == {mesh.engine_id}
    assert here == [long]
    await other.unsub_quorum(note)
    await mesh.pub_quorum({"type": "user", "text": "last"})

    async def last() -> bool:
        return "last" in here

    await eventually(last)
    assert len(heard) == 2
    for refused in ({"text": "no type"}, {"type": "throttle"}, {"type": "activate"}):
        with pytest.raises(ConfigurationError):
            await mesh.pub_quorum(refused)
