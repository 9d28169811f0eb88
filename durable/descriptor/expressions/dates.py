"""JavaScript's `Date` among JSON values: its text to JSON, its number to arithmetic."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final, Self

from durable.descriptor.expressions.calendar_fields import abbreviation_at, fields_of, offset_at

DAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_UTC_NAMES: Final = frozenset({"UTC", "GMT", "Etc/UTC"})
_PLAIN_YEARS: Final = range(10_000)


class Moment(str):
    """An instant that a pipe hands from function to function.

    As JSON it is the text of `toISOString`, which is what it becomes when the pipe has ended. To
    arithmetic and order it is its number of milliseconds. There is no invalid one.

    Attributes:
        instant: milliseconds since 1970, within JavaScript's range.
        zone: the time zone in which its local text is written.

    Example:
        >>> from datetime import UTC
        >>> Moment(0.0, UTC)
        '1970-01-01T00:00:00.000Z'
    """

    __slots__ = ("instant", "zone")
    instant: float
    zone: tzinfo

    def __new__(cls, instant: float, zone: tzinfo) -> Self:
        """The moment at an instant."""
        moment = super().__new__(cls, iso_text(instant))
        moment.instant, moment.zone = instant, zone
        return moment

    def __getnewargs__(self) -> tuple[float, tzinfo]:  # type: ignore[override]  # for copies
        return self.instant, self.zone


def iso_text(instant: float) -> str:
    """`toISOString`; years outside 0 to 9999 have a sign and six digits.

    Example:
        >>> iso_text(-62198755200000.0)
        '-000001-01-01T00:00:00.000Z'
    """
    year, month, day, hour, minute, second, millisecond, _ = fields_of(instant)
    head = f"{year:04}" if year in _PLAIN_YEARS else f"{year:+07}"
    time = f"{hour:02}:{minute:02}:{second:02}.{millisecond:03}"
    return f"{head}-{month + 1:02}-{day:02}T{time}Z"


def compact_text(instant: float) -> str:
    """The compact form YYYYMMDDHHmmss.mmm in UTC, as HotMesh writes its times."""
    year, month, day, hour, minute, second, millisecond, _ = fields_of(instant)
    head = f"{year:04}" if year in _PLAIN_YEARS else f"{year:+07}"
    return f"{head}{month + 1:02}{day:02}{hour:02}{minute:02}{second:02}.{millisecond:03}"


def date_text(instant: float, zone: tzinfo) -> str:
    """`toDateString`: "Fri Jan 02 2026"."""
    year, month, day, *_, weekday = fields_of(instant, zone)
    sign = "-" if year < 0 else ""
    return f"{DAYS[weekday][:3]} {MONTHS[month][:3]} {day:02} {sign}{abs(year):04}"


def full_text(instant: float, zone: tzinfo) -> str:
    """`toString`, with the zone's long name for UTC and its abbreviation for others.

    Example:
        >>> from datetime import UTC
        >>> full_text(0.0, UTC)
        'Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)'
    """
    found = fields_of(instant, zone)
    minutes = offset_at(instant, zone) // 60_000
    hours, minutes = divmod(abs(minutes), 60)
    sign = "-" if offset_at(instant, zone) < 0 else "+"
    name = zone_name(instant, zone)
    time = f"{found.hour:02}:{found.minute:02}:{found.second:02}"
    return f"{date_text(instant, zone)} {time} GMT{sign}{hours:02}{minutes:02} ({name})"


def zone_name(instant: float, zone: tzinfo) -> str:
    """What stands in the parentheses of `toString`."""
    name = abbreviation_at(instant, zone)
    return "Coordinated Universal Time" if name in _UTC_NAMES else name
