r"""Text of others on a terminal: what would move, colour or reverse it is shown, not done.

An id, a name or a message of an error may come from anybody. A terminal obeys control characters
and escape sequences in it, and a reader is deceived by what cannot be seen: a text that runs
backwards, a line that looks like one of ours. So all that has no shape of its own is written as
the escape that would name it in a program: `\x1b`, `\u202e`.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from typing import Any, Final

_SHAPELESS: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Controls, formats (bidi, zero width, tags), halves of characters, line and paragraph ends."""

_KNOWN: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BYTE, _WIDE = 0xFF, 0xFFFF
CONTINUED: Final = "    "
"""What begins the further lines of a log record, so that none looks like a record of its own."""


def shown(text: str, *, keep: str = "") -> str:
    r"""The text as it may stand within a line of a terminal.

    Args:
        text: of whatever origin.
        keep: characters that are left as they are, such as the line ends of a layout.

    Example:
        >>> print(shown("a\x1b[2Jb\r\nc \u202e \x9b"), shown("é 漢 🙂"))
        a\x1b[2Jb\r\nc \u202e \x9b é 漢 🙂
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or not _is_shapeless(c) else _escaped(c) for c in text)


def shown_lines(text: str) -> str:
    """The text as it may stand on a terminal, its line ends kept."""
    return shown(text, keep="\n")


def shown_json(text: str) -> str:
    r"""JSON text that means the same, with those characters escaped as JSON has it.

    Example:
        >>> print(shown_json('["a\u202eb"]'))
        ["a\u202eb"]
    """
    if text.isascii():
        return text.replace("\x7f", "\\u007f")
    return "".join(c if c == "\n" or not _is_shapeless(c) else _unit(c) for c in text)


def traceback_lines(text: str) -> str:
    """The text of a traceback as it may stand below a record: each line of it indented."""
    return CONTINUED + shown_lines(text).replace("\n", f"\n{CONTINUED}")


def _continued(text: str) -> str:
    """The text with its further lines indented, unless they are: the library's own records'."""
    return re.sub(rf"\n(?!{CONTINUED})", f"\n{CONTINUED}", shown_lines(text))


def _is_shapeless(character: str) -> bool:
    return unicodedata.category(character) in _SHAPELESS


def _escaped(character: str) -> str:
    code = ord(character)
    if character in _KNOWN:
        return _KNOWN[character]
    if code <= _BYTE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _WIDE else f"\\U{code:08x}"


def _unit(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    pairs = (units[n : n + 2].hex() for n in range(0, len(units), 2))
    return "".join(f"\\u{pair}" for pair in pairs)


class TerminalFormatter(logging.Formatter):
    """Formats log records for a terminal: see `shown`. Further lines of a record are indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The record's own line, and what its message has of further ones."""
        return _continued(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """The traceback, each line of it indented."""
        return traceback_lines(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """The stack, each line of it indented."""
        return traceback_lines(stack_info)
