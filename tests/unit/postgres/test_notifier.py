"""Notifications: what is said in one moment goes as one statement."""

from __future__ import annotations

import asyncio

from durable.postgres.listen import WORDS, Notifier


async def test_amounts_of_one_moment_are_added_up() -> None:
    """Each channel and word once, with the sum; a word that is for everybody takes no sum."""
    sent: list[list[tuple[str, str]]] = []
    done = asyncio.Event()

    async def send(channels: list[str], payloads: list[str]) -> None:
        sent.append(list(zip(channels, payloads, strict=True)))
        done.set()

    notifier = Notifier(send)
    notifier.notify("a", "turn", 1)
    notifier.notify("a", "turn", 2)
    notifier.notify("a", "activity", 1)
    notifier.notify("b", "turn", 1)
    notifier.notify("b", "turn")
    notifier.notify("b", "turn", 5)
    notifier.notify("c", "7")
    await done.wait()
    assert sent == [[("a", "turn 3 0"), ("a", "activity 1 1"), ("b", "turn"), ("c", "7")]]
    done.clear()
    notifier.notify("a", "turn", 1)
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
    longest = [f"x{2**63 - n}" for n in range(1, WORDS + 3)]
    for word in longest:
        notifier.say("a", word)
        notifier.say("a", word)
    notifier.say("b", "7")
    notifier.notify("b", "turn", 1)
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
