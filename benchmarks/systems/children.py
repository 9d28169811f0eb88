"""Processes that end with the one that started them, however that ends."""

from __future__ import annotations

import os
import signal
import threading


def end_with_parent() -> threading.Event:
    """Have this process be told to stop when its stdin is closed: whoever held it has ended.

    A parent that is killed ends nothing by itself. What it started with `stdin=PIPE` hears of it.
    Returns what is set when the parent writes something.
    """
    told = threading.Event()

    def wait() -> None:
        while os.read(0, 1024):
            told.set()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
    return told
