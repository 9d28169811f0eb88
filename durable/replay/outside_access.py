"""What reaches into a run from outside of its turn: another thread, or code that is not its own.

A workflow that hands work to a thread waits for what is in no history. The thread is told nothing;
the run is ended by a `NotDurableError` that is raised where it awaits.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Iterable
from contextvars import Context, ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from durable.errors import NotDurableError
from durable.replay.call_sites import Site, text
from durable.runtime.threads import carry_into_threads

_FUTURES_FILE = asyncio.futures.__file__
_STARTED_BY: Final[ContextVar[weakref.ref[Any] | None]] = ContextVar(
    "durable_started_by", default=None
)


@dataclass(frozen=True, slots=True)
class OutsideAccess:
    """What was touched: `future` is what code may be awaiting, None if that is not known."""

    what: str
    future: asyncio.Future[object] | None

    def error(self, label: str, site: Site) -> NotDurableError:
        """The error that the awaiting code gets."""
        place = f", which waits at {text(site)}," if site[0] else ""
        return NotDurableError(
            f"{self.what} reached into {label}{place} from another thread, or from code that is"
            " not its own: what it brings is in no history and cannot be replayed. Do the work in"
            " an activity, or send a signal"
        )


def access_by(what: str, callback: object, args: Iterable[object], loop: object) -> OutsideAccess:
    """The future of `loop` that a callback was to settle, if it can be seen."""
    for each in (getattr(callback, "__self__", None), *args):
        if isinstance(each, asyncio.Future) and each.get_loop() is loop:
            return OutsideAccess(what, each)
    return OutsideAccess(what, None)


def raise_where_it_awaits(
    error: NotDurableError, access: OutsideAccess, main: asyncio.Task[object]
) -> None:
    """Have it raised at the await, within a turn; without one the main task is cancelled."""
    future = access.future
    if future is None or future.done():
        future = _awaited(main)
    if future is None or future.done():
        main.cancel(str(error))
    else:
        future.set_exception(error)


def _awaited(task: asyncio.Task[object]) -> asyncio.Future[object] | None:
    """What a task waits for in the end, through the tasks that it waits for."""
    waiter: object = getattr(task, "_fut_waiter", None)
    while isinstance(waiter, asyncio.Task):
        waiter = getattr(waiter, "_fut_waiter", None)
    return waiter if isinstance(waiter, asyncio.Future) else None


def follow_threads(variables: Context, loop: object) -> None:
    """Have threads that the code of a run starts be known as that run's."""
    carry_into_threads(_STARTED_BY)
    variables.run(_STARTED_BY.set, weakref.ref(loop))


def check_thread(what: str) -> None:
    """Refuse what only workflow code may do on a thread that workflow code has started.

    Nothing of it would be recorded, so the run has failed by it too, wherever it waits.
    """
    if (started_by := _STARTED_BY.get()) is None:
        return
    loop = started_by()
    if loop is not None:
        with contextlib.suppress(NotDurableError):
            loop.reached(OutsideAccess(what, None))
    raise NotDurableError(
        f"{what} was run on a thread that the code of a workflow started: it would be in no history"
        " and be done again at each replay. Await it in the workflow itself, and use asyncio for"
        " what runs at once"
    )


def check_wrapped(frame: FrameType) -> None:
    """Refuse the future that `asyncio.wrap_future` makes for what a thread will bring."""
    code = frame.f_code
    if code.co_name == "wrap_future" and code.co_filename == _FUTURES_FILE:
        raise NotDurableError(
            "asyncio.wrap_future() waits for another thread or process, whose outcome is in no"
            " history and cannot be replayed: do it in an activity"
        )
