"""`durable worker --processes N`: several workers under one command."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[..., subprocess.Popen[str]]
Cli = Callable[..., subprocess.CompletedProcess[str]]

MODULE = """
import os

import durable

@durable.activity
async def where(number: int) -> int:
    return os.getpid()

@durable.workflow
async def visit(count: int) -> list[int]:
    return [await where(number) for number in range(count)]
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A user's module."""
    path = tmp_path / "visits.py"
    path.write_text(MODULE, encoding="utf-8")
    return path


def _process_of(process: subprocess.Popen[str]) -> tuple[int, int]:
    """Which worker came next, and as which process."""
    for line in process.stderr:
        if found := re.match(r"worker (\d) is process (\d+)", line):
            return int(found[1]), int(found[2])
    pytest.fail(f"no worker came: {process.communicate()}")


def _visited(cli: Cli, run: str) -> int:
    """The process in which a run had its activity."""
    cli("start", "visits:visit", "--args", "[1]", "--id", run)
    return int(json.loads(cli("result", run).stdout)[0])


def test_a_worker_that_is_killed_is_started_again(cli: Cli, program: Program, module: Path) -> None:
    """Two processes serve; one is killed and comes back; a stop ends all of them, with code 0."""
    supervisor = program("-m", "durable", "worker", module, "--processes", "2")
    pids = dict([_process_of(supervisor), _process_of(supervisor)])
    assert sorted(pids) == [1, 2]
    assert _visited(cli, "a") in pids.values()
    os.kill(pids[1], signal.SIGKILL)
    place, again = _process_of(supervisor)
    assert place == 1
    assert again not in pids.values()
    assert _visited(cli, "b") in {again, pids[2]}
    supervisor.send_signal(signal.SIGTERM)
    _, err = supervisor.communicate(timeout=150)
    assert supervisor.returncode == 0, err
    assert err.endswith("all workers have stopped\n")
    for pid in (again, pids[2]):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_cannot_serve_is_not_started_for_ever(program: Program, tmp_path: Path) -> None:
    """A module that does not import ends the command, with the error of a single worker."""
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n", encoding="utf-8")
    supervisor = program("-m", "durable", "worker", "broken.py", "--processes", "2")
    _, err = supervisor.communicate(timeout=150)
    assert supervisor.returncode == 1
    assert "nothing_of_this_name" in err
    assert "started again" not in err


def test_workers_end_with_their_supervisor(program: Program, module: Path) -> None:
    """When the command itself is killed, its workers stop gracefully and do not go on alone."""
    supervisor = program("-m", "durable", "worker", module, "--processes", "2")
    _process_of(supervisor)
    _process_of(supervisor)
    supervisor.kill()
    _, err = supervisor.communicate(timeout=150)  # the workers hold stderr until they end
    assert err.count("stopped\n") == 2
