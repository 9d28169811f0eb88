r"""The library's loggers, configured by the application.

What a line says of others (ids, names, messages of errors) is made harmless before any handler sees
it, since an application's own handler writes to a terminal or a file that is looked at with `cat`.
Extras stay as they are: they are data.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from numbers import Number
from typing import Final

from durable.telemetry.terminal import CONTINUED, shown_lines, traceback_lines


class _Shown:
    """Anything, whose text is harmless."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        return _continued(str(self._value))

    def __repr__(self) -> str:
        return _continued(repr(self._value))


class _Harmless(logging.Filter):
    """Lets every record through, with what it says of others shown escaped."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record, which no other handler has seen yet."""
        if isinstance(record.msg, str):
            record.msg = _continued(record.msg)
        if isinstance(record.args, Mapping):
            record.args = {key: _argument(value) for key, value in record.args.items()}
        elif record.args:
            record.args = tuple(map(_argument, record.args))
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            # Formatters take it from here, rather than make it themselves.
            record.exc_text = traceback_lines(logging.Formatter().formatException(record.exc_info))
        return True


def _argument(value: object) -> object:
    if value is None or isinstance(value, Number):
        return value
    return _continued(value) if type(value) is str else _Shown(value)


def _continued(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return shown_lines(text).replace("\n", f"\n{CONTINUED}")


_HARMLESS: Final = _Harmless()


def durable_logger(name: str) -> logging.Logger:
    r"""A logger of the library: what its lines say of others is shown escaped.

    Example:
        >>> import sys
        >>> example = durable_logger("durable.example")
        >>> example.addHandler(logging.StreamHandler(sys.stdout))
        >>> example.warning("run %s has ended", "a\x1b[2J")
        run a\x1b[2J has ended
    """
    made = logging.getLogger(name)
    made.addFilter(_HARMLESS)  # once: a filter that is there is not added again
    return made


logger = durable_logger("durable")
