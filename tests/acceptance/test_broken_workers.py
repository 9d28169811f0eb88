"""A worker that cannot go on says so, and ends with an exit code that is not 0."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[..., subprocess.Popen[str]]

MODULE = """
import durable
from durable.runtime import supervision
from durable.store.runs import RunStream

@durable.workflow
async def visit() -> int:
    return 1

async def broken(*_):
    raise KeyError("a bug of ours")

RunStream.look = broken
supervision.backoff = lambda _failures, **_: 0.0
"""


@pytest.mark.usefixtures("database_url")
def test_a_worker_whose_loop_breaks_for_good_exits_with_an_error(
    program: Program, tmp_path: Path
) -> None:
    """`durable worker` does not go on beating without its poll: its supervisor sees the code."""
    module = tmp_path / "visits.py"
    module.write_text(MODULE, encoding="utf-8")
    process = program("-m", "durable", "worker", module, "--grace", "0s")
    _, said = process.communicate(timeout=150)
    assert process.returncode not in (0, None)
    assert "the worker stops, because its task 'poll' broke" in said
