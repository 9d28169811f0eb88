"""How long what has ended is kept, and what a pruning is asked for and answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from durable.errors import ConfigurationError
from durable.protocol.durations import Duration, seconds

Outcome = Literal["completed", "failed"]
OUTCOMES: tuple[str, ...] = get_args(Outcome)

LEAST = 60.0  # seconds: whoever waits for a result must have time to read it
MOST = 100 * 365.25 * 86400  # seconds; longer is for ever


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long ended runs are kept, with their histories and messages; None means for ever.

    Args:
        completed: runs that returned.
        failed: runs that ended in any other way (failed, cancelled, terminated, interrupted), and
            expired messages: failed attempts, dead letters, what nobody read.

    Example:
        >>> RetentionPolicy(completed="7 days", failed=None).completed
        '7 days'
    """

    completed: Duration | None = "30 days"
    failed: Duration | None = "90 days"

    def __post_init__(self) -> None:
        for name in OUTCOMES:
            value = getattr(self, name)
            if value is not None and seconds(value) > MOST:
                raise ConfigurationError(
                    f"{name}={value!r} is more than a hundred years: None means for ever"
                )

    def in_seconds(self) -> tuple[float | None, float | None]:
        """Both in seconds."""
        return _optional(self.completed), _optional(self.failed)


def _optional(value: Duration | None) -> float | None:
    return None if value is None else seconds(value)


def retention_policy(given: RetentionPolicy | Duration, least: float = LEAST) -> RetentionPolicy:
    """A policy from what an option may say: a `RetentionPolicy`, or one duration for all.

    Raises `ConfigurationError` for what is no duration, or shorter than `least` seconds.

    Example:
        >>> retention_policy("1 week")
        RetentionPolicy(completed='1 week', failed='1 week')
    """
    policy = given if isinstance(given, RetentionPolicy) else RetentionPolicy(given, given)
    if any(value is not None and value < least for value in policy.in_seconds()):
        raise ConfigurationError(
            f"retention={given!r}: ended runs are kept for at least {least:g} s, so that whoever"
            " waits for a result can read it"
        )
    return policy


@dataclass(frozen=True, slots=True)
class Pruning:
    """What to prune.

    `older_than`: seconds since the end (of jobs of graphs: since they expired); None: as the stored
    policies say. `keep`: outcomes that stay. `streams`: expired messages and early signals too.
    `app_id`: only this app of hand-written graphs.
    """

    older_than: float | None = None
    keep: tuple[str, ...] = ()
    streams: bool = True
    app_id: str | None = None

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.keep) - set(OUTCOMES)):
            raise ConfigurationError(f"keep={unknown}: what can be kept is {list(OUTCOMES)}")
        if self.older_than is not None and self.older_than > MOST:
            raise ConfigurationError("older_than is more than a hundred years: nothing is so old")


def pruning(
    older_than: Duration | None,
    keep: Iterable[str] | str,
    *,
    streams: bool,
    app_id: str | None = None,
) -> Pruning:
    """A `Pruning` from what callers say."""
    kept = (keep,) if isinstance(keep, str) else tuple(keep)
    return Pruning(_optional(older_than), kept, streams, app_id)


@dataclass(frozen=True, slots=True)
class Pruned:
    """How much was pruned, or would be.

    Attributes:
        runs: runs of functions, with their histories, attempts and messages.
        jobs: jobs of hand-written graphs, with all that belongs to them.
        messages: expired rows of the streams, of runs that are still there.
        signals: signals that came before anybody waited, and for which nobody ever did.
    """

    runs: int = 0
    jobs: int = 0
    messages: int = 0
    signals: int = 0

    def __add__(self, other: Pruned) -> Pruned:
        return Pruned(
            self.runs + other.runs,
            self.jobs + other.jobs,
            self.messages + other.messages,
            self.signals + other.signals,
        )

    @property
    def total(self) -> int:
        """All of it."""
        return self.runs + self.jobs + self.messages + self.signals
