"""How runs of functions begin by `pub`: the data are the arguments by name."""

from __future__ import annotations

import json
from functools import partial

from durable.client.interface_checker import InterfaceChecker
from durable.engine.job import Job, encode
from durable.engine.job_queries import JobSnapshot
from durable.errors import ConfigurationError
from durable.hotmesh.publication import Publication
from durable.postgres.retries import CALLER_TIMEOUT, retry_until_connected
from durable.protocol.ids import new_id, new_request
from durable.protocol.limits import check_fields
from durable.runtime.end_waiters import EndWaiters
from durable.runtime.notifications import QueueKind
from durable.store.announcer import Announcer
from durable.store.jobs import JobStore, Start


class FunctionStarts:
    """Starts the workflows that workers of one task queue have deployed.

    Args:
        queue: the task queue.
        jobs: writes the starts.
        announcer: wakes the queue's workers.
        waiters: the calls that wait for an end.
        declared: the workflows that workers have deployed.
    """

    def __init__(
        self,
        queue: str,
        jobs: JobStore,
        announcer: Announcer,
        waiters: EndWaiters[JobSnapshot],
        declared: InterfaceChecker,
    ) -> None:
        self._queue, self._jobs = queue, jobs
        self._declared = declared
        self._announcer = announcer
        self.waiters = waiters

    async def start(self, wanted: Publication, *, awaited: bool) -> Job | None:
        """Start a workflow with its topic's name; None where no worker has deployed one.

        Raises `PayloadError` for data that are not its arguments, and `ConfigurationError` for what
        only jobs of graphs can be given.
        """
        what = f"the start of {wanted.topic!r}"
        data = check_fields("data", wanted.data or {}, what)
        text = encode(data, f"the arguments of {wanted.topic!r}")
        if not await self._declared.check_named(self._queue, wanted.topic, json.loads(text)):
            return None
        state = _begun(wanted)
        jid = new_id() if wanted.request is None else wanted.request.hex
        start = Start(
            wanted.request or new_request(), jid, self._queue, wanted.topic, text, 0, "fresh",
            self.waiters.channel if awaited else None, state,
        )  # fmt: skip
        begin = partial(self._jobs.start, [start])
        (started,) = await retry_until_connected(begin, host=False, limit=CALLER_TIMEOUT)
        run_id = started.run_id or 0
        self.waiters.started(run_id)
        self._announcer.queue(self._queue, QueueKind.TURN)
        return Job(run_id, jid, self._queue, wanted.topic, "")


def _begun(wanted: Publication) -> str:
    """What the run begins with; it says that its arguments came without their function."""
    extension = wanted.extension
    refused = {
        "pending": extension.pending is not None,
        "entity": extension.entity is not None,
        "marker": bool(extension.marker),
        "context": bool((wanted.context or {}).get("metadata")),
    }
    if given := [name for name, is_given in refused.items() if is_given]:
        raise ConfigurationError(
            f"{wanted.topic!r} is a workflow, and its runs take no {' and no '.join(given)}: give"
            " data, and search"
        )
    attributes = {"attributes": dict(extension.search)} if extension.search else {}
    return encode({"published": True, **attributes}, "attributes")
