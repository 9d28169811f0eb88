"""What a commit writes, as rows: one class for each kind, with the columns that its table gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from durable.postgres.columns import (
    BigInt,
    Boolean,
    Bytes,
    Column,
    Float,
    Integer,
    SmallInt,
    Text,
    Timestamp,
    Uuid,
)
from durable.protocol.carriers import carrier
from durable.protocol.clock import to_datetime
from durable.protocol.commits import Commit, GraphStep, Intent
from durable.protocol.durations import seconds
from durable.protocol.facts import Fact
from durable.protocol.failures import Failure
from durable.protocol.ids import step_request
from durable.protocol.messages import PRIORITY, MessageKind
from durable.protocol.options import ActivityOptions

Request = Annotated[str, Column("uuid")]  # the driver takes one as text


@carrier
class RunRow:
    """A run, and what its job row says afterwards. None leaves what was there.

    `expected` and `hold` are its fences; `facts` is how many there are. Without a `state` it goes
    on.
    """

    run_id: BigInt
    expected: Integer
    facts: Integer
    issued: Integer
    pending: Text | None
    status: BigInt
    state: Text | None
    output: Text | None
    error: Text | None
    version: Text | None
    hold: Integer
    attributes: Text | None
    document: Text | None


@carrier
class FactRow:
    """A fact of a run's history."""

    run_id: BigInt
    revision: Integer
    kind: Text
    number: Integer
    at: Timestamp
    name: Text
    data: Text | None
    failure: Text | None
    input: Text | None
    request_id: Request | None


@carrier
class MessageRow:
    """A message of a run that its commit consumes: of its inbox, or an attempt that it settles."""

    id: BigInt
    run_id: BigInt


@carrier
class StepRow:
    """A step that its run no longer waits for."""

    run_id: BigInt
    dad: Text


@carrier
class IntentRow:
    """An attempt of an activity, with the policy in force.

    `held`: by the member that commits. `error`: it has failed already; `dead`: none follows it.
    """

    run_id: BigInt
    stream: Text
    name: Text
    topic: Text
    dad: Text
    message: Text
    metadata: Text | None
    error: Text | None
    priority: SmallInt
    delay: Float
    held: Boolean
    dead: Boolean
    attempts: Integer
    coefficient: Float
    maximum: Float
    initial: Float | None
    retry_attempt: Integer


@carrier
class ChildRow:
    """A child that starts; `number` is the command that waits for it."""

    run_id: BigInt
    number: Integer
    workflow: Text
    jid: Text
    queue: Text
    input: Text
    priority: SmallInt
    seed: Bytes


@carrier
class AsideRow:
    """A signal that is dead-lettered, because the code could not read it."""

    run_id: BigInt
    revision: Integer
    topic: Text
    message: Text | None
    error: Text


@carrier
class GraphRow:
    """A message to the engines of an app: begin a graph for a step, or give it up."""

    run_id: BigInt
    app: Text
    kind: Text
    topic: Text
    message: Text
    request_id: Uuid | None
    priority: SmallInt


Policy = tuple[str | None, int, int, float, float, float | None]
"""Of options: metadata, priority, attempts, coefficient, longest and first interval."""


def policy_of(
    options: ActivityOptions, metadata: Callable[[ActivityOptions], str | None]
) -> Policy:
    """What a row says of an activity's options; `metadata` writes what no column has."""
    retry = options.retry
    initial = None if retry.initial_interval is None else seconds(retry.initial_interval)
    return (
        metadata(options), options.priority, retry.most, float(retry.backoff_coefficient),
        seconds(retry.maximum_interval), initial,
    )  # fmt: skip


def error_of(failure: Failure | None) -> str | None:
    """A failure as a column has it."""
    return None if failure is None else failure.to_json()


def fact_row(run_id: int, revision: int, fact: Fact) -> FactRow:
    """A fact at its place in the history of a run."""
    failure = fact.failure
    return FactRow(
        run_id, revision, fact.kind, fact.number, to_datetime(fact.at), fact.name, fact.data,
        None if failure is None else failure.to_json(), fact.input, fact.request,
    )  # fmt: skip


def _graph_row(run_id: int, step: GraphStep) -> GraphRow:
    """The message to engines for a step: `engine.steps.workflow_awaits` reads it."""
    request = step_request(run_id, step.number)
    if step.input is None:
        text, kind, own = f'{{"request":"{request}"}}', MessageKind.ABANDON, None
    else:
        text = f'{{"run_id":{run_id},"number":{step.number},"data":{step.input}}}'
        kind, own = MessageKind.BEGIN, request
    return GraphRow(run_id, step.app, kind, step.topic, text, own, PRIORITY[kind])


def _run_row(c: Commit) -> RunRow:
    finish = c.finish
    if finish is None:
        return RunRow(
            c.run_id, c.expected, len(c.facts), c.issued, c.pending, c.status, None, None, None,
            c.version, c.hold, c.attributes, c.entity,
        )  # fmt: skip
    return RunRow(
        c.run_id, c.expected, len(c.facts), c.issued, c.pending, 0, finish.state, finish.data,
        error_of(finish.failure), c.version, c.hold, c.attributes, c.entity,
    )  # fmt: skip


@dataclass(slots=True)
class BatchRows:
    """The rows of many commits.

    Args:
        metadata: writes of options, as JSON, what no column has.
    """

    metadata: Callable[[ActivityOptions], str | None]
    runs: list[RunRow] = field(default_factory=list)
    facts: list[FactRow] = field(default_factory=list)
    inbox: list[MessageRow] = field(default_factory=list)
    settled: list[MessageRow] = field(default_factory=list)
    cancelled: list[StepRow] = field(default_factory=list)
    intents: list[IntentRow] = field(default_factory=list)
    children: list[ChildRow] = field(default_factory=list)
    aside: list[AsideRow] = field(default_factory=list)
    graphs: list[GraphRow] = field(default_factory=list)
    _policies: dict[int, Policy] = field(default_factory=dict)  # by the identity of the options

    def add(self, commit: Commit) -> None:
        """Take up what a commit writes."""
        run_id = commit.run_id
        self.runs.append(_run_row(commit))
        for revision, fact in enumerate(commit.facts, start=commit.expected + 1):
            self.facts.append(fact_row(run_id, revision, fact))
        if commit.inbox:
            self.inbox += [MessageRow(i, run_id) for i in commit.inbox]
        if commit.settled:
            self.settled += [MessageRow(i, run_id) for i in commit.settled]
        if commit.cancelled:
            self.cancelled += [StepRow(run_id, str(number)) for number in commit.cancelled]
        if commit.intents:
            self.intents += [self._intent(run_id, intent) for intent in commit.intents]
        if commit.children:
            self.children += [
                ChildRow(run_id, c.number, c.workflow, c.id, c.queue, c.input, c.priority, c.seed)
                for c in commit.children
            ]
        if commit.aside:
            self.aside += [
                AsideRow(run_id, a.revision, a.name, a.data, a.failure.to_json())
                for a in commit.aside
            ]

        if commit.graphs:
            self.graphs += [_graph_row(run_id, step) for step in commit.graphs]

    def _intent(self, run_id: int, intent: Intent) -> IntentRow:
        options = intent.options  # many share one
        policy = self._policies.get(id(options))
        if policy is None:
            policy = self._policies[id(options)] = policy_of(options, self.metadata)
        metadata, priority, attempts, coefficient, maximum, initial = policy
        return IntentRow(
            run_id, intent.queue, intent.name, intent.topic or intent.name, str(intent.number),
            intent.input, metadata, error_of(intent.failure), priority, intent.delay, intent.held,
            intent.dead, attempts, coefficient, maximum, initial, intent.attempt - 1,
        )  # fmt: skip
