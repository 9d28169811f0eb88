"""What a member is told to let go of is looked up before it lets go.

Who ends a run, or no longer wants an attempt, says so on the channel of the member that holds it.
But any role of the database may say anything there. So what is said is only an occasion to look
whether the tables say the same: one statement for all that is said in one moment, and none for what
is not held here.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from durable.errors import DatabaseError
from durable.runtime.notifications import MemberKind, MemberNews
from durable.runtime.supervision import Tasks
from durable.store.runs import RunStream
from durable.telemetry.logs import logger
from durable.worker.attempts import Attempts


class Holder(Protocol):
    """Who holds runs, as a member."""

    member: int

    def holds(self, run_id: int) -> bool:
        """Whether the run is held here."""
        ...

    def over(self, run_id: int) -> None:
        """Drop a run that somebody else has ended."""
        ...


class Revocations:
    """What one worker was told to let go of, and has not looked up yet."""

    def __init__(self, holder: Holder, attempts: Attempts, runs: RunStream) -> None:
        self._holder = holder
        self._attempts = attempts
        self._stream = runs
        self._runs: set[int] = set()
        self._messages: set[int] = set()
        self._tasks = Tasks("what a worker was told", _nobody)
        self._task: asyncio.Task[None] | None = None

    def heard(self, news: MemberNews) -> None:
        """A run is said to have ended, or an attempt to be unwanted."""
        if news.kind is MemberKind.ENDED and self._holder.holds(news.number):
            self._runs.add(news.number)
        elif news.kind is MemberKind.UNWANTED and self._attempts.runs(news.number):
            self._messages.add(news.number)
        if (self._runs or self._messages) and (self._task is None or self._task.done()):
            self._task = self._tasks.once("revocations", self._look)

    async def _look(self) -> None:
        while self._runs or self._messages:
            runs, self._runs = self._runs, set()
            messages, self._messages = self._messages, set()
            try:
                gone = await self._stream.gone(self._holder.member, list(runs), list(messages))
            except DatabaseError as error:
                # Nothing is lost: what is written for a run that ended, or by an attempt that
                # nobody wants, is refused.
                logger.warning("could not look up what this worker is to let go of: %s", error)
                return
            for run_id in runs & gone.runs:
                self._holder.over(run_id)
            for message in messages & gone.messages:
                self._attempts.stop_message(message)

    def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()


def _nobody(_name: str, _error: BaseException) -> None:
    """It was logged; what is written for a run that ended is refused."""
