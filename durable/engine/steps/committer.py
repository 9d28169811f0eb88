"""The committer: gathers what is ready while the last commit is in flight, and sends it as one.

Runs are split over two lanes by their id, so that one batch is prepared while another is on its way
to the disk. A run has at most one commit in flight, which its holder sees to. After any error
nothing is assumed: the rows are read, and a commit that did not happen is sent again, if that may
help; a batch that keeps failing is halved until the one that fails stands alone. Every future is
answered, whatever happens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from durable.engine.steps.workflow_commits import BatchOutcome, CommitStatements
from durable.postgres.address import Address
from durable.postgres.errors import retryable, timed_out
from durable.postgres.pool import Lane
from durable.postgres.retrying import patiently
from durable.protocol.commits import Commit, Committed
from durable.protocol.ids import new_token
from durable.runtime.silence import Pulse
from durable.runtime.supervision import backoff
from durable.streams.activities import metadata_of
from durable.streams.announce import Announcer
from durable.telemetry.logs import logger

BATCH_RUNS_MAX = 500  # one statement's worth: more only delays the first
BATCH_BYTES_MAX = 4 << 20  # a statement is held in memory three times: here, on the wire, there

PAUSE_MAX = 0.25  # seconds between two tries while others stand in the way

ALONE_AFTER = 3  # failures of a batch, until each of its runs is sent by itself
OFF_LANE = 1.0, 60.0  # seconds: how long who fails alone waits off its lane, first and at most


@dataclass(slots=True, eq=False)
class Waiting:
    """A commit and who waits for it; `failures` counts those that pass by themselves."""

    commit: Commit
    future: asyncio.Future[Committed]
    weight: int = 0
    failures: int = 0

    def answer(self, committed: Committed) -> None:
        """It is known how the commit went."""
        if not self.future.done():
            self.future.set_result(committed)

    def refuse(self, error: BaseException) -> None:
        """It will not be committed."""
        if self.future.done():
            return
        if isinstance(error, asyncio.CancelledError):
            self.future.cancel()
        else:
            self.future.set_exception(error)


def _weight(commit: Commit) -> int:
    size = 200 + len(commit.attributes or "") + len(commit.entity or "")
    for fact in commit.facts:
        size += len(fact.data or "") + len(fact.input or "")
    size += sum(len(intent.input) for intent in commit.intents)
    return size + sum(len(child.input) for child in commit.children)


class Committer:
    """Commits turns for one member. Implements `protocol.commits.StepCommitter`."""

    def __init__(
        self,
        address: Address,
        schema: str,
        member: int,
        announcer: Announcer,
        lanes: int = 2,
    ) -> None:
        self.member = member
        self._statements = CommitStatements(schema, metadata_of)
        self._announcer = announcer
        self._lanes = [_CommitLane(self, Lane(address)) for _ in range(lanes)]

    def commit(self, commit: Commit) -> asyncio.Future[Committed]:
        """Have a commit written; the future tells how it went, or raises what Postgres said."""
        future: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        waiting = Waiting(commit, future)
        try:
            waiting.weight = _weight(commit)
        except Exception as error:  # noqa: BLE001 - it would take the others of its batch with it
            waiting.refuse(error)
        else:
            self._lanes[commit.run_id % len(self._lanes)].add(waiting)
        return future

    @property
    def pulses(self) -> list[Pulse]:
        """Signs of life of the lanes."""
        return [lane.pulse for lane in self._lanes]

    async def close(self, grace: float | None = None) -> None:
        """Finish what is waiting, then close the lanes; who waits after `grace` is cancelled."""
        await asyncio.gather(*[lane.close(grace) for lane in self._lanes])

    async def send(self, lane: Lane, batch: Sequence[Waiting]) -> list[Waiting]:
        """Commit a batch and answer its futures; what is to be sent again comes back."""
        token = new_token()
        try:
            outcome = await self._statements.send(
                lane, self.member, token, [w.commit for w in batch]
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the commits may have happened
            return await self._after_error(lane, token, batch, error)
        self._announce(outcome)
        again = []
        for waiting in batch:
            committed = outcome.committed.get(waiting.commit.run_id)
            if committed is None:
                again.append(waiting)
            else:
                waiting.answer(committed)
        return again

    async def _after_error(
        self, lane: Lane, token: int, batch: Sequence[Waiting], error: Exception
    ) -> list[Waiting]:
        """What happened all the same is answered; the rest is sent again, in parts, or refused."""
        try:
            rest = await self._look_up(lane, token, batch)
        except Exception as unreadable:  # noqa: BLE001 - the runs are read anew by who takes them
            for waiting in batch:
                waiting.refuse(unreadable)
            return []
        if retryable(error, host=True):
            for waiting in rest:
                waiting.failures += 1
            # What took too long is sent in halves, for which the lane has twice the time.
            together = not timed_out(error) and all(w.failures < ALONE_AFTER for w in rest)
            if len(rest) == 1 or together:
                return rest
        elif len(rest) == 1:
            rest[0].refuse(error)
            return []
        middle = (len(rest) + 1) // 2
        again: list[Waiting] = []
        for part in (rest[:middle], rest[middle:]):
            again += await self.send(lane, part) if part else []
        return again

    async def _look_up(self, lane: Lane, token: int, batch: Sequence[Waiting]) -> list[Waiting]:
        """After an error: own token, it happened; old revision, it did not; else refused."""
        ids = [w.commit.run_id for w in batch]
        found = await patiently(lambda: self._statements.outcomes(lane, self.member, ids))
        rest = []
        for waiting in batch:
            outcome = found.get(waiting.commit.run_id)
            happened = outcome is not None and outcome.token == token
            if outcome is not None and not happened and outcome.revision == waiting.commit.expected:
                rest.append(waiting)
            else:
                # Whom the lost answer would have told finds out by looking, within a second.
                messages = outcome.messages if outcome is not None and happened else {}
                waiting.answer(Committed(happened, messages))
        return rest

    def _announce(self, outcome: BatchOutcome) -> None:
        for run_id, waiters in outcome.ended:
            self._announcer.ended(run_id, waiters)
        for holder, run_id in outcome.holders:
            self._announcer.inbox(holder, run_id)
        for member, message in outcome.unwanted:
            self._announcer.unwanted(member, message)
        for run_id in outcome.inboxes:
            self._announcer.inbox(self.member, run_id)
        for (queue, kind), amount in outcome.queues.items():
            self._announcer.queue(queue, kind, amount)


class _CommitLane:
    """One connection and what waits for it."""

    def __init__(self, committer: Committer, lane: Lane) -> None:
        self.pulse = Pulse()
        self._committer = committer
        self._lane = lane
        self._waiting: deque[Waiting] = deque()
        self._aside: dict[Waiting, asyncio.TimerHandle] = {}
        self._task: asyncio.Task[Any] | None = None

    def add(self, waiting: Waiting) -> None:
        self._aside.pop(waiting, None)
        self._waiting.append(waiting)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(
                self._drain(), name="durable committer"
            )

    def _batch(self) -> list[Waiting]:
        batch: list[Waiting] = []
        size = 0
        while self._waiting and len(batch) < BATCH_RUNS_MAX and size < BATCH_BYTES_MAX:
            batch.append(self._waiting.popleft())
            size += batch[-1].weight
        return batch

    async def _drain(self) -> None:
        pause = 0.0
        while self._waiting:
            batch = self._batch()
            try:
                with self.pulse:
                    again = await self._committer.send(self._lane, batch)
            except BaseException as error:
                # Cancelled, or a bug of ours: whoever waits has to know that nobody sends it.
                for waiting in (*batch, *self._waiting):
                    waiting.refuse(error)
                self._waiting.clear()
                raise
            self._waiting.extend(w for w in again if w.failures < ALONE_AFTER)
            for waiting in again:
                if waiting.failures >= ALONE_AFTER:
                    self._put_aside(waiting)
            if len(again) < len(batch):
                pause = 0.0
            else:  # others stood in the way of every one
                await asyncio.sleep(pause)
                pause = min(2 * pause + 0.001, PAUSE_MAX)

    def _put_aside(self, waiting: Waiting) -> None:
        """It has failed alone, and would hold up the others: it waits by itself."""
        first, most = OFF_LANE
        wait = backoff(waiting.failures - ALONE_AFTER + 1, first=first, most=most)
        logger.warning(
            "a commit of run %d failed %d times, and is sent again in %.1f s",
            waiting.commit.run_id, waiting.failures, wait,
        )  # fmt: skip
        self._aside[waiting] = asyncio.get_running_loop().call_later(wait, self.add, waiting)

    async def close(self, grace: float | None) -> None:
        for waiting, handle in self._aside.items():
            handle.cancel()
            waiting.future.cancel()
        self._aside.clear()
        if self._task is not None and (await asyncio.wait([self._task], timeout=grace))[1]:
            self._task.cancel()
        await self._lane.close()
