"""Notifications of what a commit has brought, sent after it: names on channels, never data.

A channel of this very process is served by a call; the others by the notifier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

from durable.postgres.listener import Listener, OnNotification
from durable.runtime import channels
from durable.runtime.channels import Channel
from durable.runtime.notifications import (
    EngineNews,
    MemberKind,
    MemberNews,
    QueueKind,
    QueueNews,
    RunEnded,
)
from durable.runtime.notifier import Notifier


class Announcer:
    """Sends and receives the notifications of one namespace."""

    def __init__(self, namespace: str, listener: Listener, notifier: Notifier) -> None:
        self._namespace = namespace
        self._listener = listener
        self._notifier = notifier
        self._local: dict[str, OnNotification] = {}

    async def listen_queue(self, queue: str, callback: OnNotification) -> None:
        """Have `callback` called when the queue holds something new.

        It gets a payload, which `queue_news` reads.
        """
        await self._listener.listen(channels.queue(self._namespace, queue), callback)

    async def unlisten_queue(self, queue: str, callback: OnNotification) -> None:
        """The end of `listen_queue`."""
        await self._listener.unlisten(channels.queue(self._namespace, queue), callback)

    async def listen_own(self, channel: Channel, callback: OnNotification) -> None:
        """Listen on a channel that only this process has (a member's, a client's).

        `callback` is called with one word at a time; with an empty one, it is to look for itself.
        """
        each = self._local[channel] = partial(_each, callback)
        await self._listener.listen(channel, each)

    async def unlisten_own(self, channel: Channel) -> None:
        """The end of `listen_own`."""
        callback = self._local.pop(channel, None)
        if callback is not None:
            await self._listener.unlisten(channel, callback)

    def member_channel(self, member: int) -> Channel:
        """The channel of a member."""
        return channels.member(self._namespace, member)

    def queue(self, queue: str, kind: QueueKind, amount: int = 1) -> None:
        """The queue holds so many new turns or activities; 0: every worker looks."""
        self._notifier.notify(channels.queue(self._namespace, queue), QueueNews(kind, amount))

    def engine(self, app: str) -> None:
        """The engines of the app have something to apply."""
        self._notifier.notify(channels.engine(self._namespace, app), EngineNews())

    def inbox(self, member: int, run_id: int) -> None:
        """Something arrived for a run that `member` holds."""
        self._member(member, MemberKind.INBOX, run_id)

    def arrived(self, run_id: int, holder: int | None, queue: str | None) -> None:
        """Something arrived for a run: notify its holder, else its queue."""
        if holder is not None:
            self.inbox(holder, run_id)
        elif queue is not None:
            self.queue(queue, QueueKind.TURN)

    def over(self, member: int, run_id: int) -> None:
        """A run that `member` holds was ended from outside."""
        self._member(member, MemberKind.ENDED, run_id)

    def unwanted(self, member: int, message: int) -> None:
        """No run waits any more for an attempt that `member` runs."""
        self._member(member, MemberKind.UNWANTED, message)

    def ended(self, run_id: int, waiters: Iterable[str]) -> None:
        """A run ended; `waiters` are the channels left in its job row."""
        for channel in waiters:
            self._own(Channel(channel), RunEnded(run_id))

    def _member(self, member: int, kind: MemberKind, number: int) -> None:
        self._own(channels.member(self._namespace, member), MemberNews(kind, number))

    def _own(self, channel: Channel, news: MemberNews | RunEnded) -> None:
        callback = self._local.get(channel)
        if callback is None:
            self._notifier.notify(channel, news)
        else:
            asyncio.get_running_loop().call_soon(callback, news.payload)


def _each(callback: OnNotification, payload: str) -> None:
    for word in payload.split(" "):
        callback(word)
