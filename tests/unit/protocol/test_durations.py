"""Durations as people write them."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.errors import ConfigurationError
from durable.protocol.clock import to_datetime
from durable.protocol.durations import NEVER, seconds, wait_seconds


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (5, 5.0),
        (0, 0.0),
        (2.5, 2.5),
        (timedelta(days=30), 2_592_000.0),
        ("5", 5.0),
        ("300s", 300.0),
        ("250ms", 0.25),
        ("1.5 hours", 5400.0),
        ("1h30m", 5400.0),
        ("1 hour 30 min", 5400.0),
        (" 2 weeks ", 1_209_600.0),
        ("30 Days", 2_592_000.0),
        ("1 d 1 s", 86_401.0),
    ],
)
def test_durations(written: Any, expected: float):
    """Numbers are seconds; text has units, and may have several."""
    assert seconds(written) == expected


@pytest.mark.parametrize(
    "written",
    ["", " ", "soon", "5 parsecs", "s", "-5s", "1h, 2m", "1e3", -1, float("nan"),
     float("-inf"), -(10**400),
     timedelta(days=-1), True, None, b"5", [5]],
)  # fmt: skip
def test_what_is_no_duration(written: Any):
    """Anything else is refused, and the message shows how to write one."""
    with pytest.raises(ConfigurationError, match="no duration: "):
        seconds(written)


@pytest.mark.parametrize(
    "written", [math.inf, 1e300, 10**400, timedelta.max, "5000000 days", "9" * 400, 2.5e11]
)
def test_what_is_longer_than_any_calendar_is_never(written: Any):
    """It is cut where every moment that comes of it is still a date."""
    assert seconds(written) == wait_seconds(written) == NEVER
    assert to_datetime(4_000_000_000 + NEVER).year > 9000


def test_what_is_too_negative_to_be_written_is_refused():
    """Even where Python itself cannot write the number."""
    with pytest.raises(ConfigurationError, match="no duration: "):
        seconds(-(10**5000))


@pytest.mark.parametrize("past", [0, -1, -math.inf, timedelta(-1), -(10**400)])
def test_waits_that_are_over(past: Any):
    """What is negative is no wait, whatever its type; NaN and text are checked as ever."""
    assert wait_seconds(past) == 0
    for wrong in (math.nan, "-5s", True, None):
        with pytest.raises(ConfigurationError):
            wait_seconds(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("at", [1e300, math.inf, 3e11, -1e300, -math.inf])
def test_moments_beyond_the_calendar(at: float):
    """They are its first or last."""
    assert to_datetime(at).year == (9999 if at > 0 else 1)


@given(st.integers(0, 10**6), st.sampled_from(["ms", "s", "m", "h", "d", "w"]))
def test_text_and_timedelta_agree(count: int, unit: str):
    """Text gives the same as the timedelta of the same length, and both at most `NEVER`."""
    names = {
        "ms": "milliseconds", "s": "seconds", "m": "minutes",
        "h": "hours", "d": "days", "w": "weeks",
    }  # fmt: skip
    expected = timedelta(**{names[unit]: count}).total_seconds()
    assert seconds(f"{count}{unit}") == pytest.approx(min(expected, NEVER))
    assert seconds(timedelta(**{names[unit]: count})) == pytest.approx(min(expected, NEVER))
