"""The messages that a step has claimed, applied to the jobs they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from durable.engine.collation import addresses
from durable.engine.effects import Interruption, Reply
from durable.engine.job import PENDING, RUNNING, Instance, decode
from durable.engine.outcomes import outcome_reply
from durable.engine.steps.graph_outbox import JobStep, Parent, parent_message
from durable.engine.steps.graph_rows import reply_of
from durable.engine.steps.graph_starts import Start
from durable.engine.steps.graph_walk import Continuation, Walk
from durable.engine.steps.graph_walks import JobWalks
from durable.engine.steps.workflow_awaits import GIVEN_UP, WorkflowAwaits
from durable.errors import ConfigurationError, PayloadError
from durable.postgres.connections import Connection
from durable.postgres.database import Row
from durable.protocol.clock import from_datetime
from durable.protocol.codes import NOT_FOUND
from durable.protocol.graphs import Data, Fault
from durable.protocol.messages import MessageKind
from durable.store.graph_jobs import GraphJobStore
from durable.store.graph_messages import Sent


class MessageBatch:
    """Claimed messages of an app, sorted by what is to be done with them.

    Attributes:
        walks: by run, the jobs that messages move on. steps: those that begin.
        done: messages to consume. strays: signals whose waiter has gone on meanwhile.
        answers: messages to send. pending: pending jobs that have expired.
    """

    def __init__(
        self, app_id: str, jobs: GraphJobStore, loader: JobWalks, awaits: WorkflowAwaits
    ) -> None:
        self._app_id = app_id
        self._jobs, self._loader, self._awaits = jobs, loader, awaits
        self.walks: dict[int, Walk] = {}
        self.steps: list[JobStep] = []
        self.done: list[int] = []
        self.strays: list[int] = []
        self.answers: list[Sent] = []
        self.pending: list[int] = []

    async def step_jobs(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Walk on the jobs to which messages are addressed."""
        targets = await self._targets(connection, rows)
        if not targets:
            return
        jobs = {r["run_id"]: r for r in await self._jobs.lock(connection, set(targets.values()))}
        missing = set(targets.values()) - jobs.keys()
        held = {r["run_id"] for r in await self._jobs.read(connection, missing)} if missing else ()
        instances = await self._instances(connection, rows, jobs)
        for row in rows:
            run_id = targets.get(row["id"])
            if run_id is None:
                continue
            if run_id not in jobs:
                if run_id not in held:  # the job has been deleted
                    self.done.append(row["id"])
                continue
            if jobs[run_id]["state"] == PENDING:  # its timer: it was not resumed in time
                self.pending.append(run_id)
                self.done.append(row["id"])
                continue
            if run_id not in self.walks:
                self.walks[run_id] = await self._loader.load(
                    connection, jobs[run_id], instances.get(run_id, {})
                )
            self._feed(self.walks[run_id], row)

    async def _targets(self, connection: Connection, rows: Sequence[Row]) -> dict[int, int]:
        """Message -> run to which it is addressed; interruptions may name their target by id."""
        targets = {row["id"]: row["run_id"] for row in rows if row["run_id"] is not None}
        for row in rows:
            if row["msg_type"] == MessageKind.INTERRUPT and row["run_id"] is None:
                found = await self._jobs.find(
                    connection, self._app_id, decode(row["message"])["target"]
                )
                if found is None or found["state"] != RUNNING:
                    self.done.append(row["id"])
                else:
                    targets[row["id"]] = found["run_id"]
            elif row["msg_type"] == MessageKind.ABANDON:
                run_id, comes = await self._awaits.given_up(connection, row)
                if run_id is not None:
                    targets[row["id"]] = run_id
                elif not comes:
                    self.done.append(row["id"])
        return targets

    async def _instances(
        self, connection: Connection, rows: Sequence[Row], jobs: Mapping[int, Row]
    ) -> dict[int, dict[tuple[str, str], Instance]]:
        wanted = {
            (row["run_id"], dad)
            for row in rows
            if row["run_id"] in jobs and row["dad"] is not None
            for dad in addresses.lineage(row["dad"])
        }
        return await self._loader.instances(connection, wanted) if wanted else {}

    def _feed(self, walk: Walk, row: Row) -> None:
        kind, aid, dad = MessageKind(row["msg_type"]), row["aid"], row["dad"]
        if kind == MessageKind.WEBHOOK and not walk.takes(aid, dad):
            self.strays.append(
                row["id"]
            )  # its waiter went by in this moment: it finds another, or waits
            return
        self.done.append(row["id"])
        if kind == MessageKind.INTERRUPT:
            walk.interrupt(interruption_of(decode(row["message"])))
        elif kind == MessageKind.ABANDON:
            walk.interrupt(GIVEN_UP)
        elif kind == MessageKind.TRANSITION:
            found = decode(row["message"])
            walk.enter(Continuation(aid, dad, found.get("cycles", 0), found.get("data")))
        else:
            read = outcome_reply if kind == MessageKind.OUTCOME else partial(reply_of, kind)
            walk.reply(aid, dad, read(row["message"]))

    async def begin_children(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Begin the jobs that activities ask for; those that cannot begin are answered."""
        asked = [row for row in rows if row["msg_type"] == MessageKind.AWAIT]
        if not asked:
            return
        parents = {decode(row["message"])["parent"]["run_id"] for row in asked}
        states = {r["run_id"]: r for r in await self._jobs.read(connection, parents)}
        for row in asked:
            self.done.append(row["id"])
            message = decode(row["message"])
            parent = Parent(**message["parent"])
            here = states.get(parent.run_id)
            if here is None or (message["awaited"] and here["state"] != RUNNING):
                continue
            start = Start(
                self._app_id, row["topic"], message["data"], message["metadata"],
                parent=parent, awaited=message["awaited"],
            )  # fmt: skip
            try:
                self.steps.append(
                    await self._loader.begin(
                        connection, start, message["version"], from_datetime(here["now"])
                    )
                )
            except (ConfigurationError, PayloadError) as error:
                code = getattr(error, "code", NOT_FOUND)
                reply = Reply(
                    MessageKind.RESULT, {}, "error", code, Fault(code, str(error), parent.jid)
                )
                self.answers.append(parent_message(self._app_id, row["topic"], parent, reply))


def interruption_of(message: Data) -> Interruption:
    """An interruption that came as a message."""
    names = ("reason", "code", "throw", "descend", "stack", "expire")
    return Interruption(*(message[name] for name in names))
