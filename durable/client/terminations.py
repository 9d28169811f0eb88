"""The termination of runs from outside, and the notifications that follow it."""

from __future__ import annotations

from durable.protocol.failures import Failure
from durable.store.announcer import Announcer
from durable.store.jobs import JobStore, Terminated


class Terminations:
    """Ends runs without their code, and wakes everything that it concerns."""

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
        announce_termination(self._announcer, run_id, ended)
        return True


def announce_termination(announcer: Announcer, run_id: int, ended: Terminated) -> None:
    """Wake the waiters, holder, attempts and relatives of a terminated run."""
    announcer.ended(run_id, ended.waiters)
    if ended.holder is not None:
        announcer.over(ended.holder, run_id)
    for message, member in ended.attempts:
        announcer.unwanted(member, message)
    for relative, holder, queue in ended.relatives:
        announcer.arrived(relative, holder, queue)
    for app in ended.apps:
        announcer.engine(app)


def termination(reason: str) -> Failure:
    """A termination as data."""
    return Failure(type="WorkflowTerminated", message=reason, kind="terminated")
