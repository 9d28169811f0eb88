"""The statements that commit turns of function workflows: scalar ones, and one for many runs.

Both are fenced by the run's revision and by the member that holds it; the batched one also by the
attempts whose results it carries. The commit of a run passes or fails as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from durable.engine.steps.commit_rows import (
    AsideRow,
    BatchRows,
    ChildRow,
    FactRow,
    GraphRow,
    IntentRow,
    MessageRow,
    RunRow,
    StepRow,
    error_of,
    fact_row,
)
from durable.postgres.database import Lane, Row
from durable.postgres.sql import SqlFile
from durable.protocol.clock import to_datetime
from durable.protocol.commands import Finish
from durable.protocol.commits import Commit, Committed
from durable.protocol.options import ActivityOptions
from durable.runtime.notifications import QueueKind

SQL = SqlFile(
    "durable.engine.steps", "sql/commits.sql",
    runs=RunRow, facts=FactRow, inbox=MessageRow, settled=MessageRow, cancelled=StepRow,
    intents=IntentRow, children=ChildRow, aside=AsideRow, graphs=GraphRow,
)  # fmt: skip


@dataclass(slots=True)
class BatchOutcome:
    """The result of a batch: how each run went, the locked runs, and the members to notify."""

    committed: dict[int, Committed] = field(default_factory=dict)
    locked: set[int] = field(default_factory=set)
    ended: list[tuple[int, list[str]]] = field(default_factory=list)
    holders: set[tuple[int, int]] = field(default_factory=set)
    queues: Counter[tuple[str, QueueKind]] = field(default_factory=Counter)
    inboxes: set[int] = field(default_factory=set)
    engines: set[str] = field(default_factory=set)
    unwanted: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run stands: its revision, its last token, and the attempts that the asker holds."""

    revision: int
    token: int | None
    messages: dict[int, int]


def is_plain(commit: Commit) -> bool:
    """Whether the scalar statement can carry it: it consists of one fact."""
    return (
        len(commit.facts) == 1
        and commit.finish is None
        and commit.pending is None
        and commit.version is None
        and commit.attributes is None
        and commit.entity is None
        and not (commit.inbox or commit.settled or commit.cancelled)
        and not (commit.intents or commit.children or commit.aside or commit.graphs)
    )


def is_end(commit: Commit) -> bool:
    """Whether `commit_end` may carry it: the run ends without open steps or messages."""
    return (
        commit.finish is not None
        and commit.status == 1
        and not (commit.inbox or commit.settled or commit.cancelled)
        and not (commit.intents or commit.children or commit.aside or commit.graphs)
        and commit.attributes is None
        and commit.entity is None
        and not any(fact.request for fact in commit.facts)
        and (commit.version is None or not commit.expected)
    )


def _note(outcome: BatchOutcome, row: Row) -> None:
    what, run_id = row["what"], row["run_id"]
    if what == "passed":
        outcome.committed[run_id] = Committed(passed=True)
        if row["words"] is not None:
            outcome.ended.append((run_id, row["words"]))
    elif what == "locked":
        outcome.locked.add(run_id)
    elif what == "relative":
        if row["id"] is None:
            outcome.queues[row["word"], QueueKind.TURN] += 1
        else:
            outcome.holders.add((row["id"], run_id))
    elif what == "child":
        outcome.queues[row["word"], QueueKind.TURN] += 1
    elif what == "dropped":
        outcome.unwanted.append((run_id, row["id"]))
    elif what == "inbox":
        outcome.inboxes.add(run_id)


def read_batch(commits: Sequence[Commit], rows: Sequence[Row]) -> BatchOutcome:
    """Sort the answer of `commit_batch`: a run that did not come back was refused."""
    outcome = BatchOutcome()
    for row in rows:
        _note(outcome, row)
    for row in rows:
        if row["what"] == "intent":
            outcome.committed[row["run_id"]].messages[int(row["word"])] = row["id"]
    for commit in commits:
        if commit.run_id not in outcome.locked:
            outcome.committed.setdefault(commit.run_id, Committed(passed=False))
        if commit.run_id in outcome.committed and outcome.committed[commit.run_id].passed:
            outcome.queues.update(
                (i.queue, QueueKind.ACTIVITY)
                for i in commit.intents
                if not i.held and i.failure is None
            )
            outcome.engines.update(step.app for step in commit.graphs)
    return outcome


class CommitStatements:
    """Sends commits over a lane."""

    def __init__(self, schema: str, metadata: Callable[[ActivityOptions], str | None]) -> None:
        self._sql = SQL.load(schema)
        self._metadata = metadata

    async def send(
        self, lane: Lane, member: int, token: int, commits: Sequence[Commit]
    ) -> BatchOutcome:
        """Commit a batch, by the shortest statement that can carry it."""
        if len(commits) == 1:
            commit = commits[0]
            if is_plain(commit):
                passed = bool(await lane.fetch(*self.step(member, token, commit)))
                return BatchOutcome({commit.run_id: Committed(passed)})
            if commit.finish is not None and is_end(commit):
                rows = await lane.fetch(*self.end(member, token, commit, commit.finish))
                if rows:
                    ended = [(commit.run_id, rows[0]["reply_to"])]
                    return BatchOutcome({commit.run_id: Committed(passed=True)}, ended=ended)
        rows = await lane.fetch(*self.batch(member, token, commits))
        return read_batch(commits, rows)

    def step(self, member: int, token: int, commit: Commit) -> tuple[Any, ...]:
        """`commit_step` for a plain commit."""
        fact = commit.facts[0]
        return self._sql.bind(
            "commit_step", member=member, token=token, run_id=commit.run_id,
            expected=commit.expected, hold=commit.hold, issued=commit.issued, status=commit.status,
            kind=fact.kind, number=fact.number, at=to_datetime(fact.at), name=fact.name,
            data=fact.data, failure=error_of(fact.failure), input=fact.input,
        )  # fmt: skip

    def end(self, member: int, token: int, commit: Commit, finish: Finish) -> tuple[Any, ...]:
        """`commit_end` for the end of a run without open steps or messages."""
        run_id, first = commit.run_id, commit.expected + 1
        return self._sql.bind(
            "commit_end", member=member, token=token, run_id=run_id, expected=commit.expected,
            hold=commit.hold, issued=commit.issued, state=finish.state, output=finish.data,
            error=error_of(finish.failure), version=commit.version, count=len(commit.facts),
            facts=[fact_row(run_id, n, fact) for n, fact in enumerate(commit.facts, start=first)],
        )  # fmt: skip

    def batch(self, member: int, token: int, commits: Sequence[Commit]) -> tuple[Any, ...]:
        """`commit_batch` for any commits."""
        rows = BatchRows(self._metadata)
        for commit in commits:
            rows.add(commit)
        return self._sql.bind(
            "commit_batch", member=member, token=token, runs=rows.runs, facts=rows.facts,
            inbox=rows.inbox, settled=rows.settled, cancelled=rows.cancelled, intents=rows.intents,
            children=rows.children, aside=rows.aside, graphs=rows.graphs,
        )  # fmt: skip

    async def outcomes(self, lane: Lane, member: int, run_ids: Sequence[int]) -> dict[int, Outcome]:
        """How runs stand after an unknown outcome, once whatever is at work on them has ended."""
        await lane.fetch(*self._sql.bind("settled", run_ids=list(run_ids)))
        return {
            r["run_id"]: Outcome(
                r["revision"],
                r["token"],
                dict(zip(r["numbers"] or (), r["messages"] or (), strict=True)),
            )
            for r in await lane.fetch(
                *self._sql.bind("outcomes", run_ids=list(run_ids), member=member)
            )
        }
