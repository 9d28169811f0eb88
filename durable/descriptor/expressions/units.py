"""Text measured in UTF-16 code units, as JavaScript's indices and lengths do.

A cut through the middle of a character outside the basic plane (an emoji, say) leaves halves that
no database can store; such a half comes out as U+FFFD, the replacement character, which is also
what JavaScript writes when it encodes one.
"""

from __future__ import annotations


def _is_plain(text: str) -> bool:
    return text.isascii() or max(text) < "\U00010000"


def _encode(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def length(text: str) -> int:
    """How many UTF-16 code units the text has.

    Example:
        >>> length("abc"), length("🙂")
        (3, 2)
    """
    return len(text) if _is_plain(text) else len(_encode(text)) // 2


def cut(text: str, start: int, end: int) -> str:
    """The code units from start up to end, both within 0 and the length."""
    if _is_plain(text):
        return text[start:end]
    return _encode(text)[2 * start : 2 * end].decode("utf-16-le", "replace")


def find(text: str, wanted: str, start: int) -> int:
    """The index of the first occurrence at or after start, or -1."""
    if _is_plain(text):
        return text.find(wanted, start)
    data, needle = _encode(text), _encode(wanted)
    place = data.find(needle, 2 * start)
    while place % 2 == 1 and place >= 0:
        place = data.find(needle, place + 1)
    return place // 2 if place >= 0 else -1


def find_last(text: str, wanted: str, start: int) -> int:
    """The index of the last occurrence that begins at or before start, or -1."""
    if _is_plain(text):
        return text.rfind(wanted, 0, start + len(wanted))
    data, needle = _encode(text), _encode(wanted)
    place = data.rfind(needle, 0, 2 * start + len(needle))
    while place % 2 == 1 and place >= 0:
        place = data.rfind(needle, 0, place + len(needle) - 1)
    return place // 2 if place >= 0 else -1
