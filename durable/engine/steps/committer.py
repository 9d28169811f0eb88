"""The committer: commits the turns of many runs as one statement, and resolves lost answers.

Runs are split over two lanes by their id, so that one batch is prepared while another is on its way
to the disk. A run has at most one commit in flight, which its holder sees to. How batches are made,
sent again and halved is `durable.runtime.batching`'s; this module knows how a batch is written, and
how it is looked up by its token and the runs' revisions.
"""

from __future__ import annotations

import asyncio

from durable.engine.steps.workflow_commits import BatchOutcome, CommitStatements
from durable.postgres.address import Address
from durable.postgres.database import Lane
from durable.postgres.retries import retry_until_connected
from durable.protocol.commits import Commit, Committed
from durable.runtime.batching import AGAIN, Again, Batch, Batcher
from durable.runtime.liveness import Pulse
from durable.store.activities import metadata_of
from durable.store.announcer import Announcer


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
        self._lanes = [
            _CommitLane(Lane(address), member, self._statements, announcer) for _ in range(lanes)
        ]

    def commit(self, commit: Commit) -> asyncio.Future[Committed]:
        """Write a commit; the future has its result, or raises the error of Postgres."""
        return self._lanes[commit.run_id % len(self._lanes)].batches.submit(commit)

    @property
    def pulses(self) -> list[Pulse]:
        """Signs of life of the lanes."""
        return [lane.batches.pulse for lane in self._lanes]

    async def close(self, grace: float | None = None) -> None:
        """Finish what is waiting, then close the lanes; after `grace` waiters are cancelled."""
        await asyncio.gather(*[lane.close(grace) for lane in self._lanes])


class _CommitLane:
    """One connection and the batches that go over it. Implements `runtime.batching.Sender`."""

    def __init__(
        self, lane: Lane, member: int, statements: CommitStatements, announcer: Announcer
    ) -> None:
        self.connection = lane
        self.batches: Batcher[Commit, Committed] = Batcher(self)
        self._member = member
        self._statements = statements
        self._announcer = announcer

    async def send(self, batch: Batch[Commit]) -> list[Committed | Again]:
        """Write a batch; what others have locked is to be sent again."""
        outcome = await self._statements.send(
            self.connection, self._member, batch.token, batch.items
        )
        self._announce(outcome)
        return [outcome.committed.get(commit.run_id, AGAIN) for commit in batch.items]

    async def look_up(self, batch: Batch[Commit], _error: Exception) -> list[Committed | Again]:
        """Own token, it happened; old revision, it did not; else it was refused."""
        ids = [commit.run_id for commit in batch.items]
        found = await retry_until_connected(
            lambda: self._statements.outcomes(self.connection, self._member, ids)
        )
        results: list[Committed | Again] = []
        for commit in batch.items:
            outcome = found.get(commit.run_id)
            happened = outcome is not None and outcome.token == batch.token
            if outcome is not None and not happened and outcome.revision == commit.expected:
                results.append(AGAIN)
            else:
                # Members that the lost answer would have notified poll within a second.
                messages = outcome.messages if outcome is not None and happened else {}
                results.append(Committed(happened, messages))
        return results

    def weight(self, commit: Commit) -> int:
        """The length of what a commit writes as text."""
        size = 200
        for fact in commit.facts:
            size += len(fact.data or "") + len(fact.input or "")
        for intent in commit.intents:
            size += len(intent.input)
        if commit.attributes or commit.entity:
            size += len(commit.attributes or "") + len(commit.entity or "")
        if commit.graphs or commit.children:
            size += sum(len(step.input or "") for step in commit.graphs)
            size += sum(len(child.input) for child in commit.children)
        return size

    def describe(self, commit: Commit) -> str:
        """A commit in a log line."""
        return f"a commit of run {commit.run_id}"

    async def close(self, grace: float | None) -> None:
        """Finish what is waiting, then close the connection."""
        await self.batches.close(grace)
        await self.connection.close()

    def _announce(self, outcome: BatchOutcome) -> None:
        for run_id, waiters in outcome.ended:
            self._announcer.ended(run_id, waiters)
        for holder, run_id in outcome.holders:
            self._announcer.inbox(holder, run_id)
        for member, message in outcome.unwanted:
            self._announcer.unwanted(member, message)
        for run_id in outcome.inboxes:
            self._announcer.inbox(self._member, run_id)
        for (queue, kind), amount in outcome.queues.items():
            self._announcer.queue(queue, kind, amount)
        for app in outcome.engines:
            self._announcer.engine(app)
