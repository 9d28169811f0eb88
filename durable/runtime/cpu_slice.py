"""Slices of CPU time: how long something goes on before the loop's other work has its turn."""

from __future__ import annotations

import time


class CpuSlice:
    """So many seconds of CPU for this thread, from `begin` on.

    Elapsed time is never less than CPU time and is read without a system call. So only once it has
    passed is the thread's own clock asked, and that no more often than it takes to run on.

    Args:
        seconds: how long a slice is.

    Example:
        >>> piece = CpuSlice(60.0)
        >>> piece.is_over()
        False
    """

    __slots__ = ("_ask_at", "_began", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.begin()

    def begin(self) -> None:
        """Another slice begins."""
        self._began = time.thread_time()
        self._ask_at = time.monotonic() + self._seconds

    def is_over(self) -> bool:
        """Whether it has been used up."""
        now = time.monotonic()
        if now < self._ask_at:
            return False
        left = self._seconds - (time.thread_time() - self._began)
        self._ask_at = now + left
        return left <= 0
