"""Whole-file locks (flock): the only register of who uses, watches and is the server."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from durable.postgres.embedded import trust
from durable.postgres.embedded.errors import LauncherError

RETRY_SECONDS = 0.02  # a blocking flock has no deadline, so a busy lock is tried again
DESCRIPTORS = Path("/dev/fd")  # Linux and macOS: the open files of the process that looks
DESCRIPTORS_MAX = 4096  # looked through where that directory is missing


def is_held(path: Path) -> bool:
    """Tell whether any process holds `path` exclusively; a missing file is held by nobody."""
    try:
        descriptor = trust.opened(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path, *, wait_seconds: float) -> Iterator[None]:
    """Hold `path` exclusively for the length of a block.

    Raises:
        LauncherError: another process held it for all of `wait_seconds`.
    """
    descriptor = trust.opened(path, os.O_RDWR)
    try:
        _take(descriptor, fcntl.LOCK_EX, path, wait_seconds)
        yield
    finally:
        os.close(descriptor)


def share(path: Path, *, wait_seconds: float) -> int:
    """Take `path` shared and return the open descriptor, which is the lock; it is never garbage.

    Raises:
        LauncherError: another process held it exclusively for all of `wait_seconds`.
    """
    descriptor = trust.opened(path, os.O_RDWR)
    try:
        _take(descriptor, fcntl.LOCK_SH, path, wait_seconds)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_here(path: Path) -> list[int]:
    """Return the descriptors with which *this process* has the file `path` open.

    The kernel's table of open files is the register of leases: unlike a dict beside it, it cannot
    disagree with the locks, neither after a fork nor after the directory was deleted.
    """
    try:
        wanted = path.stat()
    except FileNotFoundError:
        return []
    try:
        numbers = [int(entry.name) for entry in DESCRIPTORS.iterdir()]
    except FileNotFoundError:
        numbers = list(range(3, DESCRIPTORS_MAX))
    found = []
    for number in numbers:
        with suppress(OSError):  # closed meanwhile, such as the one that listed the directory
            if os.path.samestat(os.fstat(number), wanted):
                found.append(number)
    return found


def _take(descriptor: int, kind: int, path: Path, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LauncherError(
                    f"Another process has been starting or stopping the embedded Postgres for "
                    f"{wait_seconds:.0f} s and still holds {path}. See postgres.log beside its "
                    f"directory; end that process if it hangs."
                ) from None
            time.sleep(RETRY_SECONDS)
        else:
            return
