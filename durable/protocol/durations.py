"""Durations as people write them: seconds, `timedelta`, or text such as "30 days"."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Final

from durable.errors import ConfigurationError

Duration = float | int | str | timedelta

NEVER: Final = 7_500 * 365.2425 * 86_400.0
"""Seconds; whatever is longer is as long. So no moment that comes of it is beyond the year 9999,
where the calendars of Python and of the driver end."""

_UNITS = {
    "ms": 0.001, "millisecond": 0.001, "milliseconds": 0.001,
    "": 1.0, "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "mins": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0,
    "w": 604800.0, "week": 604800.0, "weeks": 604800.0,
}  # fmt: skip
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")


def seconds(value: Duration) -> float:
    """The duration in seconds; a bare number, or text without a unit, is seconds.

    What is longer than 7,500 years, `math.inf` included, is `NEVER`. Raises `ConfigurationError`
    for text that is no duration, for NaN, and for what is negative.

    Example:
        >>> seconds("1 hour 30 min"), seconds("300s"), seconds(2)
        (5400.0, 300.0, 2.0)
    """
    if isinstance(value, timedelta):
        result = value.total_seconds()
    elif isinstance(value, str):
        result = _parse(value)
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigurationError(
            f"{value!r} is no duration: give seconds, a timedelta, or text like '30 days'"
        )
    else:
        # Compared as it is: an int may be larger than any float.
        result = math.copysign(NEVER, value > 0 or -1) if abs(value) > NEVER else float(value)
    if not result >= 0:
        raise ConfigurationError(
            f"{_shown(value)} is no duration: it must be a number, and not negative"
        )
    return min(result, NEVER)


def wait_seconds(value: Duration) -> float:
    """As `seconds`, for waits: one that is over before it begins (negative) is 0, as in asyncio.

    Example:
        >>> wait_seconds(-1), wait_seconds("1 min")
        (0.0, 60.0)
    """
    if isinstance(value, timedelta):
        return seconds(max(value, timedelta()))
    is_past = isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0
    return 0.0 if is_past else seconds(value)


def _shown(value: object) -> str:
    try:
        return f"{value!r:.100}"
    except ValueError:  # an int of more digits than Python writes
        return "an int of thousands of digits"


def _parse(text: str) -> float:
    position, total = 0, 0.0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or part[2].lower() not in _UNITS:
            break
        total += float(part[1]) * _UNITS[part[2].lower()]
        position = part.end()
    if position == 0 or position < len(text):
        raise ConfigurationError(
            f"{text!r} is no duration: write a number and a unit, "
            "such as '90s', '1 hour' or '30 days'"
        )
    return total
