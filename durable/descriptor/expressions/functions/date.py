"""`@date`: JavaScript's `Date`. A date is a `Moment`, a number of milliseconds, or text.

Text of digits alone is milliseconds; other text is read as `Date.parse` does, and is refused when
it is not a date. Local fields are those of the context's time zone, UTC unless it says otherwise.
What sets a field gives the new date, which is text to JSON and a number to arithmetic.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions.calendar_fields import (
    Fields,
    clip,
    fields_of,
    instant_of,
    offset_at,
)
from durable.descriptor.expressions.date_parser import parse_date
from durable.descriptor.expressions.dates import (
    Moment,
    compact_text,
    date_text,
    full_text,
    iso_text,
)
from durable.descriptor.expressions.functions.arguments import (
    Arguments,
    Function,
    Refusal,
    describe,
)
from durable.descriptor.expressions.locale_text import LocaleError, locale_text
from durable.descriptor.expressions.values import is_number, number, to_number

INVALID: Final = "Invalid Date"
_MILLISECONDS: Final = re.compile(r"[+-]?[0-9]{1,17}")
_PLACES: Final = {
    "FullYear": 0, "Month": 1, "Date": 2, "Hours": 3, "Minutes": 4, "Seconds": 5,
    "Milliseconds": 6, "Day": 7,
}  # fmt: skip
_SETTABLE: Final = {
    "FullYear": 3, "Month": 2, "Date": 1, "Hours": 4, "Minutes": 3, "Seconds": 2,
    "Milliseconds": 1,
}  # fmt: skip
"""How many fields a setter takes, from the named one downward; dates end with the day."""


def _instant(args: Arguments) -> float:
    """The date on which a function works."""
    value = args[0]
    if isinstance(value, Moment):
        return value.instant
    if is_number(value):
        return clip(to_number(value))
    if not isinstance(value, str):
        raise Refusal(f"it works on a date, not on {describe(value)}")
    if _MILLISECONDS.fullmatch(value):
        return clip(float(value))
    instant = parse_date(value, args.context.zone)
    if math.isnan(instant):
        raise Refusal("its text is not a date; write one such as 2026-01-31T12:30:00Z")
    return instant


def _moment(instant: float, args: Arguments) -> object:
    return instant if math.isnan(instant) else Moment(instant, args.context.zone)


def _zone(args: Arguments) -> tzinfo:
    return args.context.zone


def _utc(_args: Arguments) -> tzinfo:
    return UTC


def _getter(place: int, zone_of: Callable[[Arguments], tzinfo]) -> Function:
    def get(args: Arguments) -> float:
        instant = _instant(args)
        return instant if math.isnan(instant) else fields_of(instant, zone_of(args))[place]

    return get


def _setter(name: str, zone_of: Callable[[Arguments], tzinfo]) -> Function:
    first, most = _PLACES[name], _SETTABLE[name]

    def set_(args: Arguments) -> object:
        instant, zone = _instant(args), zone_of(args)
        if math.isnan(instant):
            if name != "FullYear":
                return math.nan
            start: Fields = Fields(1970, 0, 1, 0, 0, 0, 0, 4)
        else:
            start = fields_of(instant, zone)
        numbers: list[float] = list(start[:7])
        given = [to_number(value) for value in args.values[1 : most + 1]] or [math.nan]
        numbers[first : first + len(given)] = given
        return _moment(instant_of(numbers, zone), args)

    return set_


def _writer(write: Callable[[float, tzinfo], str], invalid: object = INVALID) -> Function:
    def apply(args: Arguments) -> object:
        instant = _instant(args)
        return invalid if math.isnan(instant) else write(instant, args.context.zone)

    return apply


def _exact(write: Callable[[float], str]) -> Function:
    def apply(args: Arguments) -> str:
        instant = _instant(args)
        if math.isnan(instant):
            raise Refusal("the date is out of range")
        return write(instant)

    return apply


def _locale(wanted: str) -> Function:
    def apply(args: Arguments) -> str:
        instant = _instant(args)
        given = args[2]
        options: dict[str, object] = given if isinstance(given, dict) else {}
        locale = args[1] if args.given(1) else None
        try:
            text = locale_text(
                0.0 if math.isnan(instant) else instant, _zone(args), locale, options, wanted
            )
        except LocaleError as error:
            raise Refusal(str(error)) from error
        return INVALID if math.isnan(instant) else text

    return apply


def _value(args: Arguments) -> float:
    return number(_instant(args))


def _parse(args: Arguments) -> float:
    value = args[0]
    if isinstance(value, Moment):
        return number(value.instant)
    return number(parse_date(args.text(0), args.context.zone))


def _time_zone_offset(args: Arguments) -> float:
    instant = _instant(args)
    if math.isnan(instant):
        return instant
    return number(-offset_at(instant, args.context.zone) / 60_000 + 0.0)


def _utc_instant(args: Arguments) -> float:
    numbers = [to_number(value) for value in args.values[:7]] or [math.nan]
    numbers.extend([0.0, 1.0, 0.0, 0.0, 0.0, 0.0][len(numbers) - 1 :])
    if 0 <= math.trunc(numbers[0] if math.isfinite(numbers[0]) else -1) < 100:  # noqa: PLR2004
        numbers[0] = 1900 + math.trunc(numbers[0])  # two digits are a year of that century
    return number(instant_of(numbers))


def _set_time(args: Arguments) -> object:
    _instant(args)
    return _moment(clip(args.number(1)), args)


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {
        "fromISOString": lambda args: _moment(_instant(args), args),
        "now": lambda args: number(float(math.floor(args.context.now()))),
        "yyyymmdd": lambda args: iso_text(args.context.now()).partition("T")[0],
        "parse": _parse,
        **{f"get{name}": _getter(place, _zone) for name, place in _PLACES.items()},
        **{f"getUTC{name}": _getter(place, _utc) for name, place in _PLACES.items()},
        "getTime": _value,
        "getTimezoneOffset": _time_zone_offset,
        **{f"set{name}": _setter(name, _zone) for name in _SETTABLE},
        **{f"setUTC{name}": _setter(name, _utc) for name in _SETTABLE},
        "setTime": _set_time,
        "toDateString": _writer(date_text),
        "toISOString": _exact(iso_text),
        "toISOXString": _exact(compact_text),
        "toJSON": _writer(lambda instant, _zone: iso_text(instant), None),
        "toLocaleDateString": _locale("date"),
        "toLocaleString": _locale("any"),
        "toLocaleTimeString": _locale("time"),
        "toString": _writer(full_text),
        "UTC": _utc_instant,
        "valueOf": _value,
    }
)
