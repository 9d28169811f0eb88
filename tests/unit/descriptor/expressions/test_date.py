"""`@date`: what each function answers, in UTC and elsewhere, and when it refuses.

The answers in the tables were given by Node 20, but for the functions that JavaScript does not
have, and for setters, which give the date as the language's documentation shows.
"""

from __future__ import annotations

import copy
import json
from zoneinfo import ZoneInfo

import pytest

from durable.descriptor.expressions.context import Context, resolver
from durable.descriptor.expressions.dates import Moment
from durable.descriptor.expressions.pipe import compile_value
from durable.descriptor.expressions.values import UNDEFINED
from durable.errors import DescriptorError
from tests.unit.descriptor.expressions.calling import INF, NAN, NOW, call, same

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
AT = "2023-04-23T12:34:56.789Z"
BEYOND = 8.64e15 + 1

IN_UTC = [
    ("fromISOString", [AT], AT),
    ("fromISOString", ["2023-04-23"], "2023-04-23T00:00:00.000Z"),
    ("fromISOString", ["2023-04-23T12:00+02:00"], "2023-04-23T10:00:00.000Z"),
    ("fromISOString", [0], "1970-01-01T00:00:00.000Z"),
    ("fromISOString", ["86400000"], "1970-01-02T00:00:00.000Z"),
    ("fromISOString", [BEYOND], NAN),
    ("now", [], 1_700_000_000_123),
    ("yyyymmdd", [], "2023-11-14"),
    ("parse", ["2023"], 1672531200000),
    ("parse", ["2023-04"], 1680307200000),
    ("parse", ["April 23, 2023 12:00:00"], 1682251200000),
    ("parse", ["23 Apr 2023 12:00 PM UTC"], 1682251200000),
    ("parse", ["Sun, 23 Apr 2023 12:00:00 GMT"], 1682251200000),
    ("parse", ["4/23/2023, 12:00:00 PM"], 1682251200000),
    ("parse", ["2023-04-23 12:00:00"], 1682251200000),
    ("parse", ["Sun Apr 23 2023 14:00:00 GMT+0200 (CEST)"], 1682251200000),
    ("parse", ["2023-04-23T24:00:00Z"], 1682294400000),
    ("parse", ["2023-02-29"], 1677628800000),
    ("parse", ["2023-04-31T00:00:00Z"], 1682899200000),
    ("parse", ["2023-13-01"], NAN),
    ("parse", ["2023-04-23T25:00:00Z"], NAN),
    ("parse", ["2023-04-23T12:00:00.123456Z"], 1682251200123),
    ("parse", ["+275760-09-13T00:00:00Z"], 8640000000000000),
    ("parse", ["+275760-09-13T00:00:00.001Z"], NAN),
    ("parse", ["-000001-01-01"], -62198755200000),
    ("parse", ["yesterday"], NAN),
    ("parse", [""], NAN),
    ("parse", [UNDEFINED], NAN),
    ("parse", [None], NAN),
    ("parse", ["1" * 1000], NAN),
    ("getDate", [AT], 23),
    ("getDay", [AT], 0),
    ("getFullYear", [AT], 2023),
    ("getHours", [AT], 12),
    ("getMilliseconds", [AT], 789),
    ("getMinutes", [AT], 34),
    ("getMonth", [AT], 3),
    ("getSeconds", [AT], 56),
    ("getTime", [AT], 1682253296789),
    ("getTime", [1.9], 1),
    ("getTime", [-1.9], -1),
    ("getTime", [-0.0], 0),
    ("getTime", [NAN], NAN),
    ("getTimezoneOffset", [AT], 0),
    ("getTimezoneOffset", [NAN], NAN),
    ("getUTCDate", [-1], 31),
    ("getUTCDay", [-1], 3),
    ("getUTCFullYear", [-62198755200000], -1),
    ("getUTCHours", [-1], 23),
    ("getUTCMilliseconds", [-1], 999),
    ("getUTCMinutes", [-1], 59),
    ("getUTCMonth", [-1], 11),
    ("getUTCSeconds", [-1], 59),
    ("getUTCDate", [BEYOND], NAN),
    ("setMilliseconds", [AT, 1], "2023-04-23T12:34:56.001Z"),
    ("setMilliseconds", [AT, -1], "2023-04-23T12:34:55.999Z"),
    ("setMilliseconds", [AT, 1.9], "2023-04-23T12:34:56.001Z"),
    ("setSeconds", [AT, 60], "2023-04-23T12:35:00.789Z"),
    ("setSeconds", [AT, 1, 2], "2023-04-23T12:34:01.002Z"),
    ("setMinutes", [AT, 45, 30], "2023-04-23T12:45:30.789Z"),
    ("setMinutes", [AT, 0, 0, 0], "2023-04-23T12:00:00.000Z"),
    ("setHours", [AT, 24], "2023-04-24T00:34:56.789Z"),
    ("setHours", [AT, "7", None, True, 0], "2023-04-23T07:00:01.000Z"),
    ("setDate", [AT, 0], "2023-03-31T12:34:56.789Z"),
    ("setDate", [AT, 31], "2023-05-01T12:34:56.789Z"),
    ("setMonth", ["2023-01-31", 1], "2023-03-03T00:00:00.000Z"),
    ("setMonth", [AT, -1, 1], "2022-12-01T12:34:56.789Z"),
    ("setFullYear", ["2024-02-29", 2023], "2023-03-01T00:00:00.000Z"),
    ("setFullYear", [AT, 99], "0099-04-23T12:34:56.789Z"),
    ("setFullYear", [NAN, 2020, 5], "2020-06-01T00:00:00.000Z"),
    ("setFullYear", [AT, 300000], NAN),
    ("setTime", [AT, 5.5], "1970-01-01T00:00:00.005Z"),
    ("setTime", [AT], NAN),
    ("setTime", [AT, BEYOND], NAN),
    ("setUTCMilliseconds", [AT, 500], "2023-04-23T12:34:56.500Z"),
    ("setUTCSeconds", [AT, 30], "2023-04-23T12:34:30.789Z"),
    ("setUTCMinutes", [AT, 45], "2023-04-23T12:45:56.789Z"),
    ("setUTCHours", [AT, 18], "2023-04-23T18:34:56.789Z"),
    ("setUTCDate", [AT, 15], "2023-04-15T12:34:56.789Z"),
    ("setUTCMonth", [AT, 2], "2023-03-23T12:34:56.789Z"),
    ("setUTCFullYear", [AT, 2025], "2025-04-23T12:34:56.789Z"),
    ("setDate", [AT], NAN),
    ("setDate", [AT, UNDEFINED], NAN),
    ("setDate", [AT, INF], NAN),
    ("setHours", [AT, 1, "x"], NAN),
    ("setDate", [NAN, 1], NAN),
    ("toDateString", [AT], "Sun Apr 23 2023"),
    ("toDateString", [-62198755200000], "Fri Jan 01 -0001"),
    ("toDateString", [NAN], "Invalid Date"),
    ("toISOString", ["Jan 2, 2026"], "2026-01-02T00:00:00.000Z"),
    ("toISOString", [8.64e15], "+275760-09-13T00:00:00.000Z"),
    ("toISOString", [-8.64e15], "-271821-04-20T00:00:00.000Z"),
    ("toISOXString", [AT], "20230423123456.789"),
    ("toJSON", [AT], AT),
    ("toJSON", [NAN], None),
    ("toLocaleDateString", [AT], "4/23/2023"),
    ("toLocaleDateString", [AT, "en-US", {"dateStyle": "full"}], "Sunday, April 23, 2023"),
    ("toLocaleDateString", [AT, UNDEFINED, {"month": "short", "day": "2-digit"}], "Apr 23"),
    ("toLocaleDateString", [AT, [], {"year": "2-digit", "month": "2-digit"}], "04/23"),
    ("toLocaleString", [AT], "4/23/2023, 12:34:56 PM"),
    ("toLocaleString", ["2023-04-23T00:05:06Z"], "4/23/2023, 12:05:06 AM"),
    ("toLocaleString", [AT, "en-US", {"timeZone": "Asia/Tokyo"}], "4/23/2023, 9:34:56 PM"),
    ("toLocaleString", [AT, "en-US", {"hour12": False}], "4/23/2023, 12:34:56"),
    ("toLocaleString", ["2023-04-23", None, {"hour12": False}], "4/23/2023, 24:00:00"),
    ("toLocaleString", ["2023-04-23", None, {"hourCycle": "h23"}], "4/23/2023, 00:00:00"),
    ("toLocaleString", [AT, "en-US", {"dateStyle": "long", "timeStyle": "short"}],
     "April 23, 2023 at 12:34 PM"),
    ("toLocaleString", [NAN], "Invalid Date"),
    ("toLocaleTimeString", [AT], "12:34:56 PM"),
    ("toLocaleTimeString", [AT, "en-US", {"hour": "2-digit", "minute": "2-digit"}], "12:34 PM"),
    ("toLocaleTimeString", [AT, "en-US", {"minute": "numeric"}], "34"),
    ("toString", [AT], "Sun Apr 23 2023 12:34:56 GMT+0000 (Coordinated Universal Time)"),
    ("toString", [NAN], "Invalid Date"),
    ("UTC", [2023, 3, 23], 1682208000000),
    ("UTC", [2023], 1672531200000),
    ("UTC", [99, 0], 915148800000),
    ("UTC", [2023, 12, 1, 25, 61, 61, 1001], 1704160922001),
    ("UTC", [], NAN),
    ("UTC", ["x"], NAN),
    ("UTC", [2023, UNDEFINED], NAN),
    ("UTC", [INF], NAN),
    ("valueOf", [AT], 1682253296789),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "expected"), IN_UTC)
def test_answers_in_utc(name, args, expected):
    """Every function of the domain, with fields that run over, invalid dates and far years."""
    answer = call(f"date.{name}", args)
    assert same(str(answer) if isinstance(answer, Moment) else answer, expected)


ELSEWHERE = [
    (BERLIN, "getHours", [AT], 14),
    (BERLIN, "getUTCHours", [AT], 12),
    (BERLIN, "getDate", ["2023-04-23T23:00:00Z"], 24),
    (BERLIN, "getDay", ["2023-04-23T23:00:00Z"], 1),
    (BERLIN, "getTimezoneOffset", [AT], -120),
    (NEW_YORK, "getTimezoneOffset", ["2023-01-01"], 300),
    (BERLIN, "parse", ["2023-04-23T12:00:00"], 1682244000000),  # no offset: local
    (BERLIN, "parse", ["2023-04-23"], 1682208000000),  # a day alone: UTC
    (BERLIN, "parse", ["23 Apr 2023"], 1682200800000),  # not the standard's form: local
    (BERLIN, "toString", [AT], "Sun Apr 23 2023 14:34:56 GMT+0200 (CEST)"),
    (NEW_YORK, "toLocaleString", [AT], "4/23/2023, 8:34:56 AM"),
    (NEW_YORK, "toDateString", ["2023-04-23T03:00:00Z"], "Sat Apr 22 2023"),
    (BERLIN, "toISOString", [AT], AT),
    (BERLIN, "setHours", [AT, 0, 0, 0, 0], "2023-04-22T22:00:00.000Z"),
    (BERLIN, "setUTCHours", [AT, 0, 0, 0, 0], "2023-04-23T00:00:00.000Z"),
    # 2:30 does not exist when clocks go forward, and exists twice when they go back.
    (BERLIN, "setHours", ["2023-03-26T00:00:00Z", 2, 30], "2023-03-26T01:30:00.000Z"),
    (BERLIN, "setHours", ["2023-10-29T12:00:00Z", 2, 30], "2023-10-29T00:30:00.000Z"),
    (NEW_YORK, "setMonth", ["2023-01-15T12:00:00Z", 6], "2023-07-15T11:00:00.000Z"),
    (BERLIN, "yyyymmdd", [], "2023-11-14"),
    (BERLIN, "UTC", [2023, 3, 23], 1682208000000),
]


@pytest.mark.parametrize(("zone", "name", "args", "expected"), ELSEWHERE)
def test_local_time_is_that_of_the_context(zone, name, args, expected):
    """Local fields follow the context's zone, never that of the process; UTC ones do not."""
    answer = call(f"date.{name}", args, zone)
    assert same(str(answer) if isinstance(answer, Moment) else answer, expected)


def test_the_zone_of_the_process_does_not_matter(monkeypatch):
    """An engine that runs elsewhere computes the same: the environment is not looked at."""
    before = [call(f"date.{name}", [AT]) for name in ("getHours", "toString", "toLocaleString")]
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    assert [call(f"date.{n}", [AT]) for n in ("getHours", "toString", "toLocaleString")] == before


@pytest.mark.parametrize(
    ("name", "args", "reason"),
    [
        ("getDate", [], "on a date, not on undefined"),
        ("getDate", [None], "on a date, not on null"),
        ("getDate", [True], "on a date, not on a boolean"),
        ("getDate", [[0]], "on a date, not on an array"),
        ("getDate", ["soon"], "its text is not a date"),
        ("setDate", ["soon", 1], "its text is not a date"),
        ("fromISOString", ["2023-02-30T99:00:00Z"], "its text is not a date"),
        ("toISOString", [NAN], "out of range"),
        ("toISOXString", [BEYOND], "out of range"),
        ("toLocaleString", [AT, "de-DE"], "only locale is en-US"),
        ("toLocaleString", [AT, ["fr", "en-US"]], "only locale is en-US"),
        ("toLocaleString", [AT, "en-US", {"era": "short"}], "'era' is not known"),
        ("toLocaleString", [AT, "en-US", {"month": "narrow"}], "'month' is one of numeric"),
        ("toLocaleString", [AT, "en-US", {"hour12": 1}], "'hour12' is one of"),
        ("toLocaleString", [AT, "en-US", {"timeZone": "Nowhere"}], "no such time zone"),
        ("toLocaleString", [AT, "en-US", {"timeZone": 5}], "named by text"),
        ("toLocaleString", [AT, None, {"dateStyle": "full", "day": "numeric"}], "no other parts"),
        ("toLocaleString", [AT, None, {"weekday": "long", "day": "numeric"}], "beside a weekday"),
        ("toLocaleString", [AT, None, {"year": "numeric", "day": "numeric"}], "there is a month"),
        ("toLocaleTimeString", [AT, None, {"dateStyle": "full"}], "does not belong"),
        ("toLocaleDateString", [AT, None, {"timeStyle": "short"}], "does not belong"),
        ("toLocaleTimeString", [AT, None, {"hour": "numeric", "second": "numeric"}], "a minute"),
    ],
)
def test_what_is_no_date_is_refused(name, args, reason):
    """Text that names no date, and what cannot be written, are errors and no silent NaN."""
    with pytest.raises(DescriptorError, match=reason):
        call(f"date.{name}", args)


def value_of(rows: list[object]) -> object:
    return compile_value({"@pipe": rows}).evaluate(Context(resolver({}), now=lambda: NOW))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # The difference of two dates, in milliseconds.
        ([{"@pipe": [["2023-04-24"], ["{@date.fromISOString}"]]},
          {"@pipe": [["2023-04-23"], ["{@date.fromISOString}"]]}, ["{@math.subtract}"]],
         86_400_000),
        ([["{@symbol.date}", 10_000], ["{@math.add}"]], 1_700_000_010_123),
        # Order, also across years that sort otherwise as text.
        ([[[["+012345-01-01"], ["2023-01-01"]]], {"@pipe": [["+012345-01-01T00:00:00Z"],
          ["{@date.fromISOString}"]]}, {"@pipe": [["2023-01-01"], ["{@date.fromISOString}"]]},
          ["{@conditional.greater_than}"]], True),
        # Text of a date is what JavaScript's String() makes of it.
        ([["{@symbol.date}", "!"], ["{@string.concat}"]],
         "Tue Nov 14 2023 22:13:20 GMT+0000 (Coordinated Universal Time)!"),
        # Setters can be chained, and lead to other functions.
        ([["2023-04-23", 5], ["{@date.setUTCMonth}", 1], ["{@date.setUTCDate}"],
          ["{@date.toDateString}"]], "Thu Jun 01 2023"),
        ([["2023-04-23", 5], ["{@date.setUTCMonth}"], ["{@date.getTime}"]], 1_687_478_400_000),
        ([["2023-04-23T12:00:00Z"], ["{@date.fromISOString}"], ["{@date.parse}"]],
         1_682_251_200_000),
    ],
)  # fmt: skip
def test_a_date_in_a_pipe_is_a_number_to_arithmetic(rows, expected):
    """What one function gives another takes as JavaScript would take a Date."""
    assert same(value_of(rows), expected)


def test_a_date_leaves_a_pipe_as_text():
    """JSON has the standard's form, also deep inside; copies keep the instant."""
    moment = value_of([["{@symbol.date}"]])
    assert json.dumps({"at": [moment]}) == '{"at": ["2023-11-14T22:13:20.123Z"]}'
    assert isinstance(moment, Moment)
    again = copy.deepcopy(moment)
    assert (again.instant, again.zone, again) == (moment.instant, moment.zone, str(moment))
