"""`durable worker` ends when it is told twice, or at its hard limit, whatever still runs."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest

import durable
from tests.waiting import eventually

Program = Callable[..., "subprocess.Popen[str]"]

BLOCKED = """
import pathlib, time, durable

@durable.activity(retry=durable.RetryPolicy(maximum_attempts=1))
def block(seconds: float) -> None:
    pathlib.Path("begun").touch()
    time.sleep(seconds)

@durable.workflow
async def blocked(seconds: float) -> None:
    await block(seconds)

@durable.workflow
async def spin() -> None:
    pathlib.Path("begun").touch()
    while True:
        pass
"""


def _until(stream: TextIO, word: str) -> None:
    for line in stream:
        if word in line:
            return
    pytest.fail(f"{word!r} was never said")


@pytest.mark.parametrize("how", ["again", "limit", "spinning"])
async def test_what_blocks_a_stop_does_not_block_the_end(
    program: Program, database_url: str, tmp_path: Path, how: str
) -> None:
    """The process exits; what may have taken effect is an attempt whose outcome is unknown."""
    module = tmp_path / "blocked.py"
    module.write_text(BLOCKED, encoding="utf-8")
    options = ["--grace", "100ms", *(["--hard-limit", "1500ms"] if how == "limit" else [])]
    worker = program("-m", "durable", "worker", module, *options)
    async with await durable.connect(database_url) as client:
        run = await client.start("spin") if how == "spinning" else await client.start("blocked", 60)

        async def begun() -> bool:
            return (tmp_path / "begun").exists()

        await eventually(begun)
        worker.send_signal(signal.SIGTERM)
        if how == "again":
            await asyncio.to_thread(_until, worker.stderr, "go on")
        if how != "limit":
            worker.send_signal(signal.SIGINT)
        before = time.monotonic()
        _, said = await asyncio.to_thread(worker.communicate, timeout=60)
        assert time.monotonic() - before < 14, "that is the limit for who names none"
        assert worker.returncode in ((1,) if how == "limit" else (130, 143)), said
        assert "ended at once" in said
        assert "stopped" not in said.splitlines()
        shown = await run.describe()
        if how != "spinning":
            assert [a.state for a in shown.activities] == ["dead"]
            assert shown.activities[0].failure is not None
            assert shown.activities[0].failure.type == "OutcomeUnknown"
        else:
            assert shown.worker is None
