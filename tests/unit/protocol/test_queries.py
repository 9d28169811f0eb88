# ruff: noqa: E501 - a table is wider than code
"""Stretches of time, cut into steps."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from durable.descriptor.queries import (
    GRANULARITIES,
    JobsQuery,
    Window,
    granularity_name,
    slot_of,
    slot_text,
)
from durable.errors import ConfigurationError

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp()
MINUTE = 60.0


def times(query: dict[str, object], own: int | None, now: float = NOON) -> list[str]:
    """The steps of a query, as answers name them."""
    return [slot_text(slot) for slot in JobsQuery.of(query).window(own, now).slots()]


WINDOWS = [
    ({"range": "10m"}, 5, ["2026-11-22T11:50Z", "2026-11-22T11:55Z", "2026-11-22T12:00Z"]),
    ({"range": "10m", "end": "NOW"}, 10, ["2026-11-22T11:50Z", "2026-11-22T12:00Z"]),
    ({"range": "1m"}, 60, ["2026-11-22T11:00Z", "2026-11-22T12:00Z"]),
    ({"start": "2026-11-21T23:59:59Z", "range": "2s"}, 30, ["2026-11-21T23:30Z", "2026-11-22T00:00Z"]),
    ({"start": "2026-11-22T13:00+02:00", "end": "NOW"}, 60, ["2026-11-22T11:00Z", "2026-11-22T12:00Z"]),
    ({"start": "2026-11-22 11:14", "end": "2026-11-22 11:15"}, 15, ["2026-11-22T11:00Z", "2026-11-22T11:15Z"]),
    ({"range": "1h", "granularity": "30m"}, 15, ["2026-11-22T11:00Z", "2026-11-22T11:30Z", "2026-11-22T12:00Z"]),
    ({"range": "1h", "granularity": "infinity"}, 15, ["0"]),
    ({"granularity": "infinity"}, 15, ["0"]),
    ({"end": "NOW", "range": 0}, 5, ["2026-11-22T12:00Z"]),
    ({}, None, ["0"]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "own", "expected"), WINDOWS)
def test_both_ends_belong_to_a_window(query, own, expected):
    """Each way to say a stretch of time gives the steps that it touches, in UTC, on whole steps."""
    assert times(query, own) == expected


def test_one_step_of_a_stretch_keeps_its_ends():
    """As one step a stretch is still no longer than it was said to be."""
    window = JobsQuery.of({"range": "7m", "granularity": "infinity"}).window(5, NOON)
    assert window == Window(None, NOON - 10 * MINUTE, NOON + 5 * MINUTE)


REFUSED = [
    ({"range": "1h", "granularity": "5m"}, 10),
    ({"range": "1h", "granularity": "15m"}, 10),
    ({"granularity": "5m"}, None),
    ({"range": "1h"}, None),
    ({}, 5),
]


@pytest.mark.parametrize(("query", "own"), REFUSED)
def test_what_was_not_kept_cannot_be_asked_for(query, own):
    """Steps finer than those kept, or across them, and times where there are none, are refused."""
    with pytest.raises(ConfigurationError):
        JobsQuery.of(query).window(own, NOON)


def test_a_list_has_a_limit():
    """A year in steps of five minutes is too long a list; the error says how many steps it has."""
    with pytest.raises(ConfigurationError, match="105121 steps"):
        JobsQuery.of({"range": "365d"}).window(5, NOON).slots()


def test_a_year_of_hours_fits():
    """A year in hours can be listed."""
    assert len(JobsQuery.of({"range": "365d"}).window(60, NOON).slots()) == 365 * 24 + 1


@pytest.mark.parametrize(("name", "minutes"), list(GRANULARITIES.items()))
def test_every_step_begins_on_the_hour_or_within(name, minutes):
    """A moment lies in the step that begins before it, and steps have names."""
    assert granularity_name(minutes) == name
    at = NOON + 59 * MINUTE + 59.999
    slot = slot_of(at, minutes)
    if minutes is None:
        assert slot is None
    else:
        assert slot is not None
        assert 0 <= at - slot < minutes * MINUTE
        assert math.fmod(slot, 3600) == math.fmod(60 - minutes, 60) * MINUTE
