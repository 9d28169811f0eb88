"""Workflows that activities of graphs start, in the transaction of the step that starts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from durable.engine.effects import ActivityEffect, Reply, StartWorkflow
from durable.engine.job import Job, compact, encode
from durable.engine.steps.graph_outbox import JobStep, Parent, parent_message
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
        self, connection: Connection, placed: Sequence[tuple[JobStep, int]], sent: list[Sent]
    ) -> Counter[str]:
        """Start what these steps want started; how many each task queue got.

        `sent` gets the answers of activities that do not wait for the end.
        """
        starts: list[WorkflowStart] = []
        for step, run_id in placed:
            for addressed, effect in _workflow_effects(step):
                start = self._start(step, run_id, addressed, effect)
                starts.append(start)
                if not effect.awaited:
                    sent.append(_started(step, run_id, addressed, start.jid))
        if starts:
            await self._store.start_workflows(connection, starts)
        return Counter(start.queue for start in starts)

    def _start(
        self, step: JobStep, run_id: int, addressed: ActivityEffect, effect: StartWorkflow
    ) -> WorkflowStart:
        job = step.changes.job
        what = f"the input of activity {addressed.aid!r} of job {job.jid!r}"
        text = encode(effect.data, what)
        if not effect.awaited:
            return WorkflowStart(new_id(), effect.queue, effect.name, text)
        return WorkflowStart(
            new_id(),
            effect.queue,
            effect.name,
            text,
            run_id,
            encode(_awaiter(job, addressed), what),
            channels.engine(self._schema, job.app_id),
        )


def _workflow_effects(step: JobStep) -> Iterable[tuple[ActivityEffect, StartWorkflow]]:
    return [
        (addressed, effect)
        for addressed in step.changes.effects
        if isinstance(effect := addressed.effect, StartWorkflow)
    ]


def _awaiter(job: Job, addressed: ActivityEffect) -> dict[str, str]:
    """The awaiter of the workflow, which the trigger `jobs_crossed` notifies of the end."""
    return {
        "kind": "graph",
        "app": job.app_id,
        "graph": job.graph,
        "jid": job.jid,
        "aid": addressed.aid,
        "dad": addressed.dad,
    }


def _started(step: JobStep, run_id: int, addressed: ActivityEffect, jid: str) -> Sent:
    job = step.changes.job
    parent = Parent(run_id, addressed.aid, addressed.dad, job.jid)
    here = (addressed.aid, addressed.dad)
    now = compact(next(i.opened_at for i in step.changes.instances if (i.aid, i.dad) == here))
    reply = Reply(MessageKind.RESULT, {"job_id": jid, "jc": now, "ju": now})
    return parent_message(job.app_id, job.graph, parent, reply)
