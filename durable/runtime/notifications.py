"""The payloads of notifications, written and read here alone.

Every role of the database may notify every channel, so a notification is only an occasion to look,
and it is read strictly: an unknown payload is ignored, and so is a number that no row can have.
What would stop or drop something is looked up in the tables first by the process that is notified:
writing there takes grants, notifying does not.

Builds run beside each other during an upgrade. These payloads are of version 1, which has no mark;
one of a later version begins with the word `v2`, `v3` and so on. This build ignores those, as it
does any word it does not know: the poll beneath finds what they were about. So a new form either
goes on a channel of its own, or is sent beside the old one until no older build runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from durable.telemetry.logs import logger

_LARGEST: Final = 2**63 - 1  # of a row's id
_DIGITS: Final = frozenset("0123456789")
_LONGEST: Final = 19  # digits


class MemberKind(Enum):
    """What a member is notified of; the value is the mark before the number."""

    INBOX = ""
    ENDED = "e"
    UNWANTED = "x"


class QueueKind(StrEnum):
    """What a queue holds something new of."""

    TURN = "turn"
    ACTIVITY = "activity"
    WORK = "worker"  # of a topic of graphs
    ANY = ""

    @classmethod
    def of(cls, message_type: str) -> QueueKind:
        """That of a row's type; all workers are notified of one that this build does not know."""
        return _QUEUE_KINDS.get(message_type, cls.ANY)


@dataclass(frozen=True, slots=True)
class QueueNews:
    """A queue holds something new.

    Attributes:
        kind: of what.
        amount: how many; 0: all workers are to claim.
        number: another each time, by which the first rank moves on.
    """

    kind: QueueKind
    amount: int = 0
    number: int = 0

    @property
    def payload(self) -> str:
        """As it is sent."""
        return f"{self.kind} {self.amount} {self.number}" if self.amount else self.kind.value


@dataclass(frozen=True, slots=True)
class MemberNews:
    """A notice to one member; those for one member are sent together.

    Attributes:
        kind: INBOX (a run has something to read), ENDED (a run), UNWANTED (an attempt).
        number: of the run or attempt; 0 for the inboxes of all runs.
    """

    kind: MemberKind
    number: int = 0

    @property
    def payload(self) -> str:
        """As it is sent."""
        return f"{self.kind.value}{self.number}"


@dataclass(frozen=True, slots=True)
class RowNews:
    """A row to be read: a job that ended, an emission, a message of the quorum."""

    number: int

    @property
    def payload(self) -> str:
        """As it is sent."""
        return str(self.number)


class RunEnded(RowNews):
    """The end of a run, for a client that waits for it; those for one client are sent together."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class EngineNews:
    """The engines of an app have something to apply."""

    payload: str = ""


News = QueueNews | MemberNews | RowNews | EngineNews


def row_id(word: str) -> int | None:
    """The id that a word is, None when no row can have it.

    Example:
        >>> row_id("17"), row_id("-1"), row_id("9" * 30), row_id("x"), row_id("")
        (17, None, None, None, None)
    """
    if word and len(word) <= _LONGEST and _DIGITS.issuperset(word) and 0 < int(word) <= _LARGEST:
        return int(word)
    _ignored(word)
    return None


def row_ids(payload: str) -> list[int]:
    """The ids that a payload names, without the words that are not ids.

    Example:
        >>> row_ids("17 x 18"), row_ids("v2 17")
        ([17, 18], [])
    """
    if not payload:
        return []
    if _is_later(payload):
        _ignored(payload)
        return []
    return [found for word in payload.split(" ") if (found := row_id(word)) is not None]


def queue_news(payload: str) -> QueueNews | None:
    """The notice on the channel of a queue, None for an unknown payload.

    Example:
        >>> queue_news("turn 3 41") == QueueNews(QueueKind.TURN, 3, 41), queue_news("turn -5 -5")
        (True, None)
    """
    kind, *numbers = payload.split(" ")
    if kind not in _QUEUE_KINDS or len(numbers) not in (0, 2):
        _ignored(payload)
        return None
    if not numbers:
        return QueueNews(_QUEUE_KINDS[kind])
    amount, number = row_id(numbers[0]), 0 if numbers[1] == "0" else row_id(numbers[1])
    if amount is None or number is None:
        return None
    return QueueNews(_QUEUE_KINDS[kind], amount, number)


def member_news(word: str) -> MemberNews | None:
    """The notice on the channel of a member, None for an unknown payload.

    Example:
        >>> member_news("x17") == MemberNews(MemberKind.UNWANTED, 17), member_news("hello")
        (True, None)
    """
    if word in ("", "0"):
        return MemberNews(MemberKind.INBOX)
    kind = _MEMBER_KINDS.get(word[0], MemberKind.INBOX)
    number = row_id(word.removeprefix(kind.value))
    return None if number is None else MemberNews(kind, number)


_QUEUE_KINDS: Final = {kind.value: kind for kind in QueueKind}
_MEMBER_KINDS: Final = {kind.value: kind for kind in MemberKind if kind.value}


def _is_later(payload: str) -> bool:
    """Whether it is of a version that this build does not know."""
    mark = payload.partition(" ")[0]
    return mark[:1] == "v" and mark[1:].isdecimal()


def _ignored(payload: str) -> None:
    logger.debug("ignored an unknown notification: %.60r", payload)
