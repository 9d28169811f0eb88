"""Threads for user code that blocks: daemons, so that the process can end."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")


class DaemonThreads:
    """Runs jobs on at most `count` daemon threads, which are started when they are needed.

    `concurrent.futures` joins its threads when the interpreter ends: one job that blocks keeps the
    process from ending.

    Args:
        count: how many jobs run at once; more wait in line.
        name: of the threads, for people.

    Example:
        >>> done = threading.Event()
        >>> DaemonThreads(1, "example").run(done.set)
        >>> done.wait(5)
        True
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0

    def run(self, job: Callable[[], None]) -> None:
        """Have a job run; it raises nothing."""
        self._jobs.put(job)
        if not self._idle.acquire(blocking=False) and self._started < self._count:
            self._started += 1
            name = f"{self._name} {self._started}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def close(self) -> None:
        """Let threads end that have nothing to do, and the others after their job."""
        for _ in range(self._started):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # an idle thread holds nothing of its last job
            self._idle.release()


def carry_into_threads(variable: ContextVar[V | None]) -> None:
    """Have threads see `variable` as it is where they are started, or their work is submitted.

    Python gives a new thread an empty context. So `threading.Thread.start` and
    `ThreadPoolExecutor.submit` are wrapped, once per process: where the variable is not set they do
    what they always did.

    Example:
        >>> from contextvars import ContextVar
        >>> word: ContextVar[str | None] = ContextVar("word", default=None)
        >>> carry_into_threads(word)
        >>> token = word.set("hello")
        >>> with ThreadPoolExecutor(1) as pool:
        ...     pool.submit(word.get).result()
        'hello'
        >>> word.reset(token)
    """
    if variable in getattr(threading.Thread.start, "_carried", ()):
        return
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    @functools.wraps(start)
    def carrying_start(thread: threading.Thread) -> None:
        value = variable.get(None)
        if value is not None:
            thread.run = functools.partial(_with, variable, value, thread.run)  # type: ignore[method-assign]
        start(thread)

    def carrying_submit(
        pool: ThreadPoolExecutor, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[R]:
        value = variable.get(None)
        if value is None:
            return submit(pool, fn, *args, **kwargs)
        token = variable.set(None)  # a thread of the pool serves others, too: only this job sees it
        try:
            return submit(pool, lambda: _with(variable, value, lambda: fn(*args, **kwargs)))
        finally:
            variable.reset(token)

    functools.update_wrapper(carrying_submit, submit)  # type: ignore[arg-type]  # both are generic
    carried = (*getattr(start, "_carried", ()), variable)
    carrying_start._carried = carried  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark
    threading.Thread.start = carrying_start  # type: ignore[method-assign, assignment]
    ThreadPoolExecutor.submit = carrying_submit  # type: ignore[method-assign, assignment]


def _with(variable: ContextVar[V | None], value: V, action: Callable[[], R]) -> R:
    token = variable.set(value)
    try:
        return action()
    finally:
        variable.reset(token)
