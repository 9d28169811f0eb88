"""One world of jobs: an id is looked up among an app's graph jobs and its runs of functions."""

from __future__ import annotations

from dataclasses import dataclass

from durable.descriptor.plan import Plan
from durable.engine.job import Instance, Job
from durable.engine.job_queries import JobQueries
from durable.errors import ConfigurationError, JobNotFound
from durable.hotmesh.function_jobs import FunctionJobs
from durable.protocol.codes import NOT_FOUND
from durable.protocol.graphs import Data


@dataclass(frozen=True, slots=True)
class FoundJob:
    """A job as it was at a moment.

    Attributes:
        job: the job.
        plan: the plan of its graph; of a function's run, as much as shows it.
        now: the moment, in Unix seconds.
        is_function: whether it is the run of a function.
    """

    job: Job
    plan: Plan
    now: float
    is_function: bool

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return self.job.finished_at is None


class JobLookup:
    """Finds jobs of one app: those of graphs, and those of the task queue with the app's name."""

    def __init__(self, app_id: str, jobs: JobQueries, functions: FunctionJobs) -> None:
        self._app_id = app_id
        self._jobs = jobs
        self._functions = functions

    async def find(self, job_id: str) -> FoundJob:
        """The open job of an id, else the newest.

        Raises `JobNotFound` where there is none, and `ConfigurationError` where a job of a graph
        and a run of a function are both open under the id.
        """
        functions = await self._functions.find(job_id)
        try:
            graphs = await self._jobs.find(self._app_id, job_id)
        except JobNotFound:
            if functions is None:
                raise
            return FoundJob(*functions, is_function=True)
        graph = FoundJob(*graphs, is_function=False)
        return graph if functions is None else _one(graph, FoundJob(*functions, is_function=True))

    async def of_topic(self, topic: str, job_id: str) -> FoundJob:
        """The same; raises `JobNotFound` for one of another topic."""
        found = await self.find(job_id)
        if found.job.graph != topic:
            raise JobNotFound(
                f"Job {job_id} not found in graph {topic!r}: it runs {found.job.graph!r}",
                code=NOT_FOUND,
                job_id=job_id,
            )
        return found

    async def history(self, found: FoundJob) -> list[tuple[Instance, Data | None]]:
        """What each activity of a job did, with what it was given, in order."""
        if found.is_function:
            return await self._functions.history(found.job)
        return await self._jobs.history(found.job)


def _one(graph: FoundJob, function: FoundJob) -> FoundJob:
    if graph.is_open and function.is_open:
        raise ConfigurationError(
            f"two open jobs of app {graph.job.app_id!r} have the id {graph.job.jid!r}: one of the"
            f" graph {graph.job.graph!r}, and a run of the workflow {function.job.graph!r}; the run"
            " is reached by client.handle(), and ids that differ keep them apart"
        )
    if graph.is_open != function.is_open:
        return graph if graph.is_open else function
    return max(graph, function, key=lambda found: found.job.run_id)
