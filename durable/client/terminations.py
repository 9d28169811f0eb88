"""The termination of runs from outside, and whom it concerns."""

from __future__ import annotations

from durable.protocol.failures import Failure
from durable.store.jobs import JobStore
from durable.streams.announce import Announcer


class Terminations:
    """Ends runs without their code, and wakes all who had to do with them."""

    def __init__(self, jobs: JobStore, announcer: Announcer) -> None:
        self._jobs = jobs
        self._announcer = announcer

    async def terminate(
        self, run_id: int, failure: Failure, *, throws: bool = True, descend: bool = True
    ) -> bool:
        """End a run; False where it has ended already. See `JobStore.terminate`."""
        ended = await self._jobs.terminate(run_id, failure, throws=throws, descend=descend)
        if ended is None:
            return False
        self._announcer.ended(run_id, ended.waiters)
        if ended.holder is not None:
            self._announcer.over(ended.holder, run_id)
        for message, member in ended.attempts:
            self._announcer.unwanted(member, message)
        for relative, holder, queue in ended.relatives:
            self._announcer.arrived(relative, holder, queue)
        for app in ended.apps:
            self._announcer.engine(app)
        return True


def termination(reason: str) -> Failure:
    """A termination as data."""
    return Failure(type="WorkflowTerminated", message=reason, kind="terminated")
