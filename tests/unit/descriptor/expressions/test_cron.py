"""`@cron`: seconds until a schedule's next time."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from durable.descriptor.expressions.context import Context, resolver
from durable.descriptor.expressions.pipe import compile_value
from durable.descriptor.expressions.values import UNDEFINED
from durable.errors import DescriptorError
from tests.unit.descriptor.expressions.calling import call

BERLIN = "Europe/Berlin"
HOUR = 3600


def delay(at: str, *args: object) -> object:
    """The delay at a time that is given with its offset."""
    instant = datetime.fromisoformat(at).timestamp() * 1000
    resolve = resolver({"t1": {"output": {"data": dict(zip("sz", args, strict=False))}}})
    row = ["{t1.output.data.s}", "{t1.output.data.z}"][: len(args)]
    rows = [row, ["{@cron.nextDelay}"]]
    return compile_value({"@pipe": rows}).evaluate(Context(resolve, now=lambda: instant))


DELAYS = [
    ("2026-01-05T10:00:00+00:00", ("0 0 * * *",), 14 * HOUR),
    ("2026-01-05T10:00:00+00:00", ("0 10 * * *",), 24 * HOUR),  # strictly later
    ("2026-01-05T09:59:59.750+00:00", ("0 10 * * *",), 0.25),
    ("2026-01-05T10:07:30+00:00", ("*/5 * * * *",), 150),
    ("2026-01-05T10:07:30+00:00", ("*/20 * * * * *",), 10),  # six fields: seconds first
    ("2026-01-05T10:00:00+00:00", ("0 9 * * MON-FRI",), 23 * HOUR),
    ("2026-01-05T10:00:00+00:00", ("0 0 * * 7",), 6 * 24 * HOUR - 10 * HOUR),
    ("2026-01-05T10:00:00+00:00", ("0 0 L * *",), 26 * 24 * HOUR - 10 * HOUR),
    ("2026-01-05T10:00:00+00:00", (" @hourly ",), HOUR),
    ("2026-01-05T10:00:00+00:00", ("@weekly",), 6 * 24 * HOUR - 10 * HOUR),
    ("2028-02-28T12:00:00+00:00", ("0 0 29 2 *",), 12 * HOUR),
    # In a zone: winter, summer, and the days on which clocks change.
    ("2026-01-05T10:00:00+00:00", ("0 0 * * *", BERLIN), 13 * HOUR),
    ("2026-07-05T10:00:00+00:00", ("0 0 * * *", BERLIN), 12 * HOUR),
    ("2026-03-28T23:00:00+00:00", ("0 0 * * *", BERLIN), 23 * HOUR),  # a day of 23 hours
    ("2026-10-24T22:00:00+00:00", ("0 0 * * *", BERLIN), 25 * HOUR),  # a day of 25 hours
    ("2026-03-29T00:30:00+00:00", ("30 2 * * *", BERLIN), HOUR / 2),  # 2:30 is skipped: at once
    ("2026-10-25T00:30:00+00:00", ("30 2 * * *", BERLIN), 25 * HOUR),  # 2:30 again: not twice
    ("2026-10-25T01:10:00+00:00", ("30 2 * * *", BERLIN), 24 * HOUR + HOUR / 3),  # nor then
    ("2026-03-29T00:30:00+00:00", ("5,9 30 2 * * *", BERLIN), HOUR / 2 + 5),  # with seconds
    ("2026-03-29T01:00:05+00:00", ("5,9 30 2 * * *", BERLIN), 4),
    ("2026-03-29T01:00:09+00:00", ("5,9 30 2 * * *", BERLIN), 24 * HOUR - HOUR / 2 - 4),
    ("2026-10-25T00:30:09.5+00:00", ("5,9 30 2 * * *", BERLIN), 25 * HOUR - 4.5),
    ("2026-01-05T10:00:05+00:00", ("5,9 0 11 * * *", BERLIN), 4),
    ("2026-10-25T00:30:00+00:00", ("*/30 * * * *", BERLIN), HOUR / 2),  # but frequent ones go on
    ("2026-01-05T10:00:00+00:00", ("0 0 * * *", None), 14 * HOUR),
    ("2026-01-05T10:00:00+00:00", (None,), -1),
    ("2026-01-05T10:00:00+00:00", (UNDEFINED, BERLIN), -1),
]


@pytest.mark.parametrize(("at", "args", "expected"), DELAYS)
def test_the_delay_to_the_next_time(at, args, expected):
    """The delay is exact, strictly positive, and follows the clocks of the zone."""
    assert delay(at, *args) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["61 * * * *"], "is not a schedule"),
        (["* * * *"], "is not a schedule"),
        (["61 0 2 * * *"], "is not a schedule"),
        (["every day"], "is not a schedule"),
        ([""], "is not a schedule"),
        (["0 0 30 2 *"], "is not a schedule"),
        ([5], "a schedule is a text"),
        ([["* * * * *"]], "a schedule is a text"),
        (["* " * 200], "a schedule is a text"),
        (["* * * * *", "Mars/Olympus"], "no such time zone"),
        (["* * * * *", "../../etc/passwd"], "no such time zone"),
        (["* * * * *", 5], "a time zone is named by text"),
    ],
)
def test_what_is_no_schedule_is_refused(args, reason):
    """A schedule or zone that does not exist is an error, not a delay of some other length."""
    with pytest.raises(DescriptorError, match=reason):
        call("cron.nextDelay", args)


def test_the_zone_of_the_context_is_the_default():
    """Without a zone of its own a schedule is one of the context's zone."""
    now, zone = 1_767_607_200_000, ZoneInfo(BERLIN)  # 5 January 2026, 10:00 in UTC
    context = Context(resolver({}), now=lambda: now, zone=zone)
    rows = [["0 0 * * *"], ["{@cron.nextDelay}"]]
    assert compile_value({"@pipe": rows}).evaluate(context) == 13 * HOUR
