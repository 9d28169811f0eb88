"""Ids of activities and topics: how long they may be, and of which characters."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 200
"""Characters of an id or topic; they become keys of indexes."""

ID: Final = r"^[^\s{}\"'@$,\x00-\x1f][^\s{}\"'\x00-\x1f]*$"
"""No blanks, braces or quotes; generated ones begin with a dot."""

TOPIC: Final = r"^[^\s{}\x00-\x1f]+$"
"""No blanks or braces."""

_HALF_PAIR: Final = re.compile(r"[\ud800-\udfff]")  # half of a surrogate pair
_SECTION: Final = re.compile(r"\.(input|output|hook)(\.|$)")


def is_id(text: str) -> bool:
    """Whether an activity can have this id.

    Example:
        >>> is_id("charge"), is_id("to charge"), is_id("")
        (True, False, False)
    """
    return _fits(ID, text)


def is_topic(text: str) -> bool:
    """Whether it can be a fixed topic, or an app's id."""
    return _fits(TOPIC, text)


def _fits(pattern: str, text: str) -> bool:
    if len(text) > LONGEST or _HALF_PAIR.search(text):
        return False
    return re.fullmatch(pattern.removesuffix("$"), text) is not None


def section_in(text: str) -> str | None:
    """What in an id would begin the section of a reference to it; None for nothing.

    Example:
        >>> section_in("a.output.b"), section_in("a.outputs")
        ('.output', None)
    """
    found = _SECTION.search(text)
    return found[0].rstrip(".") if found else None
