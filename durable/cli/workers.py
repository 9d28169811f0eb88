"""`durable worker`: serve what a module defines, until a signal stops it."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from durable.cli.command import Session, creating, duration
from durable.cli.event_loops import EventLoop, first_of
from durable.cli.shutdown import EXTRA, Ending
from durable.protocol.durations import seconds
from durable.telemetry.terminal import TerminalFormatter

if TYPE_CHECKING:
    from durable.cli.user_modules import Served
    from durable.worker.worker import Worker

Target = Annotated[
    str, typer.Argument(metavar="MODULE", help="A module or path.py, also with :ATTRIBUTE.")
]
Queue = Annotated[
    str | None, typer.Option(help="The task queue of workflows that name none; else 'default'.")
]


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The options of `durable worker`."""

    queue: Queue = None
    grace: Annotated[str, typer.Option(help="How long a stop waits for running activities.")] = (
        "10s"
    )
    hard_limit: Annotated[
        str | None,
        typer.Option(
            help="When a stop exits, whatever still runs; 15 s after the grace unless given."
        ),
    ] = None
    yield_timeout: Annotated[
        str, typer.Option(help="How long code may hold the event loop; then the process exits.")
    ] = "30s"
    processes: Annotated[
        int, typer.Option(min=1, help="How many processes; one that dies is started again.")
    ] = 1
    loop: Annotated[
        EventLoop, typer.Option(help="The event loop; uvloop's comes with the extra `uvloop`.")
    ] = EventLoop.ASYNCIO
    until_eof: Annotated[bool, typer.Option(hidden=True)] = False

    @property
    def limit(self) -> float:
        """Seconds from a stop to the exit, whatever still runs."""
        if self.hard_limit is None:
            return seconds(duration(self.grace)) + EXTRA
        return seconds(duration(self.hard_limit))

    def for_child(self, *, as_json: bool) -> list[str]:
        """The same on the command line of one of several processes."""
        return [
            *(["--queue", self.queue] if self.queue is not None else []),
            *(["--json"] if as_json else []),
            *("--yield-timeout", self.yield_timeout, "--loop", self.loop.value),
            *("--grace", self.grace, "--hard-limit", f"{self.limit}s"),
        ]


@creating
async def worker(session: Session, module: Target, options: WorkerOptions) -> None:
    """Run what a module defines, until SIGTERM or Ctrl-C: both let running activities finish."""
    # Loaded here: neither `--help` nor another command needs them.
    from durable.cli.user_modules import collect  # noqa: PLC0415
    from durable.worker.worker import Worker  # noqa: PLC0415

    handler = logging.StreamHandler()
    handler.setFormatter(TerminalFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level="INFO")
    grace, limit = duration(options.grace), options.limit
    if options.processes > 1:
        from durable.cli.supervisor import supervise  # noqa: PLC0415

        child = options.for_child(as_json=session.out.as_json)
        await supervise(session, module, child, limit, options.processes)
        return
    served = collect(module, options.queue)
    workers = [
        Worker(
            session.client,
            workflows=one.workflows.values(),
            activities=one.activities.values(),
            task_queue=one.queue,
            grace=grace,
            yield_timeout=duration(options.yield_timeout),
        )
        for one in served
    ]
    ending = Ending(workers, limit)
    for one in workers:
        one.on_stuck(ending.stuck)
    if options.until_eof:
        _stop_at_eof(ending)
    with ending.signals():
        await _serve(session, served, workers, ending)
    ending.close_within(seconds(grace))


async def _serve(
    session: Session, served: Sequence[Served], workers: Sequence[Worker], ending: Ending
) -> None:
    from durable.cli.user_modules import elsewhere  # noqa: PLC0415 - loaded by now

    async with AsyncExitStack() as running:
        for one, serving in zip(served, workers, strict=True):
            await running.enter_async_context(serving)
            session.out.event(_event(one), f"serving {_words(one)}")
            for line in elsewhere(one):
                session.out.note(line)
        # One that cannot go on ends all: its error is raised at the end, and is the exit code.
        await first_of(ending.requested.wait(), *(one.ended() for one in workers))
        ending.begin()
        session.out.note(
            "stopping: running activities have their grace; another Ctrl-C or SIGTERM ends at once"
        )
        await asyncio.gather(*(one.stop() for one in workers))
    if any(one.lingering for one in workers):
        session.out.note("stopped, but for threads that go on: waiting for them")
        await asyncio.gather(*(one.gone() for one in workers))
    if not ending.cut_short:
        session.out.note("stopped")


def _event(served: Served) -> dict[str, object]:
    return {
        "serving": served.queue,
        "workflows": list(served.workflows),
        "activities": list(served.activities),
    }


def _words(served: Served) -> str:
    kinds: dict[str, Iterable[str]] = {
        "workflows": served.workflows,
        "activities": served.activities,
    }
    words = (f"{kind} {', '.join(there)}" for kind, there in kinds.items() if there)
    return f"queue {served.queue}: {'; '.join(words)}"


def _stop_at_eof(ending: Ending) -> None:
    """Stop when the parent process, which holds the other end of stdin, has ended."""
    loop = asyncio.get_running_loop()
    stdin = sys.stdin.fileno()

    def closed() -> None:  # nothing is ever written there
        loop.remove_reader(stdin)
        ending.begin()

    loop.add_reader(stdin, closed)
