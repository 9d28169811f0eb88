"""Closing tasks whose coroutines swallow every cancellation."""

from __future__ import annotations

import ctypes
import linecache
from typing import Any

from durable.replay.tasks import RunTask
from durable.runtime.interrupts import is_interrupt
from durable.telemetry.logs import logger

CLOSED_MAX = 20  # how often a coroutine that ignores its end is closed


def close_unresponsive(task: RunTask, label: str) -> None:
    """End a task that swallows every cancellation: close its coroutines, the innermost first.

    One that waits again is closed again. Were the outermost closed first, it would be told of an
    inner one that would not end, could swallow that too, and leave it to the garbage collector.
    One that waits again every time is never run again.
    """
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
    refusing: object = None
    for _ in range(CLOSED_MAX):
        chain = _chain(task)
        if not chain:
            return
        for coroutine in reversed(chain):
            try:
                coroutine.close()
            except BaseException as error:  # whatever it says, it is asked again
                if is_interrupt(error):
                    raise
                if coroutine.cr_frame is not None:
                    refusing = coroutine
                    break  # who waits for it would drop it, and it would be told by the collector
    if chain := _chain(task):
        _keep_for_ever(chain[0])
        logger.warning(
            "%s: its code swallows the end of its run, and is cut off at %s: let BaseException,"
            " such as CancelledError, out of the except clauses of loops",
            label,
            _place(refusing),
        )


def _chain(task: RunTask) -> list[Any]:
    """The coroutines of a task that have not ended, the outermost first."""
    chain: list[object] = []
    current: Any = task.get_coro()
    while getattr(current, "cr_frame", None) is not None:
        chain.append(current)
        current = current.cr_await
    return chain


def _keep_for_ever(coroutine: object) -> None:
    """Have a coroutine never be collected.

    Python would close it then, and its loop would go on outside of its run, where calling an
    activity runs the function itself. Of the interpreter's end that is true as well, so a list of
    ours would not do: only a reference without an owner.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))


def _place(coroutine: Any) -> str:
    frame = coroutine.cr_frame
    name, line = frame.f_code.co_filename, frame.f_lineno
    return f'{name}:{line} "{linecache.getline(name, line).strip()}"'
