"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.errors import ConfigurationError
from durable.protocol.durations import seconds


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
    ["", " ", "soon", "5 parsecs", "s", "-5s", "1h, 2m", "1e3", -1, float("nan"), float("inf"),
     timedelta(days=-1), True, None, b"5", [5]],
)  # fmt: skip
def test_what_is_no_duration(written: Any):
    """Anything else is refused, and the message shows how to write one."""
    with pytest.raises(ConfigurationError, match="no duration: "):
        seconds(written)


@given(st.integers(0, 10**6), st.sampled_from(["ms", "s", "m", "h", "d", "w"]))
def test_text_and_timedelta_agree(count: int, unit: str):
    """Text gives the same as the timedelta of the same length."""
    names = {
        "ms": "milliseconds", "s": "seconds", "m": "minutes",
        "h": "hours", "d": "days", "w": "weeks",
    }  # fmt: skip
    expected = timedelta(**{names[unit]: count}).total_seconds()
    assert seconds(f"{count}{unit}") == pytest.approx(expected)
