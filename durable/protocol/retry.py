"""The retry policy: how often, and how long between."""

from __future__ import annotations

from dataclasses import dataclass

from durable.errors import ConfigurationError
from durable.protocol.durations import Duration, seconds


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a failed attempt is tried again.

    Args:
        maximum_attempts: how many attempts there may be, the first one included; 1 means never
            again: such a step runs at most once.
        backoff_coefficient: by what the delay grows from one retry to the next, at least 1.
        maximum_interval: the longest delay (seconds, `timedelta` or text).
        initial_interval: the delay before the first retry; `backoff_coefficient` seconds unless
            given.
        non_retryable: exception types, or their names, that are never retried.

    The delay before retry n is min(initial_interval × backoff_coefficient**(n−1),
    maximum_interval).

    Example:
        >>> [RetryPolicy(backoff_coefficient=2).delay(n) for n in (1, 2, 3)]
        [2.0, 4.0, 8.0]
    """

    maximum_attempts: int = 3
    backoff_coefficient: float = 10
    maximum_interval: Duration = "120s"
    initial_interval: Duration | None = None
    non_retryable: tuple[type[BaseException] | str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.maximum_attempts, bool) or self.maximum_attempts < 1:
            raise ConfigurationError(
                f"maximum_attempts={self.maximum_attempts!r}: it counts the first attempt too, "
                "so it is 1 or more"
            )
        if not self.backoff_coefficient >= 1:
            raise ConfigurationError(
                f"backoff_coefficient={self.backoff_coefficient!r}: it must be at least 1"
            )
        seconds(self.maximum_interval)
        if self.initial_interval is not None:
            seconds(self.initial_interval)
        object.__setattr__(self, "non_retryable", tuple(self.non_retryable))

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

    @property
    def non_retryable_names(self) -> tuple[str, ...]:
        """The names by which failures are compared: a class stands for its own name."""
        return tuple(t if isinstance(t, str) else t.__name__ for t in self.non_retryable)
