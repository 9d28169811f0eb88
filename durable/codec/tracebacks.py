"""Tracebacks that travel: text, with the frames that help, of a size that is bounded."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from durable.codec import inspection
from durable.errors import DatabaseError, DurableError, InternalError

_TEXT_MAX = inspection.TEXT_MAX  # characters; deep recursion would otherwise fill histories
_FRAMES_MAX = 100  # at either end
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


def remote_traceback(exc: BaseException, notes: Iterable[str] = ()) -> str:
    """The exception's traceback as text, without its causes, which are failures themselves.

    Frames of asyncio and durable are left out where others remain, and where the exception is one
    of durable's that means its caller; the notes that hang on the exception are kept, and `notes`
    come last. Whatever the exception's class does, there is a text.
    """
    hung = inspection.notes_of(exc)
    lines = _frames(exc)
    if not lines and hung and hung[-1].startswith(REMOTE):
        # Rebuilt here and never raised: what hangs on it already is its traceback.
        return _middle_cut(inspection.clean(hung[-1].removeprefix(REMOTE), 10 * _TEXT_MAX))
    if lines:
        lines.insert(0, "Traceback (most recent call last):\n")
    lines += _last_lines(exc, hung)
    lines += [f"{note}\n" for note in notes]
    return _middle_cut(inspection.clean("".join(lines), 10 * _TEXT_MAX))


def place_of(exc: BaseException) -> str:
    """Where it was raised, for the end of a sentence: the innermost frame that is not durable's."""
    useful = [
        (frame.f_code, line)
        for frame, line in traceback.walk_tb(inspection.state_of(exc, "__traceback__"))
        if not frame.f_code.co_filename.startswith(_INTERNAL)
    ]
    if not useful:
        return ""
    code, line = useful[-1]
    return f' (File "{code.co_filename}", line {line}, in {code.co_name})'


def _frames(exc: BaseException) -> list[str]:
    walked = list(traceback.walk_tb(inspection.state_of(exc, "__traceback__")))
    useful = [one for one in walked if not one[0].f_code.co_filename.startswith(_INTERNAL)]
    if not useful and not _means_its_caller(exc):
        useful = walked
    if len(useful) > 2 * _FRAMES_MAX:
        useful = useful[:_FRAMES_MAX] + useful[-_FRAMES_MAX:]
    try:
        return traceback.format_list(traceback.StackSummary.extract(iter(useful)))
    except BaseException:  # noqa: BLE001 - the source comes from loaders, which may be the user's
        return [
            f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}\n'
            for frame, line in useful
        ]


def _means_its_caller(exc: BaseException) -> bool:
    """Whether the message says it all, and how durable came to raise it is of no use."""
    return isinstance(exc, DurableError) and not isinstance(exc, DatabaseError | InternalError)


def _last_lines(exc: BaseException, hung: Iterable[str]) -> list[str]:
    """The exception itself: its class, its text, its notes.

    `traceback.format_exception_only` would look at all causes and members, and may ask values of
    the user's for what may have been meant.
    """
    cls = type(exc)
    module, _, qualname = inspection.path_of(cls).partition(":")
    name = qualname if module in ("", "builtins", "__main__") else f"{module}.{qualname}"
    text = inspection.text_of(exc)
    return [f"{name}: {text}\n" if text else f"{name}\n", *(f"{note}\n" for note in hung)]


def _middle_cut(text: str) -> str:
    """Both ends say most: where it began and where it broke."""
    if len(text) <= _TEXT_MAX:
        return text
    half = _TEXT_MAX // 2
    return f"{text[:half]}\n… ({len(text) - 2 * half} characters left out) …\n{text[-half:]}"
