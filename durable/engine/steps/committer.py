"""The committer: gathers what is ready while the last commit is in flight, and sends it as one.

Runs are split over two lanes by their id, so that one batch is prepared while another is on its way
to the disk. A run has at most one commit in flight, which its holder sees to. When a connection
breaks during a commit, nothing is assumed: the rows are read, and a commit that did not happen is
sent again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from durable.engine.steps.workflow_commits import BatchOutcome, CommitStatements
from durable.errors import DatabaseError
from durable.postgres.address import Address
from durable.postgres.errors import Conflict, ConnectionLost
from durable.postgres.pool import Lane
from durable.postgres.retrying import patiently
from durable.protocol.commits import Commit, Committed
from durable.protocol.ids import new_token
from durable.streams.activities import metadata_of
from durable.streams.announce import Announcer

BATCH_RUNS_MAX = 500  # one statement's worth: more only delays the first
BATCH_BYTES_MAX = 4 << 20  # a statement is held in memory three times: here, on the wire, there

PAUSE_MAX = 0.25  # seconds between two tries while others stand in the way

Waiting = tuple[Commit, "asyncio.Future[Committed]"]


def _weight(commit: Commit) -> int:
    size = 200 + len(commit.attributes or "") + len(commit.entity or "")
    for fact in commit.facts:
        size += len(fact.data or "") + len(fact.input or "")
    size += sum(len(intent.input) for intent in commit.intents)
    return size + sum(len(child.input) for child in commit.children)


class Committer:
    """Commits turns for one member. Implements `protocol.commits.StepCommitter`."""

    def __init__(
        self, address: Address, schema: str, member: int, announcer: Announcer, lanes: int = 2
    ) -> None:
        self.member = member
        self._statements = CommitStatements(schema, metadata_of)
        self._announcer = announcer
        self._lanes = [_CommitLane(self, Lane(address)) for _ in range(lanes)]

    def commit(self, commit: Commit) -> asyncio.Future[Committed]:
        """Have a commit written; the future tells how it went, or raises what Postgres said."""
        future: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        self._lanes[commit.run_id % len(self._lanes)].add((commit, future))
        return future

    async def close(self) -> None:
        """Finish what is waiting, then close the lanes."""
        for lane in self._lanes:
            await lane.close()

    async def send(self, lane: Lane, batch: Sequence[Waiting]) -> list[Waiting]:
        """Commit a batch and answer its futures; what was locked by others comes back."""
        commits = [commit for commit, _ in batch]
        token = new_token()
        try:
            outcome = await self._statements.send(lane, self.member, token, commits)
        except ConnectionLost:
            return await self._after_loss(lane, token, batch)
        except Conflict as error:
            if len(batch) > 1:
                return await self._bisect(lane, batch, error)
            return list(batch)
        except DatabaseError as error:
            return await self._bisect(lane, batch, error)
        self._announce(outcome)
        again = []
        for commit, future in batch:
            committed = outcome.committed.get(commit.run_id)
            if committed is None:
                again.append((commit, future))
            elif not future.done():
                future.set_result(committed)
        return again

    async def _bisect(
        self, lane: Lane, batch: Sequence[Waiting], error: DatabaseError
    ) -> list[Waiting]:
        """Find the commit that Postgres refuses or that is in conflict: it takes no other down."""
        if len(batch) == 1:
            if not batch[0][1].done():
                batch[0][1].set_exception(error)
            return []
        middle = len(batch) // 2
        return [*await self.send(lane, batch[:middle]), *await self.send(lane, batch[middle:])]

    async def _after_loss(self, lane: Lane, token: int, batch: Sequence[Waiting]) -> list[Waiting]:
        """A connection broke: own token, it happened; old revision, send again; else refused."""
        ids = [commit.run_id for commit, _ in batch]
        found = await patiently(lambda: self._statements.outcomes(lane, self.member, ids))
        again = []
        for commit, future in batch:
            outcome = found.get(commit.run_id)
            happened = outcome is not None and outcome.token == token
            if outcome is not None and not happened and outcome.revision == commit.expected:
                again.append((commit, future))
            elif not future.done():
                # Whom the lost answer would have told finds out by looking, within a second.
                messages = outcome.messages if outcome is not None and happened else {}
                future.set_result(Committed(happened, messages))
        return again

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
        self._committer = committer
        self._lane = lane
        self._waiting: deque[Waiting] = deque()
        self._task: asyncio.Task[Any] | None = None

    def add(self, waiting: Waiting) -> None:
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
            size += _weight(batch[-1][0])
        return batch

    async def _drain(self) -> None:
        pause = 0.0
        while self._waiting:
            batch = self._batch()
            again = await self._committer.send(self._lane, batch)
            self._waiting.extend(again)
            if len(again) < len(batch):
                pause = 0.0
            else:  # others stood in the way of every one
                await asyncio.sleep(pause)
                pause = min(2 * pause + 0.001, PAUSE_MAX)

    async def close(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._lane.close()
