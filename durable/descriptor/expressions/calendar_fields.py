"""Instants and calendar fields, as JavaScript's dates count them.

An instant is a number of milliseconds since 1970 in UTC, NaN for no instant. Arithmetic is whole
and covers JavaScript's range, 100 million days to either side of 1970; zones are `tzinfo`s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

DAY: Final = 86_400_000
FURTHEST: Final = 100_000_000 * DAY
_CYCLE_DAYS: Final = 146_097  # 400 years, after which the calendar repeats
_CYCLE: Final = _CYCLE_DAYS * DAY
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A little inside what `datetime` can hold, so that no offset leads out of it.
_FIRST: Final = -62_104_060_800_000  # 2 January of the year 2
_LAST: Final = 253_370_678_400_000  # 2 December of the year 9998
_BEYOND: Final = 400_000  # years; more than any instant is away, far less than what takes long


class Fields(NamedTuple):
    """An instant on the calendar: months count from 0, weekdays from Sunday as 0."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int
    millisecond: int
    weekday: int


def clip(instant: float) -> float:
    """JavaScript's `TimeClip`: a whole number of milliseconds within the range, else NaN."""
    if not math.isfinite(instant) or abs(instant) > FURTHEST:
        return math.nan
    return float(math.trunc(instant)) + 0.0


def fields_of(instant: float, zone: tzinfo = UTC) -> Fields:
    """The calendar fields of an instant that is one, in a zone.

    Example:
        >>> fields_of(1_000)[:6], fields_of(-1).weekday
        ((1970, 0, 1, 0, 0, 1), 3)
    """
    days, rest = divmod(int(instant) + offset_at(instant, zone), DAY)
    year, month, day = _civil(days)
    minutes, rest = divmod(rest, 60_000)
    hour, minute = divmod(minutes, 60)
    second, millisecond = divmod(rest, 1000)
    return Fields(year, month, day, hour, minute, second, millisecond, (days + 4) % 7)


def instant_of(numbers: Sequence[float], zone: tzinfo = UTC) -> float:
    """The instant of year, month, day, hour, minute, second and millisecond in a zone.

    Fields run over into the next, as in JavaScript: month 12 is January of the next year. A local
    time that occurs twice is the first of the two; one that is skipped is taken by the offset
    that was in force before. NaN when a field is not a number or the result is out of range.
    """
    if not all(map(math.isfinite, numbers)):
        return math.nan
    year, month, day, hour, minute, second, millisecond = (math.trunc(n) for n in numbers)
    year, month = year + month // 12, month % 12
    if abs(year) > _BEYOND:
        return math.nan
    days = _days(year, month) + day - 1
    local = days * DAY + hour * 3_600_000 + minute * 60_000 + second * 1000 + millisecond
    if abs(local) > FURTHEST + DAY:
        return math.nan
    return clip(float(local - _offset_of_local(local, zone)))


def offset_at(instant: float, zone: tzinfo) -> int:
    """Milliseconds by which the zone's clocks are ahead of UTC at the instant."""
    if zone is UTC:
        return 0
    moment = _EPOCH + timedelta(milliseconds=_within(int(instant)))
    return _milliseconds(moment.astimezone(zone).utcoffset())


def abbreviation_at(instant: float, zone: tzinfo) -> str:
    """The zone's name at the instant, such as CET or CEST."""
    moment = _EPOCH + timedelta(milliseconds=_within(int(instant)))
    return moment.astimezone(zone).tzname() or ""


def _offset_of_local(local: int, zone: tzinfo) -> int:
    if zone is UTC:
        return 0
    naive = _EPOCH.replace(tzinfo=None) + timedelta(milliseconds=_within(local))
    return _milliseconds(naive.replace(tzinfo=zone).utcoffset())


def _milliseconds(offset: timedelta | None) -> int:
    return (offset or timedelta()) // timedelta(milliseconds=1)


def _within(instant: int) -> int:
    """The instant, or one on the same day of the calendar that `datetime` can hold."""
    if instant > _LAST:
        return instant - -((_LAST - instant) // _CYCLE) * _CYCLE
    if instant < _FIRST:
        return instant + -((instant - _FIRST) // _CYCLE) * _CYCLE
    return instant


def _days(year: int, month: int) -> int:
    """Days from 1970 to the first of a month, of 0 to 11."""
    cycles, year = divmod(year - (month < 2), 400)  # noqa: PLR2004 - years here begin in March
    of_year = (153 * ((month + 10) % 12) + 2) // 5
    return cycles * _CYCLE_DAYS + year * 365 + year // 4 - year // 100 + of_year - 719_468


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month from 0, and day, of a day that is counted from 1970."""
    cycles, day = divmod(days + 719_468, _CYCLE_DAYS)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    of_year = day - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    in_month = of_year - (153 * month + 2) // 5 + 1
    month = (month + 2) % 12
    return cycles * 400 + year + (month < 2), month, in_month  # noqa: PLR2004 - see _days
