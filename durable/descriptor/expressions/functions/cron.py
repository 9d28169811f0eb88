"""`@cron`: schedules. The parser is `cronsim`, which the extra `cron` installs.

It reads what Debian's cron reads, five fields, or six with seconds first, and Quartz's L, LW and #.
What runs at fixed times (neither minute nor hour begins with *) runs once: when clocks are put
forward, at the end of the hour that is skipped; when they are put back, in the first of the two.
Other expressions go by the clock as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final

from durable.descriptor.expressions.functions.arguments import (
    Arguments,
    Function,
    Refusal,
    describe,
)
from durable.descriptor.expressions.locale_text import LocaleError, named_zone
from durable.descriptor.expressions.values import is_nullish, number

MISSING: Final = (
    None
    if find_spec("cronsim")
    else "cron expressions need a parser that is not installed:"
    " pip install 'durable-postgres[cron]'"
)
"""What to do before the functions can work, None when they can."""

LONGEST: Final = 200  # characters
_NAMED: Final = MappingProxyType(
    {
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
        "@monthly": "0 0 1 * *",
        "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@hourly": "0 * * * *",
    }
)
_MINUTE_FIELDS: Final = 5  # those of an expression without seconds
_LONGEST_SKIP: Final = timedelta(hours=3)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _next_delay(args: Arguments) -> float:
    """Seconds until the schedule's next time; -1 where there is no schedule."""
    if is_nullish(args[0]):
        return -1
    text = args[0]
    if not isinstance(text, str) or len(text) > LONGEST:
        raise Refusal(f"a schedule is a text such as '0 9 * * MON-FRI', not {describe(text)}")
    now = args.context.now()
    following = next_time(text, _EPOCH + timedelta(milliseconds=math.floor(now)), _zone(args))
    return number(((following - _EPOCH) / timedelta(milliseconds=1) - now) / 1000)


def _zone(args: Arguments) -> tzinfo:
    if is_nullish(args[1]):
        return args.context.zone
    try:
        return named_zone(args[1])
    except LocaleError as error:
        raise Refusal(str(error)) from error


def next_time(text: str, now: datetime, zone: tzinfo) -> datetime:
    """The schedule's first time after `now` by the clocks of the zone, in UTC.

    Raises `Refusal` for what is not a schedule, or has no time within the next 50 years.
    """
    from cronsim import CronSimError  # noqa: PLC0415 - an extra: see MISSING

    try:
        # The parser goes by one zone's clock. In an hour that comes twice the time of the first may
        # still be to come on that clock, and be over: what is later is said in UTC.
        times = _times(_NAMED.get(text.strip().lower(), text), now.astimezone(zone))
        return next(time for time in (t.astimezone(UTC) for t in times) if time > now)
    except CronSimError as error:
        raise Refusal(f"{text!r} is not a schedule: {error}") from error
    except StopIteration as error:
        raise Refusal(f"{text!r} has no time within the next 50 years") from error


def _times(text: str, now: datetime) -> Iterator[datetime]:
    """The times of an expression from about `now` on, by the clock of its zone.

    The parser takes care of skipped and doubled hours for five fields only. With seconds, what runs
    at fixed times is followed by its minutes.
    """
    from cronsim import CronSim  # noqa: PLC0415 - an extra: see MISSING

    times = CronSim(text, now)
    fields = text.split()[1:]
    if len(fields) < _MINUTE_FIELDS or any(field.startswith("*") for field in fields[:2]):
        return times
    seconds = sorted(times.seconds)
    # What stands in a skipped hour comes later than it stands: a look back finds it.
    minutes = CronSim(" ".join(fields), now - _LONGEST_SKIP)
    return (minute + timedelta(seconds=s) for minute in minutes for s in seconds)


FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType({"nextDelay": _next_delay})
