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

    async def get_status(self, job_id: str) -> int:
        """The semaphore of the latest job of an id, a whole number.

        0: done. Above 0: how many branches are open. Around −1,000,000,000: interrupted, less a
        billion.

        Raises `JobNotFound` when no job has that `job_id`, or it was deleted.

        Example:
            print(await mesh.get_status("t2"), await mesh.get_status("t4"))
            # → 0 -999999999
        """
        return (await self._lookup.find(job_id)).job.status

    async def get_state(self, topic: str, job_id: str) -> Output:
        """A job as it stands, whether it runs or has ended: `{"metadata": …, "data": …}`.

        Args:
            topic: what its graph subscribes to.
            job_id: its id.

        Raises `JobNotFound` when no job has that id in that graph.

        Example:
            job = await mesh.get_state("ticket.open", "t2")
            print(job["data"]["team"], job["metadata"]["vrs"])
            # → money 1
        """
        found = await self._lookup.of_topic(topic, job_id)
        return output(found.job, found.plan, found.now)

    async def export(self, job_id: str) -> Output:
        """A job as a document: what each activity did.

        `{"dependencies": [], "process": …, "status": …, "activities": […]}`. `status` is the
        semaphore as text, such as "0". `process` is by dimension and activity, with the job's own
        `data` and `metadata`. `activities` has a dict for each activity in the order in which they
        were entered: `name`, `type`, `dimension`, `started_at`, `completed_at`, `duration_ms`,
        `code`, `input`, `output`, and `hook` or `error` where there is one.

        Raises `JobNotFound` when no job has that `job_id`.

        Example:
            story = await mesh.export("t2")
            print([line["name"] for line in story["activities"]])
            # → ['start', 'sort', 'wait', 'close']
        """
        found = await self._lookup.find(job_id)
        return exported(found.job, found.plan, found.now, await self._lookup.history(found))

    async def get_raw(self, job_id: str) -> Output:
        """A job field by field: `{":": status, "data/x": …, "metadata/jid": …}`.

        What an activity has left stands under its id and dimension, as `add,0,0/output/data/sum`
        (`hook/data` for what a signal brought). Of an entity the kind is `@entity`, the document
        below `@context/`; attributes are `_name`. Lists are values.

        Raises `JobNotFound` when no job has that `job_id`.

        Example:
            fields = await mesh.get_raw("t2")
            print(fields["data/team"], fields["wait,0,0,0/hook/data/text"])
            # → money it is paid
        """
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

    async def query_state(self, job_id: str, fields: Sequence[str]) -> Output:
        """Searchable attributes of a job by name, as text; None for those that it lacks.

        Args:
            job_id: the job's id.
            fields: names, as wildcards of `job.maps` such as `about[_]` wrote them. `":"` asks for
                the status, a name in double quotes for a field as it is stored: `'"-mark"'` for a
                marker.

        Raises `JobNotFound` when no job has that id.

        Example:
            print(await mesh.query_state("t2", ["team", ":"]))
            # → {'team': 'money', ':': 0}
        """
        names = check_several("fields", fields, "mesh.query_state()")
        return await self._jobs.query((await self._lookup.find(job_id)).job, names)


def _flatten(value: Data, path: str, fields: Output) -> None:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            _flatten(inner, f"{path}{key}/", fields)
        else:
            fields[f"{path}{key}"] = inner
