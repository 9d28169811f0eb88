"""What handles and clients share: rows, waiters, and the way into inboxes."""

from __future__ import annotations

from durable.client.deployments import Deployments
from durable.client.interface_checker import InterfaceChecker
from durable.client.terminations import Terminations, termination
from durable.engine.retention import Retention
from durable.errors import WorkflowEnded
from durable.postgres.home_loop import HomeLoop
from durable.postgres.retries import CALLER_TIMEOUT
from durable.protocol.commits import Histories
from durable.runtime.batching import Batch, Batcher, Repeatable
from durable.runtime.end_waiters import EndWaiters
from durable.runtime.notifications import QueueKind
from durable.store.jobs import Ended, JobStore, Start, Started
from durable.store.runs import Message, Reached
from durable.worker.worker_services import WorkerServices

LANES = 2  # of starts, and of signals, that may be in flight at once
GRACE = 3.0  # seconds that closing waits for what is in flight


class Runs:
    """What handles need: rows, waiters, and the way into inboxes. Made by `durable.composition`."""

    def __init__(
        self, jobs: JobStore, services: WorkerServices, waiters: EndWaiters[Ended],
        retention: Retention, deployments: Deployments,
    ) -> None:  # fmt: skip
        self.jobs = jobs
        self.services = services
        self.declared = InterfaceChecker(jobs)
        self.waiters = waiters
        self.retention = retention
        self.deployments = deployments
        self._terminations = Terminations(jobs, services.announcer)
        self.histories: Histories = services.histories
        self.home = HomeLoop("the client")
        starts = Repeatable(
            "a start", self._begin, jobs.probe, limit=CALLER_TIMEOUT, weigh=lambda s: len(s.input)
        )
        arrivals = Repeatable(
            "a signal",
            self._send,
            jobs.probe,
            limit=CALLER_TIMEOUT,
            weigh=lambda m: len(m.message or ""),
        )
        self._starts = Batcher(starts, lanes=LANES, limit=CALLER_TIMEOUT)
        self._arrivals = Batcher(arrivals, lanes=LANES, limit=CALLER_TIMEOUT)

    async def start(self, start: Start) -> Started:
        """Write a start, together with others of this moment, and wake its queue."""
        started = await self._starts.submit(start)
        while started.run_id is None:  # another start of the same id won in the same moment
            started = await self._starts.submit(start)
        if started.started:
            self.waiters.started(started.run_id)
            self.services.announcer.queue(start.queue, QueueKind.TURN)
        return started

    async def arrive(self, run_id: int, name: str, msg_type: str, topic: str, message: str) -> None:
        """Put a message into a run's inbox, and wake its holder."""
        reached = await self._arrivals.submit(Message(run_id, msg_type, topic, message=message))
        if reached is None:
            raise WorkflowEnded(
                f"the workflow {name!r} has ended: it takes no {msg_type} any more", id=name
            )
        self.wake(reached)

    def wake(self, reached: Reached) -> None:
        """Wake the holder of a run that has something in its inbox, else its queue."""
        self.services.announcer.arrived(reached.run_id, reached.holder, reached.queue)

    async def terminate(self, run_id: int, reason: str) -> None:
        """End a run from outside."""
        await self._terminations.terminate(run_id, termination(reason))

    async def _begin(self, batch: Batch[Start]) -> list[Started]:
        return await self.jobs.start(batch.items)

    async def _send(self, batch: Batch[Message]) -> list[Reached | None]:
        runs, messages = self.services.runs, batch.items
        reached = await (runs.arrive_again(messages) if batch.again else runs.arrive(messages))
        return [reached.get(m.request_id) for m in messages]

    async def close(self) -> None:
        """Wait for what is on its way."""
        await self._starts.close(GRACE)
        await self._arrivals.close(GRACE)
