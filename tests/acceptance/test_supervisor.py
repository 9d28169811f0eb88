"""`durable worker --processes N`: several workers under one command."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from durable.cli import supervisor as supervisor_module
from durable.cli.command import Session
from durable.cli.output import Output
from durable.cli.supervisor import Supervisor
from durable.client.client import Client
from durable.runtime import supervision
from tests.waiting import eventually

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


SERVES = """
import time
while True:
    print("serving a queue", flush=True)
    time.sleep(0.01)
"""


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """Processes that say that they serve, in place of workers; the first three cannot start."""
    processes: list[Process] = []

    async def started(*_: Any, **streams: Any) -> Process:
        if not processes and len(failing) < 3:
            failing.append(OSError("no process can be started just now"))
            raise failing[-1]
        command = sys.executable, "-c", SERVES
        processes.append(await asyncio.create_subprocess_exec(*command, stdin=PIPE, **streams))
        return processes[-1]

    failing: list[OSError] = []
    monkeypatch.setattr(supervisor_module, "started", started)
    monkeypatch.setattr(supervision, "backoff", lambda _failures, **_: 0.0)
    return processes


async def test_a_process_that_could_not_be_started_is_tried_again(
    client: Client, spawned: list[Process], capsys: pytest.CaptureFixture[str]
) -> None:
    """A failure of the supervisor's own is no end: it goes on, and hears of a stop."""
    supervisor = Supervisor(Session(client, Output()), "m.py", [], 5.0)
    running = asyncio.create_task(supervisor.run(2))
    said = ""

    async def both_serve() -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return said.count("is process") == 2

    await eventually(both_serve)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(running, 100) == 0
    assert len(spawned) == 2
    assert all(process.returncode is not None for process in spawned)


async def test_a_supervisor_that_nobody_reads_ends_loudly(
    client: Client,
    spawned: list[Process],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What workers print cannot be passed on: all end, with an error, rather than fill a pipe."""

    def relay(_text: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(Output, "relay", staticmethod(relay))
    supervisor = Supervisor(Session(client, Output()), "m.py", [], 5.0)
    assert await asyncio.wait_for(supervisor.run(1), 100) == 1
    assert [process.returncode is not None for process in spawned] == [True]
    assert "output of worker 1" in caplog.text
