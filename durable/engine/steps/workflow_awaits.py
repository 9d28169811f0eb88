"""Graphs that are steps of workflows: begun, given up, and answered where they cannot begin.

A message `begin` has the number of the step, by which the run and the job know each other: the
job's request id is made of both, so that it begins once, and `abandon` finds it. The wake row of
the run is locked first, as for every arrival: the run sees each message of its inbox, and whether
it still waits is read behind that lock.

A message `abandon` may be here before the job is: while the message `begin` is there, another
engine may be beginning it, and the one that gives it up waits for the outcome.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from durable.engine.effects import Interruption
from durable.engine.job import RUNNING, decode, encode
from durable.engine.steps.graph_outbox import JobStep, awaiting_runs
from durable.engine.steps.graph_rows import error_text
from durable.engine.steps.graph_starts import Start
from durable.engine.steps.graph_writes import CommitReport
from durable.errors import ConfigurationError, PayloadError
from durable.postgres.connections import Connection
from durable.postgres.database import Row
from durable.protocol.codes import CONFLICT, NOT_FOUND
from durable.protocol.graphs import Fault
from durable.protocol.ids import step_request
from durable.protocol.messages import MessageKind
from durable.store.graph_jobs import GraphJobStore
from durable.store.interop import AwaitedJob, InteropStore, StepAnswer

Begin = Callable[[Connection, Start], Awaitable[JobStep]]
"""Takes the first step of a job, on a connection."""

GIVEN_UP = Interruption("the workflow no longer waits for it", descend=True)


@dataclass(frozen=True, slots=True)
class RequestedGraph:
    """A graph that a step of a workflow asks for; `metadata` names the step to the job."""

    id: int
    run_id: int
    number: int
    topic: str
    data: Mapping[str, object]
    metadata: Mapping[str, object] = field(default_factory=dict)

    @property
    def request(self) -> UUID:
        """The request id of the job."""
        return step_request(self.run_id, self.number)


@dataclass(slots=True)
class RequestedGraphs:
    """What the messages `begin` of a batch ask for.

    Args:
        messages: their ids. waiting: those whose runs still wait for them.
        begun: index of the step -> what asked for it. answers: of those that cannot begin.
    """

    messages: list[int] = field(default_factory=list)
    waiting: list[RequestedGraph] = field(default_factory=list)
    begun: dict[int, RequestedGraph] = field(default_factory=dict)
    answers: list[StepAnswer] = field(default_factory=list)

    def refuse(self, asked: RequestedGraph, fault: Fault) -> None:
        """It cannot begin, and its step fails."""
        error = error_text(fault) or "{}"
        self.answers.append(StepAnswer(asked.run_id, str(asked.number), asked.topic, error))


class WorkflowAwaits:
    """Reads and writes what workflows await of the graphs of one schema."""

    def __init__(self, schema: str) -> None:
        self._store = InteropStore(schema)
        self._jobs = GraphJobStore(schema)

    async def ask(
        self, connection: Connection, rows: Sequence[Row], steps: Sequence[JobStep]
    ) -> RequestedGraphs:
        """What is to be begun; the runs that these messages and steps concern are locked."""
        begins = [row for row in rows if row["msg_type"] == MessageKind.BEGIN]
        found = [_asked(row) for row in begins]
        runs = {asked.run_id for asked in found} | set(awaiting_runs(steps))
        if not runs:
            return RequestedGraphs()
        await self._store.lock_wakes(connection, runs)
        named = await self._store.waiting(connection, [(a.run_id, a.number) for a in found])
        waiting = [
            _named(asked, named[asked.run_id, asked.number])
            for asked in found
            if (asked.run_id, asked.number) in named
        ]
        return RequestedGraphs([row["id"] for row in begins], waiting)

    async def begin(
        self,
        connection: Connection,
        app_id: str,
        asked: RequestedGraphs,
        steps: list[JobStep],
        begin: Begin,
    ) -> None:
        """Begin what is waited for, on the version that is active now; `steps` get the first ones.

        What cannot begin is an answer that says why.
        """
        for each in asked.waiting:
            start = Start(app_id, each.topic, each.data, each.metadata, request=each.request)
            try:
                step = await begin(connection, start)
            except (ConfigurationError, PayloadError) as error:
                code = getattr(error, "code", NOT_FOUND)
                asked.refuse(each, Fault(code, str(error)))
            else:
                asked.begun[len(steps)] = each
                steps.append(step)

    async def given_up(self, connection: Connection, row: Row) -> tuple[int | None, bool]:
        """The running job of a step that its workflow has given up; else whether it may yet come.

        It may while the message that asks for it is there: then look again. One transaction brings
        the job and deletes that message, so the message is looked for first: what is committed
        between the two looks is found by the second.
        """
        request = UUID(decode(row["message"])["request"])
        may_come = await self._store.is_asked(connection, request)
        job = await self._jobs.requested(connection, request)
        if job is None:
            return None, may_come
        return job["run_id"] if job["state"] == RUNNING else None, False

    async def dead_letter(
        self, connection: Connection, message_id: int, error: Fault
    ) -> CommitReport:
        """Fail the workflow step behind a message `begin` that the caller has dead-lettered.

        For any other message the report is empty.
        """
        row = await self._store.asked(connection, message_id)
        if row is None:
            return CommitReport()
        asked, refused = _asked(row), RequestedGraphs()
        await self._store.lock_wakes(connection, [asked.run_id])
        refused.refuse(asked, error)
        await self._store.answer(connection, refused.answers)
        return CommitReport(reached=await self._store.holders(connection, [asked.run_id]))

    async def write(
        self, connection: Connection, asked: RequestedGraphs, written: CommitReport
    ) -> None:
        """Record the awaiters of the jobs that have begun, and answer for the other ones."""
        awaited = []
        for index, each in asked.begun.items():
            run_id = written.started.get(index)
            if run_id is None:
                asked.refuse(each, Fault(CONFLICT, "Duplicate job: its id is taken"))
            else:
                text = encode({"kind": "workflow", "number": each.number}, "an awaiter")
                awaited.append(AwaitedJob(run_id, each.run_id, text))
        if awaited:
            await self._store.await_jobs(connection, awaited)
        if asked.answers:
            await self._store.answer(connection, asked.answers)
        if asked.messages:
            await self._store.forget(connection, asked.messages)
            runs = {answer.run_id for answer in asked.answers} | {a.awaiter_id for a in awaited}
            written.reached.extend(await self._store.holders(connection, runs))


def _asked(row: Row) -> RequestedGraph:
    message = decode(row["message"])
    return RequestedGraph(
        row["id"], message["run_id"], message["number"], row["topic"], message["data"]
    )


def _named(asked: RequestedGraph, run: Row) -> RequestedGraph:
    """The same, with the run as the job's metadata show it; `pk` is the kind of the parent."""
    metadata = {
        "pj": run["jid"], "pg": str(asked.run_id), "pa": run["graph"], "pd": str(asked.number),
        "pk": "workflow",
    }  # fmt: skip
    return RequestedGraph(asked.id, asked.run_id, asked.number, asked.topic, asked.data, metadata)
