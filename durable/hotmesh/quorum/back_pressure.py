"""BackPressure: how an app's consumers answer to overload, by resting between their claims.

Each engine keeps, by type of message, a moving average of how long a step takes: what its messages
wait for the database. When that is long, its process rests after each claim, about as long as the
claim's step took, and tells the others, who do the same. What is claimed stays as much as ever:
only the pauses between claims grow. So a database that is overloaded gets half of its time back,
and nothing is refused or dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from durable.protocol.graphs import Data

ALPHA: Final = 0.3  # what the latest step counts for in the average
OWN: Final = 2.0  # milliseconds of work that each message may cost: a large batch takes its time
EVERY: Final = 10  # messages between two evaluations while all is well; else each step is one
EASE: Final = 3  # evaluations in a row that must find it better before it counts as better
TELL: Final = 5.0  # seconds between two broadcasts of the same process
LAPSE: Final = 15.0  # seconds after which what was record or heard counts no more

LEVELS: Final = ("healthy", "mild", "moderate", "severe")
_FROM: Final = (0.0, 200.0, 1000.0, 5000.0)  # milliseconds at which each level begins
_RESTS: Final = ((0.0, 0.0), (100.0, 500.0), (500.0, 2000.0), (2000.0, 5000.0))
_WORST: Final = 20_000.0  # milliseconds: the rest grows no more from here on


def level_of(score: float) -> int:
    """How bad an average step of so many milliseconds is: 0 (healthy) to 3 (severe)."""
    return max(level for level, begins in enumerate(_FROM) if score >= begins)


def rest_of(level: int, score: float) -> float:
    """Milliseconds of rest between claims: more towards the end of a level than at its beginning.

    Example:
        >>> rest_of(0, 150), rest_of(1, 200), rest_of(1, 600), rest_of(2, 9000)
        (0.0, 100.0, 300.0, 2000.0)
    """
    least, most = _RESTS[level]
    begins, ends = _FROM[level], _FROM[level + 1] if level + 1 < len(_FROM) else _WORST
    share = min(max((score - begins) / (ends - begins), 0.0), 1.0)
    return least + (most - least) * share


@dataclass
class LoadMonitor:
    """What one process feels: averages by type of message, and the level that follows; pure."""

    averages: dict[str, float] = field(default_factory=dict)
    level: int = 0
    _since: int = 0
    _better: int = 0

    @property
    def score(self) -> float:
        """The worst of the averages, in milliseconds."""
        return max(self.averages.values(), default=0.0)

    def record(self, kinds: Mapping[str, int], milliseconds: float) -> bool:
        """A step with so many messages of each type took so long; whether the level was looked at.

        It rises at once, and falls when `EASE` evaluations in a row have found it lower.
        """
        messages = sum(kinds.values())
        waited = max(milliseconds - OWN * messages, 0.0)
        for kind in kinds:
            before = self.averages.get(kind, 0.0)
            self.averages[kind] = before + ALPHA * (waited - before)
        self._since += messages
        if self._since < EVERY and self.level == 0:
            return False
        self._since = 0
        found = level_of(self.score)
        self._better = self._better + 1 if found < self.level else 0
        if found >= self.level or self._better >= EASE:
            self.level, self._better = found, 0
        return True


@dataclass(frozen=True, slots=True)
class _Report:
    rest: float  # milliseconds
    until: float


class BackPressure:
    """What this process feels and has heard of, and how long its consumers rest for it.

    Args:
        guid: by which others know this process.
        tell: says something to the others.
        clock: seconds, monotonic.
    """

    def __init__(
        self, guid: str, tell: Callable[[dict[str, object]], None], clock: Callable[[], float]
    ) -> None:
        self._guid = guid
        self._tell = tell
        self._clock = clock
        self._monitor = LoadMonitor()
        self._reports: dict[str, _Report] = {}
        self._told_at = -TELL
        self._told_level = 0

    def record(self, kinds: Mapping[str, int], milliseconds: float) -> None:
        """A step of an engine with so many messages of each type took so long."""
        if kinds and self._monitor.record(kinds, milliseconds):
            level = self._monitor.level
            self._note(self._guid, rest_of(level, self._monitor.score))
            self._broadcast(level)

    def _broadcast(self, level: int) -> None:
        """Tell the others, at most every `TELL` seconds, and that it is over at once."""
        over = level == 0 and self._told_level > 0
        if over or (level > 0 and self._clock() - self._told_at >= TELL):
            self._told_at, self._told_level = self._clock(), level
            score = self._monitor.score
            self._tell(
                {
                    "type": "duress",
                    "level": LEVELS[level],
                    "duress_score_ms": round(score, 3),
                    "throttle_ms": round(rest_of(level, score), 3),
                }
            )

    def heard(self, message: Data) -> None:
        """Another process has told of its duress; its own message says nothing new."""
        if message["originator"] != self._guid:
            self._note(message["originator"], float(message["throttle_ms"]))

    def _note(self, guid: str, rest: float) -> None:
        now = self._clock()
        self._reports = {g: r for g, r in self._reports.items() if r.until > now}
        if rest > 0:
            self._reports[guid] = _Report(rest, now + LAPSE)
        else:
            self._reports.pop(guid, None)

    def rest(self) -> float:
        """Seconds that consumers rest between claims now: the longest that anybody asks for."""
        if not self._reports:
            return 0.0
        now = self._clock()
        return max((r.rest for r in self._reports.values() if r.until > now), default=0.0) / 1000

    def profile(self) -> dict[str, object]:
        """What roll call says of it."""
        return {
            "duress_level": LEVELS[self._monitor.level],
            "duress_score_ms": round(self._monitor.score, 3),
            "duress_per_type": {k: round(v, 3) for k, v in self._monitor.averages.items()},
            "duress_throttle_ms": round(self.rest() * 1000, 3),
        }
