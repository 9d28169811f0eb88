"""The wall clock of a worker's machine jumps; timers fire when they are due all the same."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from durable.client.client import Client
from durable.client.handle import Handle
from tests.faults.conftest import Spawn
from tests.faults.driver import Journal
from tests.faults.programs import nap

LIBRARY = next(
    (
        str(path)
        for path in Path("/usr/lib").glob("**/libfaketime.so.1")
        if path.exists()
    ),
    None,
)  # fmt: skip


async def _slept(journal: Journal, key: str, handle: Handle[int]) -> float:
    """How long a run slept, by our clock: since its step wrote its last line."""
    before = await journal.has("end", f"{key}/before")
    await handle.result(timeout=90)
    return time.time() - before.at


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed (apt install faketime)")
@pytest.mark.parametrize("step", ["+7200", "-7200"])
async def test_no_timer_follows_a_step_of_the_wall_clock(
    client: Client, spawn: Spawn, journal: Journal, tmp_path: Path, step: str
) -> None:
    """The worker's wall clock jumps two hours, on and back: timers are neither early nor late."""
    offset = tmp_path / "offset"
    await asyncio.to_thread(offset.write_text, "+0")
    await spawn(
        {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    )
    naps = [0.8 + 0.1 * n for n in range(20)]
    handles = [await client.start(nap(f"n{n}", nap_), id=f"n{n}") for n, nap_ in enumerate(naps)]
    slept = [asyncio.create_task(_slept(journal, f"n{n}", h)) for n, h in enumerate(handles)]
    await journal.has("end", "n19/before")
    await asyncio.sleep(0.2)  # the timers are in the worker's memory by now
    await asyncio.to_thread(offset.write_text, step)
    for expected, took in zip(naps, await asyncio.gather(*slept), strict=True):
        assert expected - 0.1 < took < expected + 20.0  # late ones would be half a minute late
