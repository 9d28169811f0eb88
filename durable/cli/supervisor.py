"""`durable worker --processes N`: several workers, each started again when it dies."""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from functools import partial

import typer

from durable.cli.child_workers import ended, started
from durable.cli.command import Session
from durable.cli.event_loops import first_of
from durable.runtime.supervision import Tasks

PAUSE = 0.5  # seconds before the first new start; each that follows soon waits twice as long
PAUSE_MAX = 30.0
STEADY = 60.0  # a worker that has served for so long has recovered
LAST_WORDS = 1.0  # seconds: what a worker has started itself may hold its stdout open for ever
CHUNK = 1 << 16
STOP_EXTRA = 5.0  # a worker ends by itself at its limit
READY = ("serving ", '{"serving"')  # how a worker says, in either form, that it serves


class Supervisor:
    """Keeps a number of worker processes alive until a signal stops it.

    A worker that dies is started again, later each time it dies soon. One that ends by itself
    before any has ever served cannot be helped by that (a module that does not import, a wrong
    option): then all end, with its code. What goes wrong here (no process can be started, nobody
    reads what they print) is tried again, and then ends all.

    Args:
        session: the database, and where to say what happens.
        module: what the workers serve.
        options: further options of `durable worker`.
        limit: within how many seconds a worker ends that was asked to stop.
    """

    def __init__(self, session: Session, module: str, options: Sequence[str], limit: float) -> None:
        self._session = session
        self._module = module
        self._options = options
        self._limit = limit
        self._processes: set[Process] = set()
        self._tasks = Tasks("durable worker --processes", self._broke)
        self._stop = asyncio.Event()
        self._served = False
        self._code = 0

    async def run(self, count: int) -> int:
        """Keep `count` workers until SIGTERM or SIGINT, at the second of which they exit at once.

        Returns the exit code.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._heard)
        places = [
            self._tasks.keep(f"worker {n}", partial(self._keep, n)) for n in range(1, count + 1)
        ]
        await asyncio.wait(places)
        self._tasks.cancel()
        return self._code

    def _broke(self, _name: str, _error: BaseException) -> None:
        """A worker cannot be kept, or not be heard; it was logged as critical: all end."""
        self._code = self._code or 1
        self._stop.set()

    def _heard(self) -> None:
        if self._stop.is_set():
            for process in self._processes:
                if process.returncode is None:
                    process.terminate()
        self._stop.set()

    async def _keep(self, place: int) -> None:
        """One worker after the other, until the stop."""
        loop = asyncio.get_running_loop()
        pause = PAUSE
        while not self._stop.is_set():
            process = await started(self._session.client, self._module, self._options, stdout=PIPE)
            self._processes.add(process)
            began = loop.time()
            telling = self._tasks.keep(
                f"output of worker {place}", partial(self._forward, process, place)
            )
            await first_of(process.wait(), self._stop.wait())
            if self._stop.is_set():
                await ended(process, self._limit + STOP_EXTRA)
                await first_of(telling, asyncio.sleep(LAST_WORDS))
                return
            self._processes.discard(process)
            await first_of(telling, asyncio.sleep(LAST_WORDS))
            self._died(process, place)
            if loop.time() - began > STEADY:
                pause = PAUSE
            await first_of(asyncio.sleep(pause), self._stop.wait())
            pause = min(2 * pause, PAUSE_MAX)

    def _died(self, process: Process, place: int) -> None:
        code = process.returncode or 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"by itself, code {code}"
        if code >= 0 and not self._served:
            self._code = code or 1
            self._stop.set()
            return
        self._session.out.note(
            f"worker {place} (process {process.pid}) ended {how}; it is started again, and what it"
            " held is taken over by the others"
        )

    async def _forward(self, process: Process, place: int) -> None:
        """Pass on what a worker prints; its first word that it serves says that all is well."""
        if process.stdout is None:
            return
        served, rest = False, b""
        while chunk := await process.stdout.read(CHUNK):
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            text = (whole + newline).decode(errors="replace")
            if not served and text.startswith(READY):
                served = self._served = True
                self._session.out.note(f"worker {place} is process {process.pid}")
            self._session.out.relay(text)
        self._session.out.relay(rest.decode(errors="replace"))


async def supervise(
    session: Session, module: str, options: Sequence[str], limit: float, count: int
) -> None:
    """Serve `module` by `count` processes; raises `typer.Exit` when none can be started."""
    supervisor = Supervisor(session, module, options, limit)
    code = await supervisor.run(count)
    if code:
        raise typer.Exit(code)
    session.out.note("all workers have stopped")
