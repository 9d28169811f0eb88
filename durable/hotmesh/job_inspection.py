"""Jobs as they stand: status, state, fields, attributes, and what their activities did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from durable.engine.job_queries import JobQueries, output
from durable.hotmesh.export import exported
from durable.hotmesh.job_lookup import JobLookup
from durable.protocol.graphs import Data, Output
from durable.protocol.limits import check_several


class JobInspection:
    """Looks at the jobs of one app, be they of graphs or runs of functions."""

    def __init__(self, lookup: JobLookup, jobs: JobQueries) -> None:
        self._lookup = lookup
        self._jobs = jobs

    async def status(self, job_id: str) -> int:
        """The semaphore of the job of an id."""
        return (await self._lookup.find(job_id)).job.status

    async def state(self, topic: str, job_id: str) -> Output:
        """A job of a topic: `{"metadata": …, "data": …}`."""
        found = await self._lookup.of_topic(topic, job_id)
        return output(found.job, found.plan, found.now)

    async def export(self, job_id: str) -> Output:
        """A job as a document: what each activity did."""
        found = await self._lookup.find(job_id)
        return exported(found.job, found.plan, found.now, await self._lookup.history(found))

    async def raw(self, job_id: str) -> Output:
        """A job field by field."""
        found = await self._lookup.find(job_id)
        job = found.job
        fields: Output = {":": job.status}
        _flatten(output(job, found.plan, found.now), "", fields)
        if job.entity is not None:
            fields["@entity"] = job.entity
        _flatten(job.document, "@context/", fields)
        fields |= {f"_{name}": value for name, value in job.attributes.items()}
        for instance, _ in await self._lookup.history(found):
            for leg in ("output", "hook"):
                data = getattr(instance, leg)
                if data is not None:
                    _flatten(data, f"{instance.aid}{instance.dad}/{leg}/data/", fields)
        return fields

    async def attributes(self, job_id: str, fields: Sequence[str]) -> Output:
        """Searchable attributes of a job by name, as text; None for those that it lacks."""
        names = check_several("fields", fields, "mesh.query_state()")
        return await self._jobs.query((await self._lookup.find(job_id)).job, names)


def _flatten(value: Data, path: str, fields: Output) -> None:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            _flatten(inner, f"{path}{key}/", fields)
        else:
            fields[f"{path}{key}"] = inner
