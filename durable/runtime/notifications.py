"""What notifications say, read strictly: any role of the database may notify any channel.

So a notification is never more than a hint to look. Words that are none of ours are ignored, and so
is a number that no row can have. What stops or drops something is looked up in the tables first, by
whoever hears it: writing there takes grants, notifying does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from durable.telemetry.logs import logger

_LARGEST: Final = 2**63 - 1  # of a row's id
_DIGITS: Final = frozenset("0123456789")
_LONGEST: Final = 19  # digits
_QUEUE_KINDS: Final = ("turn", "activity", "")
_MEMBER_KINDS: Final = {"x": "unwanted", "e": "ended"}


@dataclass(frozen=True, slots=True)
class QueueNews:
    """A queue holds something new.

    Attributes:
        kind: `turn`, `activity` or "" for both.
        amount: how many; 0: all who hear it are to look.
        number: another each time; it says whose turn it is to look.
    """

    kind: str
    amount: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class MemberNews:
    """Something for one member.

    Attributes:
        kind: `inbox` (a run has something to read), `ended` (a run), `unwanted` (an attempt).
        number: of the run or attempt; 0 for the inboxes of all runs.
    """

    kind: str
    number: int = 0


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


def queue_news(payload: str) -> QueueNews | None:
    """What was said on the channel of a queue, None when it is none of our words.

    Example:
        >>> queue_news("turn 3 41"), queue_news("turn -5 -5")
        (QueueNews(kind='turn', amount=3, number=41), None)
    """
    kind, *numbers = payload.split(" ")
    if kind not in _QUEUE_KINDS or len(numbers) not in (0, 2):
        _ignored(payload)
        return None
    if not numbers:
        return QueueNews(kind)
    amount, number = row_id(numbers[0]), 0 if numbers[1] == "0" else row_id(numbers[1])
    if amount is None or number is None:
        return None
    return QueueNews(kind, amount, number)


def member_news(word: str) -> MemberNews | None:
    """What was said on the channel of a member, None when it is none of our words.

    Example:
        >>> member_news("17"), member_news("x17"), member_news("hello")
        (MemberNews(kind='inbox', number=17), MemberNews(kind='unwanted', number=17), None)
    """
    if word in ("", "0"):
        return MemberNews("inbox")
    kind = _MEMBER_KINDS.get(word[0])
    number = row_id(word if kind is None else word[1:])
    return None if number is None else MemberNews(kind or "inbox", number)


def _ignored(payload: str) -> None:
    logger.debug("ignored a notification that is none of ours: %.60r", payload)
