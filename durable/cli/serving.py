"""`durable worker`: serve what a module defines, until told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Annotated

import typer

from durable.cli.command import Session, connected, duration
from durable.cli.importing import Served, collect
from durable.cli.loops import EventLoop
from durable.cli.supervising import first_of, supervise
from durable.telemetry.terminal import TerminalFormatter
from durable.worker.worker import Worker

Target = Annotated[
    str, typer.Argument(metavar="MODULE", help="A module or path.py, also with :ATTRIBUTE.")
]
Queue = Annotated[
    str | None, typer.Option(help="The task queue of workflows that name none; else 'default'.")
]
Processes = Annotated[
    int, typer.Option(min=1, help="How many processes; one that dies is started again.")
]
Loop = Annotated[
    EventLoop, typer.Option(help="The event loop; uvloop's comes with the extra `uvloop`.")
]
Grace = Annotated[str, typer.Option(help="How long a stop waits for running activities.")]


@connected
async def worker(  # noqa: PLR0913 - the command's options
    session: Session,
    module: Target,
    *,
    queue: Queue = None,
    grace: Grace = "10s",
    processes: Processes = 1,
    loop: Loop = EventLoop.ASYNCIO,
    until_eof: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run what a module defines, until SIGTERM or Ctrl-C: both let running activities finish."""
    handler = logging.StreamHandler()
    handler.setFormatter(TerminalFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level="INFO")
    duration(grace)
    if processes > 1:
        options = [
            *(["--queue", queue] if queue else []),
            *(["--json"] if session.out.as_json else []),
            "--loop",
            loop.value,
        ]
        await supervise(session, module, options, grace, processes)
        return
    served = collect(module, queue)
    stop = asyncio.Event()
    if until_eof:
        _stop_at_eof(stop)
    with _stopped_by_signals(stop):
        await _serve(session, served, grace, stop)


async def _serve(
    session: Session, served: Sequence[Served], grace: str, stop: asyncio.Event
) -> None:
    workers = []
    async with AsyncExitStack() as running:
        for one in served:
            workflows, activities = one.workflows.values(), one.activities.values()
            worker = Worker(
                session.client, workflows=workflows, activities=activities, task_queue=one.queue,
                grace=grace,
            )  # fmt: skip
            workers.append(await running.enter_async_context(worker))
            session.out.event(_told(one), f"serving {_words(one)}")
        # One that cannot go on ends all: its error is raised at the end, and is the exit code.
        await first_of(stop.wait(), *[worker.ended() for worker in workers])
        session.out.note(f"stopping: running activities have {grace}; a second Ctrl-C ends at once")
    session.out.note("stopped")


def _told(served: Served) -> dict[str, object]:
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


@contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """The first SIGTERM or SIGINT sets the event; the next has its usual effect."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def heard() -> None:
        stop.set()
        for number in numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, heard)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _stop_at_eof(stop: asyncio.Event) -> None:
    """Stop when whoever started this process, and holds the other end of stdin, is gone."""
    loop = asyncio.get_running_loop()
    stdin = sys.stdin.fileno()

    def closed() -> None:  # nothing is ever written there
        loop.remove_reader(stdin)
        stop.set()

    loop.add_reader(stdin, closed)
