"""Jobs as they stand: status, state, fields, attributes, and what their activities did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from durable.descriptor.plan import Plan
from durable.engine.completion import Jobs, output
from durable.engine.job import Job
from durable.errors import JobNotFound
from durable.hotmesh.export import exported
from durable.protocol.codes import NOT_FOUND
from durable.protocol.graphs import Data
from durable.protocol.limits import check_several


class JobInspection:
    """Looks at the jobs of one app."""

    def __init__(self, app_id: str, jobs: Jobs) -> None:
        self._app_id = app_id
        self._jobs = jobs

    async def status(self, job_id: str) -> int:
        """The semaphore of the latest job of an id."""
        job, _, _ = await self._jobs.find(self._app_id, job_id)
        return job.status

    async def state(self, topic: str, job_id: str) -> dict[str, Any]:
        """A job of a topic: `{"metadata": …, "data": …}`."""
        return output(*await self.find(topic, job_id))

    async def find(self, topic: str, job_id: str) -> tuple[Job, Plan, float]:
        """The latest job of an id, its plan, and the time; raises `JobNotFound` elsewhere."""
        found = await self._jobs.find(self._app_id, job_id)
        if found[0].graph != topic:
            raise JobNotFound(
                f"Job {job_id} not found in graph {topic!r}: it runs {found[0].graph!r}",
                code=NOT_FOUND,
                job_id=job_id,
            )
        return found

    async def export(self, job_id: str) -> dict[str, Any]:
        """A job as a document: what each activity did."""
        job, plan, now = await self._jobs.find(self._app_id, job_id)
        return exported(job, plan, now, await self._jobs.history(job))

    async def raw(self, job_id: str) -> dict[str, Any]:
        """A job field by field."""
        job, plan, now = await self._jobs.find(self._app_id, job_id)
        fields: dict[str, Any] = {":": job.status}
        _flatten(output(job, plan, now), "", fields)
        if job.entity is not None:
            fields["@entity"] = job.entity
        _flatten(job.document, "@context/", fields)
        fields |= {f"_{name}": value for name, value in job.attributes.items()}
        for instance, _ in await self._jobs.history(job):
            for leg in ("output", "hook"):
                data = getattr(instance, leg)
                if data is not None:
                    _flatten(data, f"{instance.aid}{instance.dad}/{leg}/data/", fields)
        return fields

    async def attributes(self, job_id: str, fields: Sequence[str]) -> dict[str, Any]:
        """Searchable attributes of a job by name, as text; None for those that it lacks."""
        names = check_several("fields", fields, "mesh.query_state()")
        job, _, _ = await self._jobs.find(self._app_id, job_id)
        return await self._jobs.query(job, names)


def _flatten(value: Data, path: str, fields: dict[str, Any]) -> None:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            _flatten(inner, f"{path}{key}/", fields)
        else:
            fields[f"{path}{key}"] = inner
