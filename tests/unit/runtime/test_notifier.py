"""Notifications: what is said in one moment goes as one statement."""

from __future__ import annotations

import asyncio

import pytest

from durable.runtime.channels import Channel
from durable.runtime.notifications import (
    MemberKind,
    MemberNews,
    News,
    QueueKind,
    QueueNews,
    RowNews,
    RunEnded,
    member_news,
    queue_news,
    row_ids,
)
from durable.runtime.notifier import WORDS, Notifier


async def test_amounts_of_one_moment_are_added_up() -> None:
    """Each channel and word once, with the sum; a word that is for everybody takes no sum."""
    sent: list[list[tuple[str, str]]] = []
    done = asyncio.Event()

    async def send(channels: list[str], payloads: list[str]) -> None:
        sent.append(list(zip(channels, payloads, strict=True)))
        done.set()

    notifier = Notifier(send)
    a, b, c = Channel("a"), Channel("b"), Channel("c")
    notifier.notify(a, QueueNews(QueueKind.TURN, 1))
    notifier.notify(a, QueueNews(QueueKind.TURN, 2))
    notifier.notify(a, QueueNews(QueueKind.ACTIVITY, 1))
    notifier.notify(b, QueueNews(QueueKind.TURN, 1))
    notifier.notify(b, QueueNews(QueueKind.TURN))
    notifier.notify(b, QueueNews(QueueKind.TURN, 5))
    notifier.notify(c, RowNews(7))
    notifier.notify(c, RowNews(7))
    await done.wait()
    assert sent == [[("a", "turn 3 0"), ("a", "activity 1 1"), ("b", "turn"), ("c", "7")]]
    done.clear()
    notifier.notify(a, QueueNews(QueueKind.TURN, 1))
    await done.wait()
    assert sent[1] == [("a", "turn 1 2")]
    await notifier.close()


async def test_words_of_one_moment_are_one_notification() -> None:
    """Each word once, with spaces between; so many of the longest fit into one payload."""
    sent: list[list[tuple[str, str]]] = []
    done = asyncio.Event()

    async def send(channels: list[str], payloads: list[str]) -> None:
        sent.append(list(zip(channels, payloads, strict=True)))
        done.set()

    notifier = Notifier(send)
    a, b = Channel("a"), Channel("b")
    words = [MemberNews(MemberKind.UNWANTED, 2**63 - n) for n in range(1, WORDS + 3)]
    longest = [word.payload for word in words]
    for word in words:
        notifier.notify(a, word)
        notifier.notify(a, word)
    notifier.notify(b, RunEnded(7))
    notifier.notify(b, QueueNews(QueueKind.TURN, 1))
    await done.wait()
    assert sent == [
        [
            ("b", "turn 1 0"),
            ("a", " ".join(longest[:WORDS])),
            ("a", " ".join(longest[WORDS:])),
            ("b", "7"),
        ]
    ]
    assert len(sent[0][1][1]) < 8000
    await notifier.close()


@pytest.mark.parametrize("kind", list(QueueKind))
@pytest.mark.parametrize("amount", [0, 3])
def test_what_a_queue_is_said_to_hold_is_read_as_it_was_sent(kind: QueueKind, amount: int) -> None:
    """Each kind, for everybody or for as many as there is work for."""
    news = QueueNews(kind, amount, 7 if amount else 0)
    assert queue_news(news.payload) == news


@pytest.mark.parametrize("kind", list(MemberKind))
def test_what_a_member_is_told_is_read_as_it_was_sent(kind: MemberKind) -> None:
    """Each kind, with the row that it is about."""
    assert member_news(MemberNews(kind, 17).payload) == MemberNews(kind, 17)


@pytest.mark.parametrize("payload", ["v2 17", "v2 turn 3 4", "v10"])
def test_a_later_version_of_the_envelope_is_ignored(payload: str) -> None:
    """What a later build says to its like is no word of ours, whatever it holds."""
    assert queue_news(payload) is None
    assert row_ids(payload) == []
    assert [member_news(word) for word in payload.split(" ")[:1]] == [None]


@pytest.mark.parametrize(
    ("news", "payload"),
    [
        (QueueNews(QueueKind.TURN, 3, 41), "turn 3 41"),
        (QueueNews(QueueKind.ACTIVITY), "activity"),
        (QueueNews(QueueKind.WORK), "worker"),
        (QueueNews(QueueKind.ANY), ""),
        (MemberNews(MemberKind.INBOX, 17), "17"),
        (MemberNews(MemberKind.INBOX), "0"),
        (MemberNews(MemberKind.ENDED, 17), "e17"),
        (MemberNews(MemberKind.UNWANTED, 17), "x17"),
        (RunEnded(17), "17"),
        (RowNews(17), "17"),
    ],
)
def test_payloads_are_those_of_the_build_beside_us(news: News, payload: str) -> None:
    """Version 1 is what released builds write and read: it never changes."""
    assert news.payload == payload
