"""When a schedule ticks; pure. Moments are whole milliseconds since 1970.

A tick has the moment for which it was planned (`due`), and the one at which it came to be
(`fired`): later when no engine ran, or the tick before it was still going on. The next tick is the
first one after `fired`: what was missed up to then is made up for by that one tick.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self

from durable.descriptor.expressions.functions.arguments import Refusal
from durable.descriptor.expressions.functions.cron import LONGEST, MISSING, next_time
from durable.descriptor.expressions.locale_text import LocaleError, named_zone
from durable.errors import ConfigurationError
from durable.protocol.durations import Duration, seconds
from durable.protocol.graphs import Data, Output

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_FIELDS = (5, 6)  # of an expression; six have seconds first


def moment(milliseconds: int) -> datetime:
    """The moment as an aware datetime in UTC."""
    return EPOCH + milliseconds * _MILLISECOND


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron expression by the clocks of a zone, or an interval; one of the two is None.

    Args:
        interval, delay: milliseconds. delay: how long nothing ticks at first; None for what the
            kind of schedule makes of it.
    """

    expression: str | None
    interval: int | None
    zone: str = "UTC"
    delay: int | None = None

    def to_dict(self) -> Output:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Data) -> Self:
        """The inverse of `to_dict`."""
        return cls(data["expression"], data["interval"], data["zone"], data["delay"])

    def first(self, begun: int) -> int:
        """The first tick of a schedule that began at a moment.

        An interval's is due after the delay, or one interval; an expression's is its first moment
        after the delay.
        """
        if self.interval is not None:
            return begun + (self.interval if self.delay is None else self.delay)
        return self._following(begun + (self.delay or 0))

    def after(self, due: int, fired: int) -> int:
        """The tick that follows one that was due and came to be at these moments.

        Intervals are counted from `due`, so that nothing adds up.
        """
        if self.interval is not None:
            return due + (max(fired - due, 0) // self.interval + 1) * self.interval
        return self._following(max(due, fired))

    def _following(self, at: int) -> int:
        try:
            zone: tzinfo = named_zone(self.zone)
            return (next_time(self.expression or "", moment(at), zone) - EPOCH) // _MILLISECOND
        except (Refusal, LocaleError) as error:
            raise ConfigurationError(
                f"the schedule {self.expression!r} in the zone {self.zone!r}: {error}"
            ) from error


def schedule_of(interval: Duration, delay: Duration | None, zone: str) -> Schedule:
    """The schedule that a caller describes: `interval` is a duration, or a cron expression.

    Raises `ConfigurationError` for what is neither, for a zone that there is not, and for an
    expression where its parser is not installed.

    Example:
        >>> schedule_of("1 hour", None, "UTC").interval
        3600000
        >>> schedule_of("0 9 * * MON-FRI", None, "Europe/Berlin").expression
        '0 9 * * MON-FRI'
    """
    later = None if delay is None else _milliseconds(delay)
    if isinstance(interval, str) and _is_expression(interval):
        if MISSING is not None:
            raise ConfigurationError(MISSING)
        if len(interval) > LONGEST:
            raise ConfigurationError(f"a schedule has at most {LONGEST} characters")
        schedule = Schedule(interval, None, zone, later)
        schedule.first(0)  # raises for what is no expression, or no zone
        return schedule
    length = _milliseconds(interval)
    if length < 1:
        raise ConfigurationError(f"interval={interval!r}: it must be a millisecond or more")
    return Schedule(None, length, "UTC", later)


def _milliseconds(duration: Duration) -> int:
    return round(seconds(duration) * 1000)


def _is_expression(text: str) -> bool:
    """Five or six fields, of which the first two never have letters, or a name such as @daily."""
    fields = text.split()
    has_words = any(c.isalpha() for field in fields[:2] for c in field)
    return text.lstrip().startswith("@") or (len(fields) in _FIELDS and not has_words)
