"""Dates in American English, as `toLocaleString("en-US", options)` writes them.

Options outside this module, and combinations for which English has no fixed form, are refused
rather than guessed. No other locale is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from durable.descriptor.expressions.calendar_fields import Fields, fields_of
from durable.descriptor.expressions.comparison import strict_equal
from durable.descriptor.expressions.dates import DAYS, MONTHS


class LocaleError(ValueError):
    """A locale, an option, or a combination of options that is not known here."""


_WIDTH: Final = ("numeric", "2-digit")
_DATE_PARTS: Final = ("weekday", "year", "month", "day")
_TIME_PARTS: Final = ("hour", "minute", "second")
_CHOICES: Final[Mapping[str, tuple[object, ...]]] = MappingProxyType(
    {
        "weekday": ("long", "short"),
        "year": _WIDTH,
        "month": (*_WIDTH, "long", "short"),
        "day": _WIDTH,
        "hour": _WIDTH,
        "minute": _WIDTH,
        "second": _WIDTH,
        "hour12": (True, False),
        "hourCycle": ("h12", "h23"),
        "dateStyle": ("full", "long", "medium", "short"),
        "timeStyle": ("medium", "short"),
    }
)
_DATE_STYLES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "full": {"weekday": "long", "month": "long", "day": "numeric", "year": "numeric"},
        "long": {"month": "long", "day": "numeric", "year": "numeric"},
        "medium": {"month": "short", "day": "numeric", "year": "numeric"},
        "short": {"month": "numeric", "day": "numeric", "year": "2-digit"},
    }
)
_DATE_DEFAULT: Final = {"year": "numeric", "month": "numeric", "day": "numeric"}
_TIME_DEFAULT: Final = {"hour": "numeric", "minute": "numeric", "second": "numeric"}
_NOON = 12


def locale_text(
    instant: float, zone: tzinfo, locale: object, options: Mapping[str, object], wanted: str
) -> str:
    """The text; `wanted` is "date", "time" or "any", the last for `toLocaleString`.

    Raises `LocaleError`.

    Example:
        >>> from datetime import UTC
        >>> locale_text(0.0, UTC, "en-US", {}, "any")
        '1/1/1970, 12:00:00 AM'
        >>> locale_text(0.0, UTC, None, {"dateStyle": "full", "timeStyle": "short"}, "any")
        'Thursday, January 1, 1970 at 12:00 AM'
    """
    locales = locale if isinstance(locale, (list, tuple)) else [locale]
    if any(name not in {None, "en-US", "en"} for name in locales if not isinstance(name, dict)):
        raise LocaleError("the only locale is en-US")
    given = {name: value for name, value in options.items() if value is not None}
    zone = _zone(given.pop("timeZone", zone))
    for name, value in given.items():
        choices = _CHOICES.get(name)
        if choices is None or not any(strict_equal(value, choice) for choice in choices):
            raise LocaleError(_complaint(name, choices))
    parts = _parts(given, wanted)
    fields = fields_of(instant, zone)
    date = _Date(parts).text(fields)
    time = _time(parts, fields, _cycle(given))
    if not date or not time:
        return date or time
    return f"{date}{_glue(parts, _cycle(given))}{time}"


def _glue(parts: Mapping[str, str], cycle: str) -> str:
    if parts.get("month") == "long":
        return " at "
    only_weekday = [name for name in _DATE_PARTS if name in parts] == ["weekday"]
    is_clock = "hour" in parts and (cycle == "h12" or "minute" in parts)
    return " " if only_weekday and is_clock else ", "


def _complaint(name: str, choices: tuple[object, ...] | None) -> str:
    if choices is None:
        return f"the option {name!r} is not known; there are timeZone, {', '.join(_CHOICES)}"
    return f"the option {name!r} is one of {', '.join(map(str, choices))}"


def _zone(value: object) -> tzinfo:
    if isinstance(value, tzinfo):
        return value
    return named_zone(value)


def named_zone(name: object) -> tzinfo:
    """The time zone of this name in the IANA database; `LocaleError` where there is none."""
    if not isinstance(name, str):
        raise LocaleError("a time zone is named by text such as Asia/Tokyo")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise LocaleError("there is no such time zone; write one such as Asia/Tokyo") from error


def _cycle(given: Mapping[str, object]) -> str:
    """How hours are counted; `hour12: false` makes midnight 24 in American English."""
    if "hour12" in given:
        return "h24" if given["hour12"] is False else "h12"
    return str(given.get("hourCycle", "h12"))


def _parts(given: Mapping[str, object], wanted: str) -> dict[str, str]:
    """Part -> width: what was asked for, or the defaults of the function."""
    explicit = {n: str(given[n]) for n in (*_DATE_PARTS, *_TIME_PARTS) if n in given}
    styles = {n: str(given[n]) for n in ("dateStyle", "timeStyle") if n in given}
    if styles:
        if explicit:
            raise LocaleError("dateStyle and timeStyle go with no other parts of the date")
        if (wanted, *styles) in {("date", "timeStyle"), ("time", "dateStyle")} or (
            wanted != "any" and len(styles) > 1
        ):
            raise LocaleError("the style does not belong to this function; use toLocaleString")
        time = dict(_TIME_DEFAULT) if "timeStyle" in styles else {}
        if styles.get("timeStyle") == "short":
            del time["second"]
        return {**_DATE_STYLES.get(styles.get("dateStyle", ""), {}), **time}
    has_date = any(name in explicit for name in _DATE_PARTS)
    has_time = any(name in explicit for name in _TIME_PARTS)
    if (wanted == "date" and not has_date) or (wanted == "any" and not explicit):
        explicit |= _DATE_DEFAULT
    if (wanted == "time" and not has_time) or (wanted == "any" and not (has_date or has_time)):
        explicit |= _TIME_DEFAULT
    return explicit


@dataclass(frozen=True, slots=True)
class _Date:
    parts: Mapping[str, str]

    def text(self, fields: Fields) -> str:
        """The parts of the date in American order."""
        month, day = self.parts.get("month"), self.parts.get("day")
        written = self._month_and_day(fields, month, day)
        if "year" in self.parts:
            written = self._with_year(fields, written)
        if "weekday" not in self.parts:
            return written
        weekday = DAYS[fields.weekday]
        weekday = weekday if self.parts["weekday"] == "long" else weekday[:3]
        if not written:
            return weekday
        if month is None or day is None:
            raise LocaleError("beside a weekday there are month and day, or nothing")
        return f"{weekday}, {written}"

    def _month_and_day(self, fields: Fields, month: str | None, day: str | None) -> str:
        number = _number(fields.day, day) if day else ""
        if month is None:
            return number
        if month in _WIDTH:
            return "/".join(filter(None, (_number(fields.month + 1, month), number)))
        name = MONTHS[fields.month] if month == "long" else MONTHS[fields.month][:3]
        return f"{name} {number}".rstrip()

    def _with_year(self, fields: Fields, written: str) -> str:
        count = fields.year if fields.year > 0 else 1 - fields.year  # before Christ
        year = f"{count % 100:02}" if self.parts["year"] == "2-digit" else str(count)
        if not written:
            return year
        month, has_day = self.parts.get("month"), "day" in self.parts
        if month is None:
            raise LocaleError("beside year and day there is a month")
        if month in _WIDTH:
            return f"{written}/{year}"
        return f"{written}, {year}" if has_day else f"{written} {year}"


def _time(parts: Mapping[str, str], fields: Fields, cycle: str) -> str:
    asked = [name for name in _TIME_PARTS if name in parts]
    if not asked:
        return ""
    if asked == ["hour", "second"]:
        raise LocaleError("beside hour and second there is a minute")
    numbers = {"hour": fields.hour, "minute": fields.minute, "second": fields.second}
    if cycle != "h23":
        most = _NOON if cycle == "h12" else 2 * _NOON
        numbers["hour"] = fields.hour % most or most
    texts = []
    for name in asked:
        is_hour = name == "hour"
        wide = (cycle != "h12" or parts[name] == "2-digit") if is_hour else len(asked) > 1
        texts.append(f"{numbers[name]:02}" if wide else str(numbers[name]))
    half = " PM" if fields.hour >= _NOON else " AM"
    return ":".join(texts) + (half if cycle == "h12" and "hour" in parts else "")


def _number(value: int, width: str) -> str:
    return f"{value:02}" if width == "2-digit" else str(value)
