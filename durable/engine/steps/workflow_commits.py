"""The statements that commit turns of function workflows: scalar ones, and one for many runs.

Both are fenced by the run's revision and by the member that holds it; the batched one also by the
attempts whose results it carries. A run passes with everything or with nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from durable.postgres.pool import Lane, Row
from durable.postgres.sql import Statements
from durable.protocol.clock import to_datetime
from durable.protocol.commands import Finish
from durable.protocol.commits import Commit, Committed, Intent
from durable.protocol.durations import seconds
from durable.protocol.failures import Failure
from durable.protocol.retry import RetryPolicy


@dataclass(slots=True)
class BatchOutcome:
    """What came of a batch: how each run went, who was locked, and whom to tell."""

    committed: dict[int, Committed] = field(default_factory=dict)
    locked: set[int] = field(default_factory=set)
    ended: list[tuple[int, list[str]]] = field(default_factory=list)
    holders: set[tuple[int, int]] = field(default_factory=set)
    queues: Counter[tuple[str, str]] = field(default_factory=Counter)
    inboxes: set[int] = field(default_factory=set)
    unwanted: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run stands: its revision, its last token, and the attempts that the asker holds."""

    revision: int
    token: int | None
    messages: dict[int, int]


def _json(failure: Failure | None) -> str | None:
    return None if failure is None else failure.to_json()


def is_plain(commit: Commit) -> bool:
    """Whether the scalar statement can carry it: one fact and nothing else."""
    return (
        len(commit.facts) == 1
        and commit.finish is None
        and commit.pending is None
        and commit.version is None
        and commit.attributes is None
        and commit.entity is None
        and not (commit.inbox or commit.settled or commit.cancelled)
        and not (commit.intents or commit.children or commit.aside)
    )


def is_end(commit: Commit) -> bool:
    """Whether `commit_end` may carry it: the run ends, and nothing of its own is left anywhere."""
    return (
        commit.finish is not None
        and commit.status == 1
        and not (commit.inbox or commit.settled or commit.cancelled)
        and not (commit.intents or commit.children or commit.aside)
        and commit.attributes is None
        and commit.entity is None
        and not any(fact.request for fact in commit.facts)
    )


def end_arguments(member: int, token: int, commit: Commit, finish: Finish) -> tuple[Any, ...]:
    """The parameters of `commit_end`."""
    facts = [
        (
            place, f.kind.value, f.number, to_datetime(f.at), f.name, f.data, _json(f.failure),
            f.input,
        )
        for place, f in enumerate(commit.facts, start=commit.expected + 1)
    ]  # fmt: skip
    return (
        member, commit.run_id, commit.expected, len(commit.facts), commit.issued, token,
        finish.state, finish.data, _json(finish.failure), commit.version, *_columns(facts, 8),
        commit.hold,
    )  # fmt: skip


def scalar_arguments(member: int, token: int, commit: Commit) -> tuple[Any, ...]:
    """The parameters of `commit_step`."""
    fact = commit.facts[0]
    return (
        member, commit.run_id, commit.expected, commit.issued, token, commit.status,
        fact.kind.value, fact.number, to_datetime(fact.at), fact.name, fact.data,
        _json(fact.failure), fact.input, commit.hold,
    )  # fmt: skip


def _policy(policy: RetryPolicy) -> tuple[int, float, float, float | None]:
    initial = None if policy.initial_interval is None else seconds(policy.initial_interval)
    return (
        policy.most,
        float(policy.backoff_coefficient),
        seconds(policy.maximum_interval),
        initial,
    )


def _intent(run_id: int, intent: Intent, metadata: str | None) -> tuple[Any, ...]:
    return (
        run_id, intent.queue, intent.name, str(intent.number), intent.input, metadata,
        _json(intent.failure), intent.options.priority, intent.delay, intent.held, intent.dead,
        *_policy(intent.options.retry), intent.attempt - 1,
    )  # fmt: skip


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    if not rows:
        return [[] for _ in range(width)]
    return [list(column) for column in zip(*rows, strict=True)]


def batch_arguments(member: int, token: int, commits: Sequence[Commit], metadata: Any) -> list[Any]:
    """The parameters of `commit_batch`; `metadata` writes options as JSON."""
    runs, facts, inbox, settled, cancelled, intents, children = [], [], [], [], [], [], []
    for c in commits:
        finish = c.finish
        runs.append((
            c.run_id, c.expected, len(c.facts), c.issued, c.pending, 0 if finish else c.status,
            finish.state if finish else None, finish.data if finish else None,
            _json(finish.failure) if finish else None, c.version,
        ))  # fmt: skip
        for place, f in enumerate(c.facts, start=c.expected + 1):
            facts.append((
                c.run_id, place, f.kind.value, f.number, to_datetime(f.at), f.name, f.data,
                _json(f.failure), f.input,
            ))  # fmt: skip
        inbox += [(i, c.run_id) for i in c.inbox]
        settled += [(m, c.run_id) for m in c.settled]
        cancelled += [(c.run_id, str(n)) for n in c.cancelled]
        intents += [_intent(c.run_id, i, metadata(i.options)) for i in c.intents]
        children += [
            (c.run_id, k.number, k.workflow, k.id, k.queue, k.input, k.priority) for k in c.children
        ]
    return [
        member, *_columns(runs, 10), *_columns(settled, 2), token, *_columns(facts, 9),
        *_columns(inbox, 2), *_columns(cancelled, 2), *_columns(intents, 16),
        *_columns(children, 7), [f.request for c in commits for f in c.facts],
        [c.hold for c in commits], [c.attributes for c in commits], [c.entity for c in commits],
        [k.seed for c in commits for k in c.children],
        *_columns(
            [
                (c.run_id, a.revision, a.name, a.data, a.failure.to_json())
                for c in commits
                for a in c.aside
            ],
            5,
        ),
    ]  # fmt: skip


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
            outcome.queues[row["word"], "turn"] += 1
        else:
            outcome.holders.add((row["id"], run_id))
    elif what == "child":
        outcome.queues[row["word"], "turn"] += 1
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
                (i.queue, "activity") for i in commit.intents if not i.held and i.failure is None
            )
    return outcome


class CommitStatements:
    """Sends commits over a lane."""

    def __init__(self, schema: str, metadata: Any) -> None:
        self._sql = Statements("durable.engine.steps", "sql/commits.sql", schema)
        self._metadata = metadata

    async def send(
        self, lane: Lane, member: int, token: int, commits: Sequence[Commit]
    ) -> BatchOutcome:
        """Commit a batch, by the shortest statement that can carry it."""
        if len(commits) == 1:
            commit = commits[0]
            if is_plain(commit):
                arguments = scalar_arguments(member, token, commit)
                passed = bool(await lane.fetch(self._sql["commit_step"], *arguments))
                return BatchOutcome({commit.run_id: Committed(passed)})
            if commit.finish is not None and is_end(commit):
                arguments = end_arguments(member, token, commit, commit.finish)
                rows = await lane.fetch(self._sql["commit_end"], *arguments)
                if rows:
                    ended = [(commit.run_id, rows[0]["reply_to"])]
                    return BatchOutcome({commit.run_id: Committed(passed=True)}, ended=ended)
        rows = await lane.fetch(
            self._sql["commit_batch"], *batch_arguments(member, token, commits, self._metadata)
        )
        return read_batch(commits, rows)

    async def outcomes(self, lane: Lane, member: int, run_ids: Sequence[int]) -> dict[int, Outcome]:
        """How runs stand after an unknown outcome, once whatever is at work on them has ended."""
        await lane.fetch(self._sql["settled"], list(run_ids))
        return {
            r["run_id"]: Outcome(
                r["revision"],
                r["token"],
                dict(zip(r["numbers"] or (), r["messages"] or (), strict=True)),
            )
            for r in await lane.fetch(self._sql["outcomes"], list(run_ids), member)
        }
