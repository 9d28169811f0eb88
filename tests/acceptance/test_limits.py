"""Limits of ids, names and numbers: the same at every door, and named before anything is sent."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker

Door = Callable[[Client], Coroutine[Any, Any, Any]]

LONG = secrets.token_hex(1_001)  # 2,002 bytes that do not compress
UNUSABLE = ["", " x", "x ", "a\nb", "nul\x00", "\ud800", LONG, "é" * 1_001]


@durable.workflow
async def leaf() -> str:
    """Nothing."""
    return "leaf"


@durable.workflow
async def parent(child: str | None, queue: str | None) -> str:
    """A child of that id, on that queue."""
    try:
        made = leaf if child is None else leaf.options(id=child)
        return await (made if queue is None else made.options(task_queue=queue))()
    except durable.ConfigurationError as error:
        return str(error)


async def _worker(client: Client, **options: Any) -> None:
    Worker(client, workflows=[leaf], **options)


REFUSED: dict[str, tuple[Door, str]] = {
    "priority": (lambda c: c.start(leaf(), priority=40_000), "-32767 and 32767"),
    "priority of execute": (lambda c: c.execute(leaf(), priority=40_000), "-32767 and 32767"),
    "priority by text": (lambda c: c.start(leaf(), priority=_any("high")), "give an int"),
    "if_running": (lambda c: c.start(leaf(), if_running=_any("wait")), "'raise', 'attach'"),
    "if_ended": (lambda c: c.start(leaf(), if_ended=_any("wait")), "'start_if_failed'"),
    "queue": (lambda c: c.start(leaf(), task_queue=LONG), "1,000 is the most"),
    "a queue with a blank": (lambda c: c.start(leaf(), task_queue="far away"), "no blanks"),
    "a queue with braces": (lambda c: c.start(leaf(), task_queue="{x}"), "no blanks or braces"),
    "a queue no app has": (lambda c: c.start(leaf(), task_queue="q" * 201), "200 characters"),
    "an empty queue": (lambda c: c.start(leaf(), task_queue=""), "not empty"),
    "a name": (lambda c: c.start("nul\x00"), "control characters"),
    "limit by text": (lambda c: c.list(limit=_any("5")), "limit='5': give an int from 1"),
    "limit below": (lambda c: c.list(limit=-1), "from 1 to"),
    "limit above": (lambda c: c.list(limit=2**63), "2,147,483,647"),
    "limit true": (lambda c: c.list(limit=True), "give an int"),
    "before": (lambda c: c.list(before=2**63), "before="),
    "state": (lambda c: c.list(state=_any("bogus")), "'running', 'suspended', 'completed'"),
    "one of the states": (lambda c: c.list(state=_any(["failed", 7])), "state=7: there are"),
    "state of count": (lambda c: c.count(state=_any("bogus")), "client.count(): state='bogus'"),
    "workflow": (lambda c: c.list(workflow=_any(7)), "workflow=7: give text"),
    "prefix": (lambda c: c.list(id_prefix="\x00"), "without NUL"),
    "handle of a function": (lambda c: _status(c, leaf), "client.handle(): id=<workflow leaf"),
    "handle of nul": (lambda c: _status(c, "\x00"), "without NUL"),
    "resume": (lambda c: c.resume("\ud800"), "surrogate"),
    "reason": (lambda c: c.handle("x").terminate("\x00"), "reason="),
    "reason of cancel": (lambda c: c.handle("x").cancel(_any(7)), "reason=7"),
    "worker's queue": (lambda c: _worker(c, task_queue="nul\x00"), "Worker(): task_queue="),
    "worker's activities": (lambda c: _worker(c, max_activities=0), "max_activities=0"),
    "worker's threads": (lambda c: _worker(c, max_threads=-1), "max_threads=-1"),
    "worker's runs": (lambda c: _worker(c, max_runs="many"), "max_runs='many'"),
    "worker's bytes": (lambda c: _worker(c, max_bytes=0), "max_bytes=0"),
    "worker's grace": (lambda c: _worker(c, grace=-1), "-1"),
}


def _any(value: Any) -> Any:
    return value


async def _status(client: Client, id_: Any) -> str:
    return await client.handle(id_).status()


async def test_what_is_beyond_a_limit_is_refused_by_name(client: Client) -> None:
    """Each option that cannot be is a `ConfigurationError` with its limit, and nothing is sent."""
    for name, (door, words) in REFUSED.items():
        with pytest.raises(durable.ConfigurationError) as found:
            await door(client)
        assert words in str(found.value), name
    for unusable in UNUSABLE:
        with pytest.raises(durable.ConfigurationError, match=r"client.start\(\): id="):
            await client.start(leaf(), id=unusable)
    assert await client.count() == 0


@pytest.mark.parametrize("door", ["start", "execute"])
async def test_errors_name_the_call_that_was_made(client: Client, door: str) -> None:
    """Whoever called `execute` is not told of `start`."""
    call = getattr(client, door)
    for option, value in {
        "id": "", "task_queue": "", "priority": "high", "if_running": "wait", "if_ended": "wait",
        "colour": "red",
    }.items():  # fmt: skip
        with pytest.raises(durable.ConfigurationError, match=rf"^client\.{door}\(\): .*{option}"):
            await call(leaf(), **{option: value})
    with pytest.raises(
        durable.ConfigurationError, match=rf"^client\.{door}\(\) takes .*{door}.ful"
    ):
        await call(leaf)


async def test_children_have_the_same_limits(client: Client) -> None:
    """A child's id and queue are refused where it is called, and other runs go on."""
    async with Worker(client, workflows=[leaf, parent]):
        for unusable in UNUSABLE:
            if unusable == "\ud800":
                continue  # it could not even be an argument of the parent
            said = await client.execute(parent(unusable, None))
            assert "id=" in said, unusable
            assert "2,000 is the most" in said or "not empty" in said
        assert "1,000 is the most" in await client.execute(parent(None, LONG))
        long_parent = await client.start(parent(None, None), id="x" * 2_000)
        assert "2,002 bytes" in await long_parent.result(timeout=60)
        assert await client.execute(parent("fine é 😀", None)) == "leaf"
    assert await client.count(workflow=leaf) == 1


async def test_ids_at_the_limit_are_kept(client: Client) -> None:
    """2,000 bytes that do not compress, and any character that is no control character."""
    async with Worker(client, workflows=[leaf]):
        for usable in (secrets.token_hex(1_000), "é" * 1_000, "a b/ü:😀", "👩‍👩‍👧"):
            handle = await client.start(leaf(), id=usable)
            assert await handle.result(timeout=60) == "leaf"
            assert await client.handle(usable).status() == "completed"


async def test_states_are_chosen_one_or_several(client: Client) -> None:
    """One state, or any of several; a workflow by its name or by itself."""
    for n in range(3):
        await client.start(leaf(), id=f"run-{n}", task_queue="nobody")
    await client.handle("run-1").terminate()
    async with asyncio.timeout(60):
        both = await client.list(state={"terminated", "running"})
        assert [run.id for run in both] == ["run-2", "run-1", "run-0"]
        assert [run.id for run in await client.list(state="terminated")] == ["run-1"]
        assert await client.count(state=["running"], workflow=leaf) == 2
        assert await client.count(state=("failed", "cancelled")) == 0
        assert await client.count(workflow="other") == 0


def test_the_command_has_the_same_limits(
    cli: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """The command refuses likewise, with one line that names the limit."""
    for arguments, words in (
        (("start", "fulfil", "--id", LONG), "2,000 is the most"),
        (("list", "--state", "bogus"), "there are 'running', 'suspended'"),
    ):
        done = cli(*arguments)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert cli("list", "--state", "running", "--state", "failed").returncode == 0
