"""Tracebacks that travel: text, with the frames that help, of a size that is bounded."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_TEXT_MAX = 20_000  # characters; deep recursion would otherwise fill histories
_INTERNAL = tuple(
    f"{directory}{os.sep}"
    for directory in (
        Path(asyncio.__file__).parent,
        Path(concurrent.futures.__file__).parent,
        Path(__file__).parent.parent,
    )
)

REMOTE: Final = "\nRemote traceback:\n"
"""How the note begins that carries a traceback from another process."""


def clean(text: str, longest: int = _TEXT_MAX) -> str:
    r"""Text that Postgres can hold: lone surrogates and NULs spelled out, cut at `longest`.

    Example:
        >>> clean("a\x00b"), clean("abcdef", 3)
        ('a\\x00b', 'abc… (3 more characters)')
    """
    text = text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… ({len(text) - longest} more characters)"


def remote_traceback(exc: BaseException, notes: Iterable[str] = ()) -> str:
    """The exception's traceback as text, without its causes, which are failures themselves.

    Frames of asyncio and durable are left out where others remain; the notes that hang on the
    exception are kept, and `notes` come last.
    """
    frames = traceback.extract_tb(exc.__traceback__)
    useful = [frame for frame in frames if not frame.filename.startswith(_INTERNAL)] or frames
    hung = list(getattr(exc, "__notes__", ()))
    if not useful and hung and hung[-1].startswith(REMOTE):
        # Rebuilt here and never raised: what hangs on it already is its traceback.
        return _middle_cut(clean(hung[-1].removeprefix(REMOTE), 10 * _TEXT_MAX))
    lines = traceback.format_list(useful)
    if lines:
        lines.insert(0, "Traceback (most recent call last):\n")
    lines += traceback.format_exception_only(exc)
    lines += [f"{note}\n" for note in notes]
    return _middle_cut(clean("".join(lines), 10 * _TEXT_MAX))


def _middle_cut(text: str) -> str:
    """Both ends say most: where it began and where it broke."""
    if len(text) <= _TEXT_MAX:
        return text
    half = _TEXT_MAX // 2
    return f"{text[:half]}\n… ({len(text) - 2 * half} characters left out) …\n{text[-half:]}"
