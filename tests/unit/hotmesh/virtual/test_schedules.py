"""When schedules tick."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from durable.errors import ConfigurationError
from durable.hotmesh.virtual import schedules
from durable.hotmesh.virtual.schedules import EPOCH, Schedule, moment, schedule_of

BERLIN = "Europe/Berlin"


def at(text: str) -> int:
    """Milliseconds of a moment that is given with its offset."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("given", "interval", "expression"),
    [
        (5, 5000, None),
        (0.25, 250, None),
        ("90", 90_000, None),
        ("1 hour 30 min", 5_400_000, None),
        ("1 hour 30 min 5 s", 5_405_000, None),
        (timedelta(minutes=1), 60_000, None),
        ("5 4 3 2 1", None, "5 4 3 2 1"),
        ("* * * * * *", None, "* * * * * *"),
        ("0 9 * * MON-FRI", None, "0 9 * * MON-FRI"),
        ("@daily", None, "@daily"),
    ],
)
def test_durations_and_expressions_are_told_apart(given, interval, expression):
    """Text is an expression when its fields are those of one, else a duration."""
    found = schedule_of(given, None, "UTC")
    assert (found.interval, found.expression) == (interval, expression)
    assert Schedule.from_dict(found.to_dict()) == found


@pytest.mark.parametrize(
    ("interval", "zone", "reason"),
    [
        ("every day", "UTC", "no duration"),
        (0, "UTC", "a millisecond or more"),
        (-1, "UTC", "not negative"),
        ("61 * * * *", "UTC", "is not a schedule"),
        ("0 0 30 2 *", "UTC", "is not a schedule"),
        ("@never", "UTC", "is not a schedule"),
        ("* * * * *", "Mars/Olympus", "no such time zone"),
        ("* " * 5 + " " * 200, "UTC", "at most 200"),
    ],
)
def test_what_is_no_schedule_is_refused(interval, zone, reason):
    """An error says what is wrong, before anything begins."""
    with pytest.raises(ConfigurationError, match=reason):
        schedule_of(interval, None, zone)


def test_without_the_parser_expressions_are_refused(monkeypatch):
    """Where the extra is not installed, an expression is refused with what to install."""
    monkeypatch.setattr(schedules, "MISSING", "pip install what is missing")
    with pytest.raises(ConfigurationError, match="pip install"):
        schedule_of("* * * * *", None, "UTC")
    assert schedule_of("1 s", None, "UTC").interval == 1000


def test_the_first_tick():
    """An interval begins after the delay, or itself; an expression at its first moment later."""
    assert schedule_of(10, None, "UTC").first(7) == 10_007
    assert schedule_of(10, 0, "UTC").first(7) == 7
    assert schedule_of(10, 3, "UTC").first(7) == 3007
    assert schedule_of("* * * * *", None, "UTC").first(0) == 60_000
    assert schedule_of("* * * * *", 60, "UTC").first(0) == 120_000


@pytest.mark.parametrize(
    ("fired", "following"),
    [
        (0, 100),  # in time
        (7, 100),  # a little late: nothing adds up
        (99, 100),
        (100, 200),  # the tick at 100 is made up for by this one
        (1234, 1300),
        (-5, 100),  # a clock that was put back brings no tick twice
    ],
)
def test_intervals_do_not_drift_and_what_was_missed_is_not_repeated(fired, following):
    """The next tick of an interval lies on the grid of the first, after the one that fired."""
    assert Schedule(None, 100).after(0, fired) == following


ZONES = [
    # A usual day, in winter and in summer.
    ("30 2 * * *", "2026-01-05T01:30:00+00:00", 0, "2026-01-06T01:30:00+00:00"),
    ("30 2 * * *", "2026-07-05T00:30:00+00:00", 0, "2026-07-06T00:30:00+00:00"),
    # 29 March: 2:00 to 3:00 does not exist. What was to run then runs at 3:00, once.
    ("30 2 * * *", "2026-03-28T01:30:00+00:00", 0, "2026-03-29T01:00:00+00:00"),
    ("30 2 * * *", "2026-03-29T01:00:00+00:00", 5, "2026-03-30T00:30:00+00:00"),
    # 25 October: 2:00 to 3:00 comes twice. What runs at a fixed time runs once, the first time,
    ("30 2 * * *", "2026-10-24T00:30:00+00:00", 0, "2026-10-25T00:30:00+00:00"),
    ("30 2 * * *", "2026-10-25T00:30:00+00:00", 5, "2026-10-26T01:30:00+00:00"),
    # even when it comes to be in the second, before 2:30,
    ("30 2 * * *", "2026-10-25T00:30:00+00:00", 2_400_000, "2026-10-26T01:30:00+00:00"),
    # and what runs all the time goes on.
    ("*/30 * * * *", "2026-10-25T00:30:00+00:00", 0, "2026-10-25T01:00:00+00:00"),
    ("*/30 * * * *", "2026-03-29T00:30:00+00:00", 0, "2026-03-29T01:00:00+00:00"),
]


@pytest.mark.parametrize(("expression", "due", "late", "following"), ZONES)
def test_ticks_on_the_days_on_which_clocks_change(expression, due, late, following):
    """No tick is lost in the hour that is skipped, or comes twice in the one that is repeated."""
    schedule = Schedule(expression, None, BERLIN)
    assert moment(schedule.after(at(due), at(due) + late)) == datetime.fromisoformat(following)


def test_a_year_of_ticks_has_each_day_once():
    """Followed through a year with both changes of the clocks, a daily schedule ticks each day."""
    schedule = Schedule("30 2 * * *", None, BERLIN)
    due, days = schedule.first(at("2026-01-01T00:00:00+00:00")), []
    while len(days) < 365:
        days.append((moment(due) + timedelta(hours=2)).date())
        due = schedule.after(due, due + 3)
    assert len(set(days)) == 365
    assert days == sorted(days)
