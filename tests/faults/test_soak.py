"""A soak of a few seconds, so that the long one can be relied on to run."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.faults.driver import ROOT

FAULTS = (
    "kill a worker", "kill a caller", "terminate a backend", "refuse logins", "step a clock",
    "freeze a process",
)  # fmt: skip


@pytest.mark.timeout(300)
async def test_a_short_soak_violates_nothing(tmp_path: Path) -> None:
    """Six seconds of kills, refused logins, stepped clocks and freezes: all invariants hold."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.soak", "--minutes", "0.1", "--seed", "7",
        "--keep", str(tmp_path / "soak"), *[w for name in FAULTS for w in ("--only", name)],
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert "0 violations" in said.decode()
