"""Which jobs a question over statistics is about: by the key that data lead to, and by time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from durable.descriptor.commands import Plain
from durable.errors import ConfigurationError
from durable.protocol.clock import from_datetime, to_datetime
from durable.protocol.durations import Duration, seconds
from durable.protocol.graphs import Data

GRANULARITIES: Final[Mapping[str, int | None]] = MappingProxyType(
    {"5m": 5, "10m": 10, "15m": 15, "30m": 30, "1h": 60, "infinity": None}
)
"""The steps of time in which measures are kept, in minutes; None: all time is one step."""

SEGMENTS_MAX = 10_000  # steps that one answer may list
NOW = "NOW"

_FIELDS = frozenset({"data", "range", "granularity", "start", "end", "sparse", "scrub"})
_COMBINATIONS = "give start and end, or range with start or end (range alone ends now)"


def granularity_name(minutes: int | None) -> str:
    """The inverse of `GRANULARITIES`."""
    return next(name for name, found in GRANULARITIES.items() if found == minutes)


def slot_of(at: float, minutes: int | None) -> float | None:
    """The beginning of the step of time in which a moment lies; None where all time is one.

    Example:
        >>> slot_of(7 * 60.0, 5), slot_of(7 * 60.0, None)
        (300.0, None)
    """
    return None if minutes is None else float(at // (minutes * 60) * (minutes * 60))


def slot_text(slot: float | None) -> str:
    """A step of time as answers name it.

    Example:
        >>> slot_text(300.0), slot_text(None)
        ('1970-01-01T00:05Z', '0')
    """
    return "0" if slot is None else f"{to_datetime(slot):%Y-%m-%dT%H:%MZ}"


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, and the steps in which one looks at it.

    Args:
        minutes: the length of a step; None: the whole is one step.
        first: where the first step begins, Unix seconds; None: there is no beginning.
        end: where the last step ends; None: there is no end. The step in which the query's end
            lies belongs to it, so that an hour has 13 steps of five minutes.
    """

    minutes: int | None = None
    first: float | None = None
    end: float | None = None

    def slots(self) -> list[float | None]:
        """The beginnings of all its steps.

        Raises `ConfigurationError` when there are too many to be listed.
        """
        if self.minutes is None or self.first is None or self.end is None:
            return [None]
        count = round((self.end - self.first) / (self.minutes * 60))
        if count > SEGMENTS_MAX:
            raise ConfigurationError(
                f"that is {count} steps of time, and {SEGMENTS_MAX} is the most: ask with"
                " sparse=True, for a shorter range, or with a coarser granularity"
            )
        return [self.first + index * self.minutes * 60 for index in range(count)]


@dataclass(frozen=True, slots=True)
class Selection:
    """The jobs of a graph that were counted with one key, in a stretch of time.

    Args:
        facets: `name:value`, of which a job has at least one; none: any.
    """

    app_id: str
    graph: str
    key: str
    window: Window
    facets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobsQuery:
    """What `get_stats`, `get_ids` and signals to all are asked with.

    Args:
        data: what a job would be started with that has the key in question.
        granularity: the answer's steps of time; "" for those of the trigger.
        range_: as it was given.
        start, end: moments as they were given; None: not given.
        sparse: no answer by steps of time, only the whole.
        scrub: whether the index of the jobs is forgotten once it was used.
    """

    data: Data
    granularity: str = ""
    range_: Duration | None = None
    start: object = None
    end: object = None
    sparse: bool = False
    scrub: bool = False

    @classmethod
    def of(cls, given: Plain | None) -> JobsQuery:
        """A query from what callers and mappings say.

        Raises `ConfigurationError` for unknown fields, and values that make no sense.
        """
        found = dict(given or {})
        if unknown := sorted(found.keys() - _FIELDS):
            raise ConfigurationError(
                f"the query has unknown fields {unknown}; known are {sorted(_FIELDS)}"
            )
        data = found.get("data") or {}
        if not isinstance(data, Mapping):
            raise ConfigurationError(
                "query.data is what a job would be started with that has the key in question:"
                f" a dict, and not {data!r:.100}"
            )
        granularity = found.get("granularity") or ""
        if granularity and granularity not in GRANULARITIES:
            raise ConfigurationError(
                f"query.granularity is one of {', '.join(GRANULARITIES)}, and is {granularity!r}"
            )
        query = cls(
            data,
            granularity,
            found.get("range"),
            found.get("start"),
            found.get("end"),
            bool(found.get("sparse")),
            bool(found.get("scrub")),
        )
        query.stretch(math.inf)
        return query

    def window(self, own: int | None, now: float) -> Window:
        """The stretch of time that is meant, in steps of `own` minutes unless the query says.

        Raises `ConfigurationError` for steps finer than those that are kept, and for a stretch that
        has no beginning.
        """
        minutes = GRANULARITIES[self.granularity] if self.granularity else own
        if minutes is not None and (own is None or minutes % own):
            raise ConfigurationError(
                f"query.granularity {self.granularity!r} does not fit what is kept: steps of"
                f" {granularity_name(own)}"
            )
        stretch = self.stretch(now)
        if own is None:
            if stretch is not None:
                raise ConfigurationError(
                    "these statistics know no time (granularity infinity):"
                    " leave range, start and end out"
                )
            return Window()
        if stretch is None:
            if minutes is None:
                return Window()
            raise ConfigurationError(f"the query says nothing of time: {_COMBINATIONS}")
        length = (minutes or own) * 60
        first, last = (at // length * length for at in stretch)
        return Window(minutes, first, last + length)

    def stretch(self, now: float) -> tuple[float, float] | None:
        """The moments between which it is, None when the query says nothing of time."""
        start, end = _moment(self.start, "start", now), _moment(self.end, "end", now)
        if self.range_ is None:
            if start is None and end is None:
                return None
            if start is None or end is None:
                raise ConfigurationError(f"the query's time is not clear: {_COMBINATIONS}")
        else:
            length = seconds(self.range_)
            if start is not None and end is not None:
                raise ConfigurationError(f"the query's time is said twice: {_COMBINATIONS}")
            if start is not None:
                end = start + length
            else:
                end = now if end is None else end
                start = end - length
        if end < start:
            raise ConfigurationError("the query's end lies before its start")
        return start, end


def _moment(given: object, name: str, now: float) -> float | None:
    """Unix seconds; without a time zone it is UTC."""
    if given is None:
        return None
    if given == NOW:
        return now
    try:
        text = given if isinstance(given, str) else ""
        moment = given if isinstance(given, datetime) else datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"query.{name} is {NOW!r} or a moment such as '2026-11-22T21:00Z', and is {given!r}"
        ) from error
    return from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
