"""The semaphore: how many branches of a job are open. 0 is done, interrupted lies far below."""

from __future__ import annotations

from durable.protocol.codes import INTERRUPTED_BY

PENDING = -1  # of a job that has not begun


def after_answer(status: int, children: int, *, stays_open: bool) -> int:
    """The semaphore after an answer: its children open, and it closes itself unless it stays open.

    Example:
        >>> after_answer(1, 2, stays_open=False), after_answer(1, 1, stays_open=True)
        (2, 2)
    """
    return status + children - (0 if stays_open else 1)


def after_interruption(status: int) -> int:
    """The semaphore of an interrupted job: it still shows how many branches were open.

    Example:
        >>> after_interruption(2)
        -999999998
    """
    return status - INTERRUPTED_BY
