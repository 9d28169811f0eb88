"""What a system has to offer to be measured."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

PROJECT = Path(__file__).parents[2]


class System(ABC):
    """One system, with the four workflows of the workloads.

    `seq(n)`: n activities one after the other, the list of the times that they returned. `fan(n)`:
    n at once, n. `sig`: waits for one signal, the time at which it came. `timer(s)`: sleeps, the
    time at which it woke. Activities return the time and do nothing else.

    Args:
        home: where this system may keep data; its environment is in `venv` there.
        dsn: an empty database, for those that keep their data in Postgres.

    Attributes:
        name: how tables call it.
        postgres: whether its data is in Postgres.
        loop: the event loop that it is to run on, where it gives a choice.
        processes: what belongs to it besides this process, by role.
    """

    name: str
    postgres = True
    loop = "asyncio"

    def __init__(self, home: Path, dsn: str) -> None:
        self.home = home
        self.dsn = dsn
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    async def __aenter__(self) -> Self:
        try:
            await self.begin()
        except BaseException:
            self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.end()
        finally:
            self.stop()

    @abstractmethod
    async def begin(self) -> None:
        """Set up what the system needs, and start its worker."""

    @abstractmethod
    async def end(self) -> None:
        """Close what this process holds."""

    @abstractmethod
    async def start(self, workflow: str, argument: Any) -> Any:
        """Start a run that survives everything; its handle."""

    @abstractmethod
    async def result(self, handle: Any) -> Any:
        """What the run returned, as soon as the system tells."""

    @abstractmethod
    async def signal(self, handle: Any) -> None:
        """Send the run of a `sig` its signal."""

    async def execute(self, workflow: str, argument: Any) -> Any:
        """Start a run and wait for what it returns."""
        return await self.result(await self.start(workflow, argument))

    async def serve(self, role: str, *command: str) -> None:
        """Start a process that belongs to the system, and wait until it prints READY.

        We hold its stdin, so that it can end with us: see `children`.
        """
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT
        )
        self.processes[role] = process
        assert process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), 60)
        if line.strip() != b"READY":
            sys.exit(f"the {role} of {self.name} did not start")

    def stop(self) -> None:
        """End the processes of the system."""
        for process in self.processes.values():  # all are told, then waited for
            process.terminate()
        for process in self.processes.values():
            ended(process)
        self.processes.clear()


def ended(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that was told to stop; kill it when it does not."""
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
