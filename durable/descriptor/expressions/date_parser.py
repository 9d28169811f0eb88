"""Text read as JavaScript's `Date.parse` reads it.

The standard's form first: 2026-01-02, with T12:30, seconds and fractions, and Z or an offset; a
date alone is UTC, a date with a time is local. Everything else follows what V8 makes of dates as
people write them: "2 Jan 2026 12:30 PM", "1/2/2026", "Fri, 02 Jan 2026 03:04:05 GMT+0100 (CET)".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final, NamedTuple

from durable.descriptor.expressions.calendar_fields import clip, instant_of

LONGEST: Final = 200  # characters; a date that a person or program wrote is shorter

_ISO: Final = re.compile(
    r"(?P<year>\d{4}|\+\d{6}|-(?!000000)\d{6})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?)?"
    r"(?:[Tt](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"(?:(?P<utc>[Zz])|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d))?)?",
    re.ASCII,
)
_SIGNED_YEAR: Final = re.compile(r"(\+\d{6}|-(?!000000)\d{6})(?!\d)-?", re.ASCII)
_TOKEN: Final = re.compile(r"(?P<number>[0-9]+)|(?P<word>[^\x00-@]+)|(?P<symbol>[\x00-@])")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun",
                  "jul", "aug", "sep", "oct", "nov", "dec")  # fmt: skip
_ZONES: Final = {
    "z": 0, "ut": 0, "utc": 0, "gmt": 0, "edt": -4, "est": -5, "cdt": -5, "cst": -6, "mdt": -6,
    "mst": -7, "pdt": -7, "pst": -8,
}  # fmt: skip
_PREFIX = 3  # letters of a month that count
_DIGITS = 9  # of a number that count; more would be no date


def parse_date(text: str, zone: tzinfo) -> float:
    """The instant that the text names, NaN when it names none.

    Example:
        >>> from datetime import UTC
        >>> parse_date("1970-01-02", UTC), parse_date("Jan 2, 1970 01:00 GMT+0100", UTC)
        (86400000.0, 86400000.0)
    """
    if len(text) > LONGEST:
        return math.nan
    found = _ISO.fullmatch(text)
    instant = _standard(found, zone) if found else None
    if instant is not None:
        return instant
    signed = _SIGNED_YEAR.match(text)
    reader = _Reader(list(_tokens(text[signed.end() :] if signed else text)))
    if signed:
        reader.has_number = True
        reader.day.append(int(signed[1]))
    return reader.instant(zone) if reader.read() else math.nan


def _standard(found: re.Match[str], zone: tzinfo) -> float | None:
    """The instant of the standard's form; None where a field is out of range."""
    month, day = int(found["month"] or 1), int(found["day"] or 1)
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    millisecond = _fraction(found["fraction"] or "0")
    in_range = 1 <= month <= 12 and 1 <= day <= 31  # noqa: PLR2004 - of the calendar
    if not in_range or not _is_time(hour, minute, second, millisecond):
        return None
    numbers = (int(found["year"]), month - 1, day, hour, minute, second, millisecond)
    if found["utc"] or found["hour"] is None:
        return instant_of(numbers)
    if found["sign"] is None:
        return instant_of(numbers, zone)
    hours, minutes = int(found["hours"]), int(found["minutes"])
    if hours > 23 or minutes > 59:  # noqa: PLR2004 - of the clock
        return None
    offset = (hours * 60 + minutes) * 60_000
    return clip(instant_of(numbers) - (-offset if found["sign"] == "-" else offset))


def _is_time(hour: int, minute: int, second: int, millisecond: int) -> bool:
    if hour == 24:  # noqa: PLR2004 - the midnight at the end of a day
        return minute == second == millisecond == 0
    return hour < 24 and minute < 60 and second < 60  # noqa: PLR2004 - of the clock


def _fraction(digits: str) -> int:
    return int(digits[:3].ljust(3, "0"))


class _Token(NamedTuple):
    kind: str
    text: str


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        yield _Token(found.lastgroup or "", found[0])


@dataclass(slots=True)
class _Reader:
    """What has been read of a date in no standard form."""

    tokens: list[_Token]
    place: int = 0
    day: list[int] = field(default_factory=list)
    month: int | None = None
    time: list[int] = field(default_factory=list)
    half: int | None = None  # 0 for AM, 12 for PM
    sign: int | None = None
    zone_hour: int = 0
    zone_minute: int | None = 0
    has_number: bool = False

    def read(self) -> bool:
        """Take all tokens; whether they make sense so far."""
        takers = {"number": self._number, "word": self._word, "symbol": self._symbol}
        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            self.place += 1
            if not takers[token.kind](token.text):
                return False
        return True

    def instant(self, zone: tzinfo) -> float:
        """The instant, NaN when something is missing or out of range."""
        date, time = self._date(), self._clock()
        if date is None or time is None:
            return math.nan
        if self.sign is None:
            return instant_of((*date, *time), zone)
        offset = self.sign * (self.zone_hour * 60 + (self.zone_minute or 0)) * 60_000
        return clip(instant_of((*date, *time)) - offset)

    def _peek(self) -> str:
        return self.tokens[self.place].text if self.place < len(self.tokens) else ""

    def _skip(self, symbol: str) -> bool:
        if self._peek() != symbol:
            return False
        self.place += 1
        return True

    def _number(self, text: str) -> bool:
        self.has_number = True
        number = int(text.lstrip("0")[:_DIGITS] or "0")
        if self._skip(":"):
            return self._before_colon(number)
        if self._skip(".") and self._expects(number):
            return self._before_point(number)
        if self.zone_minute is None and number < 60:  # noqa: PLR2004 - minutes
            self.zone_minute = number
            return True
        if self._expects(number):
            self._finish_time(number)
            following = self._peek()
            return not following or following.isspace() or following in {"+", "-", "Z", "z"}
        self.day.append(number)
        self._skip("-")
        return len(self.day) <= 3  # noqa: PLR2004 - day, month, year

    def _before_colon(self, number: int) -> bool:
        if self._skip(":"):
            if self.time:
                return False
            self.time = [number, 0]
            return True
        self.time.append(number)
        self._skip(".")
        return len(self.time) <= 4  # noqa: PLR2004 - down to milliseconds

    def _before_point(self, number: int) -> bool:
        self.time.append(number)
        if not self._peek().isdigit():
            return False
        self._finish_time(_fraction(self._peek()))
        self.place += 1
        return True

    def _expects(self, number: int) -> bool:
        """Whether the number can be the next field of a time that has begun."""
        limit = {1: 60, 2: 60, 3: 1000}.get(len(self.time), 0)
        return number < limit

    def _finish_time(self, number: int) -> None:
        self.time.append(number)
        self.time.extend([0] * (4 - len(self.time)))

    def _word(self, text: str) -> bool:
        word = text.lower()
        if word in {"am", "pm"} and self.time:
            self.half = 12 if word == "pm" else 0
        elif word[:_PREFIX] in _MONTHS:
            self.month = _MONTHS.index(word[:_PREFIX])
            self._skip("-")
        elif word in _ZONES and self.has_number:
            hours = _ZONES[word]
            self.sign, self.zone_hour, self.zone_minute = (-1 if hours < 0 else 1), abs(hours), 0
        else:
            return not self.has_number and not self._peek().isdigit()
        return True

    def _symbol(self, text: str) -> bool:
        is_sign = text in {"+", "-"}
        is_utc = self.sign is not None and self.zone_hour == 0 and not self.zone_minute
        if is_sign and (is_utc or self.time):
            return self._offset(-1 if text == "-" else 1)
        if text == "(":
            self._skip_parentheses()
            return True
        return not ((is_sign or text == ")") and self.has_number)

    def _offset(self, sign: int) -> bool:
        digits = self._peek() if self._peek().isdigit() else ""
        self.place += bool(digits)
        number, self.sign, self.has_number = int(digits[:_DIGITS] or "0"), sign, True
        if self._peek() == ":":
            self.zone_hour, self.zone_minute = number, None
        elif len(digits) in {1, 2}:
            self.zone_hour, self.zone_minute = number, 0
        elif len(digits) in {3, 4}:
            self.zone_hour, self.zone_minute = divmod(number, 100)
        else:
            return False
        return True

    def _skip_parentheses(self) -> None:
        depth = 1
        while depth and self.place < len(self.tokens):
            text = self.tokens[self.place].text
            depth += (text == "(") - (text == ")")
            self.place += 1

    def _date(self) -> tuple[int, int, int] | None:
        if not self.day:
            return None
        first, second, third = (*self.day, 1, 1)[:3]
        year_first = not 1 <= first <= 31  # noqa: PLR2004 - no day of a month
        if self.month is None:
            year, month, day = (first, second, third) if year_first else (third, first, second)
            month -= 1
        else:
            month = self.month
            year, day = (first, second) if year_first else (second, first)
        if not (0 <= month < 12 and 1 <= day <= 31):  # noqa: PLR2004 - of the calendar
            return None
        return _whole_year(year), month, day

    def _clock(self) -> tuple[int, int, int, int] | None:
        hour, minute, second, millisecond = (*self.time, 0, 0, 0, 0)[:4]
        if self.half is not None:
            if hour > 12:  # noqa: PLR2004 - of a clock with AM and PM
                return None
            hour = hour % 12 + self.half
        fits = _is_time(hour, minute, second, millisecond) and millisecond < 1000  # noqa: PLR2004
        return (hour, minute, second, millisecond) if fits else None


def _whole_year(year: int) -> int:
    """Two digits are a year of this century before 50, of the last from there on."""
    if 0 <= year < 50:  # noqa: PLR2004 - see above
        return year + 2000
    return year + 1900 if 50 <= year < 100 else year  # noqa: PLR2004 - see above
