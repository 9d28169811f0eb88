"""The retry policy: how often, and how long between."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from durable.errors import ConfigurationError
from durable.protocol.durations import Duration, seconds
from durable.protocol.failures import Failure

FOR_EVER: Final = 2**31 - 1
"""What stands in a column, and in a descriptor, for no limit of attempts."""

_COEFFICIENT_MAX = 1e300  # beyond it, not even the second delay is a number


def _attempts(given: object) -> int | None:
    """How many attempts; None for ever."""
    if given is None or given in (math.inf, FOR_EVER):
        return None
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ConfigurationError(
            f"maximum_attempts={given!r}: it counts the first attempt too, "
            "so it is a whole number of 1 or more; None means for ever"
        )
    if given > FOR_EVER:
        raise ConfigurationError(
            f"maximum_attempts is too large: at most {FOR_EVER:,} can be counted;"
            " None means for ever"
        )
    return given


def _unwanted(given: object) -> tuple[type[BaseException] | str, ...]:
    if isinstance(given, (str, type)):
        given = (given,)
    names: tuple[Any, ...] = tuple(given) if isinstance(given, Iterable) else (given,)
    for name in names:
        if not isinstance(name, str) and not (
            isinstance(name, type) and issubclass(name, BaseException)
        ):
            raise ConfigurationError(
                f"non_retryable has {name!r:.100}: give exception classes, or their names"
            )
    return names


def _is_among(name: str, known: set[str]) -> bool:
    """Whether a class, or a name, is one of these."""
    module, colon, qualname = name.rpartition(":")
    if not colon:
        return any(name in _names_of(one) for one in known)
    # A module that is run by itself has another name there.
    return name in known or any(
        one.endswith(f":{qualname}") and "__main__" in (module, one.partition(":")[0])
        for one in known
    )


def _names_of(known: str) -> set[str]:
    """How a class may be named: "app:Bank.Declined" as Declined, Bank.Declined and with module."""
    qualname = known.rpartition(":")[2]
    return {known, qualname, qualname.rpartition(".")[2], known.replace(":", ".")}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a failed attempt is tried again.

    Args:
        maximum_attempts: how many attempts there may be, the first one included; 1 means never
            again: such a step runs at most once. None (or `math.inf`) means that it is tried for
            ever.
        backoff_coefficient: by what the delay grows from one retry to the next, at least 1.
        maximum_interval: the longest delay (seconds, `timedelta` or text).
        initial_interval: the delay before the first retry; `backoff_coefficient` seconds unless
            given.
        non_retryable: exception classes that are never retried, their subclasses included; or
            names: those of classes, or types of `ApplicationError`. Groups and what an exception
            was raised from are looked into.

    The delay before retry n is min(initial_interval × backoff_coefficient**(n−1),
    maximum_interval).

    Example:
        >>> [RetryPolicy(backoff_coefficient=2).delay(n) for n in (1, 2, 3)]
        [2.0, 4.0, 8.0]
    """

    maximum_attempts: int | None = 3
    backoff_coefficient: float = 10
    maximum_interval: Duration = "120s"
    initial_interval: Duration | None = None
    non_retryable: tuple[type[BaseException] | str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "maximum_attempts", _attempts(self.maximum_attempts))
        growth: object = self.backoff_coefficient
        if not isinstance(growth, (int, float)) or not 1 <= growth <= _COEFFICIENT_MAX:
            raise ConfigurationError(
                f"backoff_coefficient={growth!r:.100}: it must be a number between 1 and"
                f" {_COEFFICIENT_MAX:g}"
            )
        seconds(self.maximum_interval)
        if self.initial_interval is not None:
            seconds(self.initial_interval)
        object.__setattr__(self, "non_retryable", _unwanted(self.non_retryable))

    def delay(self, retry: int) -> float:
        """Seconds to wait before retry number `retry`, counted from 1."""
        first = (
            self.backoff_coefficient
            if self.initial_interval is None
            else seconds(self.initial_interval)
        )
        longest = seconds(self.maximum_interval)
        try:
            grown = first * float(self.backoff_coefficient) ** (retry - 1)
        except OverflowError:  # far beyond the longest, unless there is nothing to grow
            grown = longest if first else 0.0
        return min(grown, longest)

    def delay_after(
        self,
        attempt: int,
        failure: Failure | None = None,
        *,
        most: int | None = None,
        remaining: float | None = None,
    ) -> float | None:
        """Seconds until the attempt that follows a failed one; None when it was the last.

        The policy decides, unless the failure forbids retries or names its own delay, or the next
        attempt would begin too late.

        Args:
            attempt: the one that failed, counted from 1.
            failure: how, where that is known.
            most: how many attempts this kind of failure may have, unless as many as any.
            remaining: seconds in which the next attempt has to begin.

        Example:
            >>> [RetryPolicy(maximum_attempts=2).delay_after(n) for n in (1, 2)]
            [10.0, None]
        """
        if attempt >= (self.most if most is None else most):
            return None
        if failure is not None and self.forbids(failure):
            return None
        advised = None if failure is None else failure.next_retry_delay
        delay = self.delay(attempt) if advised is None else advised
        return None if remaining is not None and delay > remaining else delay

    @property
    def most(self) -> int:
        """How many attempts there may be, as columns have it: `FOR_EVER` for None."""
        return FOR_EVER if self.maximum_attempts is None else self.maximum_attempts

    @property
    def non_retryable_names(self) -> tuple[str, ...]:
        """By what failures are compared; a class stands for "module:qualname"."""
        return tuple(
            t if isinstance(t, str) else f"{t.__module__}:{t.__qualname__}"
            for t in self.non_retryable
        )

    def forbids(self, failure: Failure) -> bool:
        """Whether no attempt may follow this failure, whatever is left.

        It says so itself (`non_retryable`), or it is one of the policy's: the exception or a base
        of its class, a member of a group, or what it was raised from.
        """
        if failure.non_retryable or failure.kind == "payload":
            return True
        known = {failure.type, failure.path, *failure.ancestry}
        return any(_is_among(name, known) for name in self.non_retryable_names)
