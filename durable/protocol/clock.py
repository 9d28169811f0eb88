"""Instants: Unix seconds, whole microseconds, so that Postgres gives back what it was given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST, _LAST = -62_135_596_800, 253_402_300_799  # years 1 and 9999


class Clock(Protocol):
    """Where a room takes the time from."""

    def now(self) -> float:
        """Unix seconds, as `whole` makes them."""
        ...


def whole(at: float) -> float:
    """The instant rounded to the microsecond."""
    return round(at * 1e6) / 1e6


def to_datetime(at: float) -> datetime:
    """Unix seconds as an aware datetime, exact to the microsecond.

    Beyond the years that a datetime has, it is the last one, or the first.
    """
    if not _FIRST <= at <= _LAST:
        return datetime.max.replace(tzinfo=UTC) if at > 0 else datetime.min.replace(tzinfo=UTC)
    return _EPOCH + _MICROSECOND * round(at * 1e6)


def from_datetime(at: datetime) -> float:
    """The inverse of `to_datetime`."""
    return (at - _EPOCH) // _MICROSECOND / 1e6
