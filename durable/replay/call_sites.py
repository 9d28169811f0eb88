"""Where in the user's code: "file:line", past the frames of durable and of asyncio."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from types import FrameType

_OURS = str(Path(__file__).parent.parent) + "/"
_ASYNCIO = str(Path(asyncio.__file__).parent) + "/"
_INTERNAL = (_OURS, _ASYNCIO)
_DRAIN = "ReplayLoop.drain"

Site = tuple[str, int]
"""File name and line; ("", 0) when there is no user code on the stack."""

NOWHERE: Site = ("", 0)


def call_site(depth: int = 1) -> Site:
    """The innermost user frame above the caller's `depth`-th frame.

    It stops at the drain: what stands above belongs to the worker, not to the workflow.
    """
    frame: FrameType | None = sys._getframe(depth)  # noqa: SLF001 - the only cheap way
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(_INTERNAL):
            return code.co_filename, frame.f_lineno
        if code.co_qualname == _DRAIN:
            break
        frame = frame.f_back
    return NOWHERE


def waiting_site(coroutine: Coroutine[object, object, object] | None) -> Site:
    """The innermost user line at which a suspended coroutine waits."""
    found = NOWHERE
    current: object = coroutine
    while current is not None:
        frame = getattr(current, "cr_frame", None) or getattr(current, "ag_frame", None)
        if frame is not None and not frame.f_code.co_filename.startswith(_INTERNAL):
            found = (frame.f_code.co_filename, frame.f_lineno)
        current = getattr(current, "cr_await", None) or getattr(current, "ag_await", None)
    return found


def text(site: Site) -> str:
    """The site as people read it; empty for nowhere.

    Example:
        >>> text(("orders.py", 12))
        'orders.py:12'
    """
    return f"{site[0]}:{site[1]}" if site[0] else ""
