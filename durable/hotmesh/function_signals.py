"""Signals to runs of functions, by the hook that stands open in their generated graph."""

from __future__ import annotations

from uuid import UUID

from durable.client.interface_checker import InterfaceChecker
from durable.descriptor.commands import SIGNAL
from durable.engine.job import encode
from durable.errors import ConfigurationError, JobNotFound
from durable.hotmesh.function_jobs import FunctionJobs
from durable.postgres.retries import CALLER_TIMEOUT, retry_until_connected
from durable.protocol.codes import CONFLICT, NOT_FOUND, OK
from durable.protocol.graphs import Data
from durable.protocol.ids import new_request
from durable.protocol.limits import check_fields, check_id, check_name
from durable.store.announcer import Announcer
from durable.store.runs import Message, Reached, RunStream

_FIELDS = {"id", "name", "data"}


class FunctionSignals:
    """Signals the runs of one task queue: the topic is the workflow's name and ".signal".

    Args:
        queue: the task queue.
        jobs: finds runs.
        declared: what their workers have deployed.
        stream: takes what reaches them.
        announcer: wakes whoever holds them.
    """

    def __init__(
        self,
        queue: str,
        jobs: FunctionJobs,
        declared: InterfaceChecker,
        stream: RunStream,
        announcer: Announcer,
    ) -> None:
        self._queue = queue
        self._jobs, self._declared = jobs, declared
        self._stream, self._announcer = stream, announcer

    async def workflow_of(self, topic: str) -> str | None:
        """The workflow at whose runs a topic is received; None where it is none of them."""
        name = topic.removesuffix(SIGNAL)
        known = name != topic and name in await self._declared.workflows(self._queue)
        return name if known else None

    async def send(
        self, workflow: str, data: Data, answer: tuple[str, int], request: UUID | None
    ) -> str:
        """Signal the open run of `data["id"]`; the request's id.

        Raises `JobNotFound` where no such run is open, `ConfigurationError` for a signal that the
        workflow does not declare, and `PayloadError` for data of another type.
        """
        what = f"the signal on {workflow + SIGNAL!r}"
        given = check_fields("data", data, what)
        if unknown := sorted(given.keys() - _FIELDS):
            raise ConfigurationError(f"{what} has unknown fields {unknown}; known: id, name, data")
        if answer != ("success", OK):
            raise ConfigurationError(f"{what} has no status or code: it is given to the function")
        jid = check_id("id", given.get("id"), what)
        name = check_name("name", given.get("name"), what)
        text = encode(given.get("data"), f"the data of {what}")
        run_id = await self._open(workflow, jid)
        await self._declared.check_signal(run_id, name, text)
        message = Message(run_id, "signal", name, message=text, request_id=request or new_request())
        reached = await self._arrive(message)
        if reached is None:
            raise JobNotFound(f"Job {jid} already completed", code=CONFLICT, job_id=jid)
        self._announcer.arrived(reached.run_id, reached.holder, reached.queue)
        return str(message.request_id)

    async def _open(self, workflow: str, jid: str) -> int:
        found = await self._jobs.find(jid)
        if found is None or found[0].graph != workflow:
            raise JobNotFound(f"Job {jid} not found", code=NOT_FOUND, job_id=jid)
        if found[0].finished_at is not None:
            raise JobNotFound(f"Job {jid} already completed", code=CONFLICT, job_id=jid)
        return found[0].run_id

    async def _arrive(self, message: Message) -> Reached | None:
        """Put it into the inbox once, however often the connection breaks."""

        async def arrive() -> Reached | None:
            return (await self._stream.arrive_again([message])).get(message.request_id)

        return await retry_until_connected(arrive, host=False, limit=CALLER_TIMEOUT)
