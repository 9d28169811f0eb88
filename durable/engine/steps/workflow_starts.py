"""Workflows that activities of graphs start, in the transaction of the step that starts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from durable.engine.effects import Addressed, Reply, StartWorkflow
from durable.engine.job import Job, compact, encode
from durable.engine.steps.graph_outbox import Parent, Stepped, to_parent
from durable.postgres.connections import Connection
from durable.protocol.ids import new_id
from durable.protocol.messages import MessageKind
from durable.runtime import channels
from durable.store.graph_messages import Sent
from durable.store.interop import InteropStore, WorkflowStart


class WorkflowStarts:
    """Starts workflows for the steps of one schema."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._store = InteropStore(schema)

    async def write(
        self, connection: Connection, placed: Sequence[tuple[Stepped, int]], sent: list[Sent]
    ) -> Counter[str]:
        """Start what these steps want started; how many each task queue got.

        `sent` gets the answers of activities that do not wait for the end.
        """
        starts: list[WorkflowStart] = []
        for step, run_id in placed:
            for addressed, wanted in _wanted(step):
                start = self._start(step, run_id, addressed, wanted)
                starts.append(start)
                if not wanted.awaited:
                    sent.append(_started(step, run_id, addressed, start.jid))
        if starts:
            await self._store.start_workflows(connection, starts)
        return Counter(start.queue for start in starts)

    def _start(
        self, step: Stepped, run_id: int, addressed: Addressed, wanted: StartWorkflow
    ) -> WorkflowStart:
        job = step.changes.job
        what = f"the input of activity {addressed.aid!r} of job {job.jid!r}"
        text = encode(wanted.data, what)
        if not wanted.awaited:
            return WorkflowStart(new_id(), wanted.queue, wanted.name, text)
        return WorkflowStart(
            new_id(),
            wanted.queue,
            wanted.name,
            text,
            run_id,
            encode(_awaiter(job, addressed), what),
            channels.engine(self._schema, job.app_id),
        )


def _wanted(step: Stepped) -> Iterable[tuple[Addressed, StartWorkflow]]:
    return [
        (addressed, wanted)
        for addressed in step.changes.wanted
        if isinstance(wanted := addressed.wanted, StartWorkflow)
    ]


def _awaiter(job: Job, addressed: Addressed) -> dict[str, str]:
    """Where the end of the workflow is told: the trigger `jobs_crossed` reads it."""
    return {
        "kind": "graph",
        "app": job.app_id,
        "graph": job.graph,
        "jid": job.jid,
        "aid": addressed.aid,
        "dad": addressed.dad,
    }


def _started(step: Stepped, run_id: int, addressed: Addressed, jid: str) -> Sent:
    job = step.changes.job
    parent = Parent(run_id, addressed.aid, addressed.dad, job.jid)
    here = (addressed.aid, addressed.dad)
    now = compact(next(i.opened_at for i in step.changes.instances if (i.aid, i.dad) == here))
    reply = Reply(MessageKind.RESULT, {"job_id": jid, "jc": now, "ju": now})
    return to_parent(job.app_id, job.graph, parent, reply)
