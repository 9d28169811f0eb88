"""Python files that change, as the operating system reports them, by watchfiles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from pathlib import Path

from watchfiles import Change, awatch

_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages"})


async def changes(
    roots: set[Path], stop: asyncio.Event, note: Callable[[str], None]
) -> AsyncIterator[Path]:
    """The first file of each batch of changes, until `stop` is set.

    Args:
        roots: the directories below which a change counts.
        stop: set to end it.
        note: called where the system cannot watch so many directories, and they are polled.
    """
    polls = False
    while not stop.is_set():
        try:
            async for batch in awatch(
                *roots, watch_filter=_Sources(roots), stop_event=stop, force_polling=polls
            ):
                yield min(Path(path) for _, path in batch)
        except OSError as error:  # the limit of inotify, or a file system that reports nothing
            if polls:
                raise
            note(f"changes cannot be watched ({error}): files are looked at again and again")
            polls = True


class _Sources:
    """Python files that are somebody's own: none of a package, a virtual environment, a tool."""

    def __init__(self, roots: set[Path]) -> None:
        self._roots = roots
        self._counts = lru_cache(maxsize=10_000)(self._is_own)

    def __call__(self, _change: Change, path: str) -> bool:
        return path.endswith(".py") and self._counts(Path(path).parent)

    def _is_own(self, directory: Path) -> bool:
        if directory in self._roots:
            return True
        name = directory.name
        if name.startswith(".") or name in _SKIPPED or (directory / "pyvenv.cfg").exists():
            return False
        return directory != directory.parent and self._is_own(directory.parent)
