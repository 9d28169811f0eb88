"""Distinguishing Ctrl-C from a `KeyboardInterrupt` that code raised.

The one is about the process, which ends by it. The other is an exception like any other: a library
that gives up by it, a prompt without a terminal. The exception itself does not say which it is, but
where it was raised does. The interpreter hands signals to the main thread alone, and to the handler
that is installed there: Python's own handler raises between two instructions of whatever runs, any
other one (asyncio's, an application's) raises in a frame of its own, or does not raise.
"""

from __future__ import annotations

import contextlib
import dis
import signal
import threading
from functools import partial
from operator import attrgetter
from types import CodeType, TracebackType
from typing import Final

_RAISE: Final = dis.opmap["RAISE_VARARGS"]
_TRACEBACK: Final = vars(BaseException)["__traceback__"]


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception is Ctrl-C, rather than something that code raised by itself.

    Where that is uncertain, it is one: a process must not ignore its user.

    Example:
        >>> try:
        ...     raise KeyboardInterrupt
        ... except KeyboardInterrupt as error:
        ...     is_interrupt(error)
        False
    """
    if not issubclass(type(error), KeyboardInterrupt):  # `isinstance` would ask the error
        return False
    if threading.current_thread() is not threading.main_thread():
        return False
    handler = signal.getsignal(signal.SIGINT)
    if handler in {signal.SIG_DFL, signal.SIG_IGN}:
        return False
    trace: TracebackType | None = _TRACEBACK.__get__(error)
    if (code := _code_of(handler)) is None:
        return not _was_raised(trace)
    return _passed(trace, code)


def _code_of(handler: object) -> CodeType | None:
    """What a handler runs; None of one that is not written in Python, such as Python's default."""
    while isinstance(handler, partial):
        handler = handler.func  # asyncio's is a partial of a method
    for path in ("__code__", "__call__.__code__"):
        with contextlib.suppress(AttributeError):
            code: CodeType = attrgetter(path)(handler)
            return code
    return None


def _passed(trace: TracebackType | None, code: CodeType) -> bool:
    while trace is not None:
        if trace.tb_frame.f_code is code:
            return True
        trace = trace.tb_next
    return False


def _was_raised(trace: TracebackType | None) -> bool:
    """Whether the innermost frame raised by a `raise`."""
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == _RAISE
