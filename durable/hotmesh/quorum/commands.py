"""What a throttle may say, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from durable.errors import ConfigurationError
from durable.protocol.limits import COUNT_MAX, check_text

_KEYS = {"throttle", "guid", "topic", "scope"}
_SCOPES = ("all", "engines", "workers")


@dataclass(frozen=True, slots=True)
class Throttle:
    """How fast to claim: -1 not at all, else milliseconds between claims, 0 as fast as can be.

    `target` is "all", "engines", "workers", "topic" or "guid"; `name` the topic or guid, else "".
    `of`: of a guid, the topic that its worker serves.
    """

    milliseconds: int
    target: str
    name: str = ""
    of: str | None = None

    def concerns(self, guid: str, topic: str | None) -> bool:
        """Whether it is for this consumer; `topic` is None for an engine."""
        return {
            "all": True,
            "engines": topic is None,
            "workers": topic is not None,
            "topic": topic == self.name,
            "guid": guid == self.name,
        }[self.target]

    def message(self) -> dict[str, object]:
        """As the quorum hears of it."""
        said: dict[str, object] = {"type": "throttle", "throttle": self.milliseconds}
        if self.target in ("guid", "topic"):
            return {**said, self.target: self.name}
        return {**said, "scope": self.target}


def throttle_of(options: Mapping[str, object]) -> Throttle:
    """Read `{"throttle": …, "guid"?, "topic"?, "scope"?}`.

    Raises `ConfigurationError` that says what is wrong.

    Example:
        >>> throttle_of({"throttle": -1, "topic": "mail"})
        Throttle(milliseconds=-1, target='topic', name='mail', of=None)
    """
    if unknown := sorted(options.keys() - _KEYS):
        raise ConfigurationError(f"throttle has unknown options {unknown}; known: {sorted(_KEYS)}")
    value = options.get("throttle")
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= COUNT_MAX:
        raise ConfigurationError(
            f"throttle={value!r}: give -1 (pause), 0 (resume), or whole milliseconds between"
            f" claims, {COUNT_MAX:,} at most"
        )
    scope = options.get("scope") or "all"
    if scope not in _SCOPES:
        raise ConfigurationError(f"scope={scope!r}: it is one of {', '.join(_SCOPES)}")
    guid, topic = _consumer("guid", options), _consumer("topic", options)
    if guid and not topic and scope != "all":
        raise ConfigurationError("a throttle with a guid is for that consumer; leave out the scope")
    if topic and scope == "engines":
        raise ConfigurationError("engines serve no topic: leave out the topic, or the scope")
    if guid:
        return Throttle(value, "guid", guid, topic)
    return Throttle(value, "topic", topic) if topic else Throttle(value, scope)


def _consumer(option: str, options: Mapping[str, object]) -> str | None:
    """Whom a throttle is for. Empty text is refused: it would mean everyone."""
    given = options.get(option)
    return None if given is None else check_text(option, given, "throttle")
