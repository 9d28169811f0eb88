"""Signals that the history has delivered and the code has not read.

Receiving is no command. A receiver takes the first unread signal of its name at the moment at which
it goes on; one that is cancelled, by a timeout for instance, takes nothing and so loses nothing.
Receivers of one name stand in line.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Letter:
    """An unread signal: its name, its encoded payload, and when it came (Unix seconds).

    `revision` is that of its fact; `aside`: who received it could not read it, and passed it over.
    """

    name: str
    data: str | None
    at: float
    revision: int = 0
    aside: bool = False


class _Line:
    """The letters and the receivers of one name."""

    __slots__ = ("called", "letters", "receivers")

    def __init__(self) -> None:
        self.letters: deque[Letter] = deque()
        self.receivers: deque[asyncio.Future[None]] = deque()
        # Receivers that were woken and have not gone on yet: the first letters are theirs.
        self.called = 0

    def call(self) -> None:
        """Wake as many receivers as there are letters not promised to somebody."""
        while self.receivers and len(self.letters) > self.called:
            receiver = self.receivers.popleft()
            if not receiver.done():
                receiver.set_result(None)
                self.called += 1


class Mailbox:
    """All unread signals of a run; `held` is their bytes."""

    __slots__ = ("_lines", "held")

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self.held = 0

    def put(self, letter: Letter) -> None:
        """Deliver a signal."""
        line = self._lines.setdefault(letter.name, _Line())
        line.letters.append(letter)
        self.held += len(letter.data or "")
        line.call()

    async def take(self, name: str, loop: asyncio.AbstractEventLoop) -> Letter:
        """The first unread signal called `name`; waits for one where there is none."""
        line = self._lines.setdefault(name, _Line())
        if len(line.letters) <= line.called:
            await self._stand_in(line, loop)
            letter = line.letters.popleft()
        else:
            letter = line.letters[line.called]
            del line.letters[line.called]
        self.held -= len(letter.data or "")
        return letter

    @staticmethod
    async def _stand_in(line: _Line, loop: asyncio.AbstractEventLoop) -> None:
        receiver: asyncio.Future[None] = loop.create_future()
        line.receivers.append(receiver)
        try:
            await receiver
        except BaseException:
            if receiver.done() and not receiver.cancelled():
                # Woken and cancelled at the same moment: the letter is the next one's.
                line.called -= 1
                line.call()
            elif receiver in line.receivers:
                line.receivers.remove(receiver)
            raise
        line.called -= 1

    def unread(self) -> list[Letter]:
        """What nobody has read, by name in order of first use, then by arrival."""
        return [letter for line in self._lines.values() for letter in line.letters]
