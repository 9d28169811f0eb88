"""Ctrl-C is told from a `KeyboardInterrupt` that code raised."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, NoReturn

import pytest

from durable.runtime.interrupts import is_interrupt


class Handler:
    """An application's handlers of SIGINT."""

    def raising(self, _extra: str, _number: int, _frame: FrameType | None) -> None:
        """As asyncio's second word: it is bound, and some arguments are."""
        raise KeyboardInterrupt

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """An object that can be called."""
        raise KeyboardInterrupt


def noting(_number: int, _frame: FrameType | None) -> None:
    """As `durable worker`'s: it raises nothing."""


HANDLERS: dict[str, Any] = {
    "Python's": signal.default_int_handler,
    "a bound one": partial(Handler().raising, "extra"),
    "an object": Handler(),
}


@contextmanager
def handled_by(handler: Any) -> Iterator[None]:
    """Within: SIGINT is handled so."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def press() -> None:
    """Press Ctrl-C."""
    signal.raise_signal(signal.SIGINT)
    time.sleep(0)


def cleaned_up() -> None:
    """Code that hears of Ctrl-C, and lets it go on."""
    try:
        press()
    except KeyboardInterrupt:
        time.sleep(0)
        raise


def reraised() -> None:
    """The same, by name."""
    try:
        press()
    except KeyboardInterrupt as error:
        time.sleep(0)
        raise error  # noqa: TRY201 - what it does to the traceback is what is tested


def plain() -> NoReturn:
    """An error of the code's own."""
    raise KeyboardInterrupt


def from_thread() -> None:
    """The same, of another thread, whose result is awaited."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(plain).result()


def between() -> NoReturn:
    """What tools raise in a thread that they want to end, as the interpreter raises Ctrl-C."""
    this = ctypes.c_ulong(threading.get_ident())
    ctypes.pythonapi.PyThreadState_SetAsyncExc(this, ctypes.py_object(KeyboardInterrupt))
    while True:
        time.sleep(0)


def what_came(code: Callable[[], object]) -> bool:
    """What is said of the exception that `code` lets out."""
    try:
        code()
    except KeyboardInterrupt as error:
        return is_interrupt(error)
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("code", [press, cleaned_up, reraised])
@pytest.mark.parametrize("handler", HANDLERS)
def test_ctrl_c_is_known(handler: str, code: Callable[[], None]) -> None:
    """Whatever handles it, and whatever code does before it lets it out."""
    with handled_by(HANDLERS[handler]):
        assert what_came(code)


@pytest.mark.parametrize("code", [plain, from_thread])
@pytest.mark.parametrize("handler", [*HANDLERS.values(), noting, signal.SIG_IGN, signal.SIG_DFL])
def test_what_code_raises_by_itself_is_known(handler: Any, code: Callable[[], None]) -> None:
    """Under any handler; where none raises, whatever is raised is the code's."""
    with handled_by(handler):
        assert not what_came(code)


def test_threads_get_no_signals() -> None:
    """What is raised on another thread is that thread's, and be it between two instructions."""
    found: list[bool] = []
    with handled_by(signal.default_int_handler):
        for code in (plain, between):
            thread = threading.Thread(target=lambda code=code: found.append(what_came(code)))
            thread.start()
            thread.join()
    assert found == [False, False]


def test_asyncios_second_word_is_ctrl_c() -> None:
    """`asyncio.run` cancels at the first, and raises at the second."""

    async def main() -> bool:
        with contextlib.suppress(asyncio.CancelledError):
            press()
            await asyncio.sleep(10)
        return what_came(press)

    with handled_by(signal.default_int_handler):
        assert asyncio.run(main())
