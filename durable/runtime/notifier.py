"""Sends notifications after their commit: those of one moment go as one statement."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator

from durable.errors import DatabaseError
from durable.runtime.channels import Channel
from durable.runtime.notifications import MemberNews, News, QueueKind, QueueNews, RunEnded
from durable.telemetry.logs import logger

WORDS = 200  # of one notification: its payload has to stay below 8,000 bytes
SILENCE = 1.0  # seconds that closing waits for the last answer


class Notifier:
    """Sends notifications, each once in a moment, in a transaction of their own.

    NOTIFY inside a writing transaction would serialise every commit of the cluster behind its
    fsync; this one writes nothing and so waits for no disk. A crash between the commit and its
    notification is caught by the polling beneath.

    Args:
        send: sends payloads on channels, as one statement.
    """

    def __init__(self, send: Callable[[list[str], list[str]], Awaitable[object]]) -> None:
        self._send = send
        self._queues: dict[tuple[Channel, QueueKind], int] = {}
        self._rows: dict[tuple[Channel, str], None] = {}
        self._words: dict[Channel, dict[str, None]] = {}
        self._numbers = itertools.count()
        self._task: asyncio.Task[None] | None = None

    def notify(self, channel: Channel, news: News) -> None:
        """Send it soon.

        Amounts of one queue and kind are added up, unless all workers are to claim, and get a
        number. What is for one member or client goes as one payload.
        """
        if isinstance(news, QueueNews):
            key = channel, news.kind
            known = self._queues.get(key)
            self._queues[key] = (
                news.amount if known is None else known and news.amount and known + news.amount
            )
        elif isinstance(news, (MemberNews, RunEnded)):
            self._words.setdefault(channel, {})[news.payload] = None
        else:
            self._rows[channel, news.payload] = None
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(
                self._drain(), name="durable notifier"
            )

    def _waiting(self) -> Iterator[tuple[str, str]]:
        for (channel, kind), amount in self._queues.items():
            number = next(self._numbers) if amount else 0
            yield channel, QueueNews(kind, amount, number).payload
        yield from self._rows
        for channel, words in self._words.items():
            for some in _parts(list(words)):
                yield channel, " ".join(some)

    async def _drain(self) -> None:
        while batch := list(self._waiting()):
            self._queues.clear()
            self._rows.clear()
            self._words.clear()
            try:
                await self._send(
                    [channel for channel, _ in batch], [payload for _, payload in batch]
                )
            except DatabaseError as error:  # the poll beneath finds what was not announced
                logger.debug("not announced: %s", error)
            except Exception as error:  # noqa: BLE001 - a bug: what waits is announced all the same
                logger.error("could not announce: %s", error, exc_info=error)

    async def close(self) -> None:
        """Send what is waiting, then stop; a server that does not answer is left."""
        if self._task is not None and (await asyncio.wait([self._task], timeout=SILENCE))[1]:
            self._task.cancel()  # not awaited: the driver waits for the server even then


def _parts(words: list[str]) -> list[list[str]]:
    return [words[n : n + WORDS] for n in range(0, len(words), WORDS)]
