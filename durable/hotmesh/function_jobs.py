"""Runs of functions, seen as jobs of the app that their task queue is.

A run is a job of the graph that was generated from its function: the workflow's name is its topic,
`.start` its trigger. The function stands at `,0,0`, and what its command n has asked for stands
below its answer n, at `,0,n,0`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from durable.codec.fields_set import plain_object, plain_value
from durable.descriptor.commands import CHILD, GRAPH, SIGNAL, START, TIMER
from durable.descriptor.plan import Kind, Node, Plan
from durable.descriptor.routes import Routes
from durable.engine.collation.addresses import answer, below
from durable.engine.job import Instance, Job, decode
from durable.engine.job_queries import JobSnapshot
from durable.engine.outcomes import fault_of
from durable.postgres.database import Database, Row
from durable.protocol.clock import from_datetime
from durable.protocol.codes import (
    FAILED,
    INTERRUPTED_BY,
    OK,
)
from durable.protocol.facts import Fact, FactKind
from durable.protocol.failures import Failure, failure_from_json
from durable.protocol.graphs import NOTHING, Data, Fault
from durable.store.function_jobs import FunctionJobStore
from durable.store.histories import HistoryStore

FUNCTION: Final = ",0,0"
"""The address of the function in its job."""

_NO_ROUTES: Final = Routes(MappingProxyType({}), (), ())
_KINDS: Final = MappingProxyType(
    {
        START: Kind.TRIGGER, TIMER: Kind.HOOK, SIGNAL: Kind.HOOK, CHILD: Kind.AWAIT,
        GRAPH: Kind.AWAIT,
    }
)  # fmt: skip
_GENERATED: Final = MappingProxyType({"timer": TIMER, "child": CHILD, "graph": GRAPH})
_STEPS: Final = (FactKind.ACTIVITY, FactKind.TIMER, FactKind.CHILD, FactKind.GRAPH)
_SETTLED: Final = MappingProxyType(
    {FactKind.TIMER: TIMER, FactKind.CHILD: CHILD, FactKind.GRAPH: GRAPH}
)


class FunctionJobs:
    """The runs of one task queue."""

    def __init__(self, database: Database, queue: str) -> None:
        self._queue = queue
        self._store = FunctionJobStore(database)
        self._histories = HistoryStore(database)

    async def find(self, jid: str) -> tuple[Job, Plan, float] | None:
        """The latest run of an id as a job, with its plan, and the time; None: there is none."""
        row = await self._store.find(self._queue, jid)
        if row is None:
            return None
        return job_of(row), plan_of(self._queue, row["graph"]), from_datetime(row["now"])

    async def ends(self, run_ids: Sequence[int]) -> dict[int, JobSnapshot]:
        """Those of the runs that have ended, by run, each with its plan and the time."""
        rows = await self._store.ended(run_ids)
        return {
            row["run_id"]: (
                job_of(row),
                plan_of(row["app_id"], row["graph"]),
                from_datetime(row["now"]),
            )
            for row in rows
        }

    async def history(self, job: Job) -> list[tuple[Instance, Data | None]]:
        """What the function and each of its steps did, with what it was given."""
        facts = (await self._histories.facts([job.run_id])).get(job.run_id, [])
        row = await self._store.find(self._queue, job.jid)
        open_steps = decode(row["pending"]) if row is not None else None
        return [*instances_of(job, facts, open_steps or ())]


def job_of(row: Row) -> Job:
    """A run as a job: its result as data, its failure with a code of HotMesh's."""
    state, failure = row["state"], failure_from_json(row["error"])
    over = row["finished_at"] is not None
    fault = None if failure is None else fault_of(state, failure, row["jid"])
    status = row["status"]
    if state == "terminated" and status >= 0:
        status -= INTERRUPTED_BY
    return Job(
        run_id=row["run_id"],
        jid=row["jid"],
        app_id=row["app_id"],
        graph=row["graph"],
        version=row["graph_version"] or "",
        status=status,
        state=state,
        input=_arguments(row["input"]),
        data=plain_object(row["output"]) if state == "completed" else NOTHING,
        error=fault if over else None,
        metadata=_parent(row),
        created_at=from_datetime(row["created_at"]),
        finished_at=from_datetime(row["finished_at"]) if over else None,
        parent_run_id=row["parent_run_id"] or row["awaiter_id"],
        reply_to=tuple(row["reply_to"]),
        document=decode(row["document"]) or NOTHING,
        attributes=decode(row["attributes"]) or NOTHING,
        put_aside=None if over else fault,
    )


def _arguments(text: str | None) -> Data:
    given = None if text is None else plain_value(text)
    return given if isinstance(given, dict) else {"args": given or []}


def _parent(row: Row) -> Data:
    if (awaiter := decode(row["awaiter"])) is not None:
        graph = {"pj": awaiter["jid"], "pa": awaiter["aid"], "pd": awaiter["dad"]}
        return {**graph, "pg": str(row["awaiter_id"])}
    if row["parent_run_id"] is None:
        return NOTHING
    at = below(answer(FUNCTION, row["parent_number"]))
    return {"pj": row["parent_jid"], "pg": str(row["parent_run_id"]), "pa": CHILD, "pd": at}


class _Kinds(Mapping[str, Node]):
    """The activities of a generated graph: every name is one, since a function may call any."""

    def __getitem__(self, aid: str) -> Node:
        return Node(
            id=aid,
            kind=_KINDS.get(aid, Kind.WORKER),
            ancestors=(),
            depths=(),
            routes=_NO_ROUTES,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(_KINDS)

    def __len__(self) -> int:
        return len(_KINDS)


def plan_of(queue: str, workflow: str) -> Plan:
    """As much of a generated graph's plan as it takes to show its jobs."""
    return Plan(
        app_id=queue,
        app_version="",
        version="",
        subscribes=workflow,
        publishes=workflow,
        expire=None,
        trigger=START,
        nodes=_Kinds(),
        hooks=MappingProxyType({}),
    )


def instances_of(
    job: Job, facts: Sequence[Fact], open_steps: Iterable[Data]
) -> Iterator[tuple[Instance, Data | None]]:
    """The function, its settled steps and signals in the order of the facts, its open steps."""
    if not facts:
        return
    yield _function(job, facts[0].at), job.input
    settled, signals = set(), 0
    for fact in facts:
        if fact.kind in _STEPS:
            settled.add(fact.number)
            yield _step(fact, job.jid), _input(fact)
        elif fact.kind is FactKind.SIGNAL:
            yield _signal(fact, signals, job.jid), None
            signals += 1
    for step in open_steps:
        if job.finished_at is None and step["number"] not in settled:
            aid = _GENERATED.get(step["kind"], step["name"])
            yield Instance(aid, _address(step["number"]), open=True), None


def _function(job: Job, began: float) -> Instance:
    over = job.finished_at is not None
    code = OK if job.error is None else job.error.code
    return Instance(
        job.graph,
        FUNCTION,
        open=not over,
        code=code if over else None,
        output=job.data if job.state == "completed" else None,
        error=job.error,
        opened_at=began,
        settled_at=job.finished_at,
    )


def _step(fact: Fact, jid: str) -> Instance:
    fault = None if fact.failure is None else _fault(fact.failure, jid)
    return Instance(
        _SETTLED.get(fact.kind, fact.name),
        _address(fact.number),
        code=OK if fault is None else fault.code,
        output=None if fact.data is None else plain_object(fact.data),
        error=fault,
        settled_at=fact.at,
    )


def _signal(fact: Fact, number: int, jid: str) -> Instance:
    return Instance(
        SIGNAL,
        f"{below(FUNCTION)[: -len(',0')]},{number}",
        code=OK if fact.failure is None else FAILED,
        hook={"name": fact.name, "data": None if fact.data is None else plain_value(fact.data)},
        error=None if fact.failure is None else _fault(fact.failure, jid),
        settled_at=fact.at,
    )


def _fault(failure: Failure, jid: str) -> Fault:
    return fault_of(failure.kind, failure, jid)


def _input(fact: Fact) -> Data | None:
    return None if fact.input is None else _arguments(fact.input)


def _address(number: int) -> str:
    return below(answer(FUNCTION, number))
