"""The methods of `HotMesh` that look at a job, or remove it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from durable.engine.completion import Jobs, output
from durable.engine.job import RUNNING
from durable.engine.retention import Retention
from durable.errors import ConfigurationError, JobNotFound
from durable.hotmesh.export import exported
from durable.protocol.codes import NOT_FOUND
from durable.protocol.durations import Duration
from durable.protocol.limits import check_several
from durable.protocol.retention import Outcome, Pruned, pruning


class Keeping:
    """What is kept of jobs."""

    app_id: str
    _jobs: Jobs
    _retention: Retention

    async def get_status(self, job_id: str) -> int:
        """The semaphore of the latest job of an id, a whole number.

        0: done. Above 0: how many branches are open. Around −1,000,000,000: interrupted, less a
        billion.

        Raises `JobNotFound` when no job has that `job_id`, or it was deleted.

        Example:
            print(await mesh.get_status("t2"), await mesh.get_status("t4"))
            # → 0 -999999999
        """
        job, _, _ = await self._jobs.find(self.app_id, job_id)
        return job.status

    async def get_state(self, topic: str, job_id: str) -> dict[str, Any]:
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
        job, plan, now = await self._known(topic, job_id)
        return output(job, plan, now)

    async def export(self, job_id: str) -> dict[str, Any]:
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
        job, plan, now = await self._jobs.find(self.app_id, job_id)
        return exported(job, plan, now, await self._jobs.history(job))

    async def _known(self, topic: str, job_id: str) -> Any:
        found = await self._jobs.find(self.app_id, job_id)
        if found[0].graph != topic:
            raise JobNotFound(
                f"Job {job_id} not found in graph {topic!r}: it runs {found[0].graph!r}",
                code=NOT_FOUND,
                job_id=job_id,
            )
        return found

    async def get_raw(self, job_id: str) -> dict[str, Any]:
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
        job, plan, now = await self._jobs.find(self.app_id, job_id)
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

    async def query_state(self, job_id: str, fields: Sequence[str]) -> dict[str, Any]:
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
        job, _, _ = await self._jobs.find(self.app_id, job_id)
        return await self._jobs.query(job, names)

    async def scrub(self, job_id: str) -> None:
        """Delete a job that has ended, with all that belongs to it; its id is free at once.

        Raises `JobNotFound` when no job has that `job_id`, and `ConfigurationError` for a job that
        runs: interrupt it first.

        Example:
            await mesh.scrub("t2")
        """
        job, _, _ = await self._jobs.find(self.app_id, job_id)
        if job.state == RUNNING:
            raise ConfigurationError(
                f"job {job_id!r} still runs, and others may wait for it:"
                f" interrupt({job.graph!r}, {job_id!r}) ends it, then it can be scrubbed"
            )
        await self._retention.scrub(job.run_id)

    async def prune(
        self,
        *,
        older_than: Duration | None = None,
        keep: Iterable[Outcome] = (),
        streams: bool = True,
        dry_run: bool = False,
        tell: Callable[[Pruned], None] | None = None,
    ) -> Pruned:
        """Delete this app's jobs that expired long ago, in batches; how much it was.

        Engines and workers do so by themselves once a minute, as `retain` says. Running jobs, and
        those that never expire, are not touched.

        Args:
            older_than: how long ago they expired; as `retain` says unless given.
            keep: outcomes that stay: "completed", "failed" (which is any other end), or both.
            streams: also expired messages of jobs that stay, and signals for which nobody came.
            dry_run: only count.
            tell: called with the sum so far after each batch.

        Raises `ConfigurationError` for what is no duration or outcome.

        Example:
            pruned = await mesh.prune(older_than="1 hour", keep=["failed"])
            print(pruned.jobs)
            # → 0
        """
        wanted = pruning(older_than, keep, streams=streams, app_id=self.app_id)
        if dry_run:
            return await self._retention.count(wanted)
        return await self._retention.prune(wanted, tell)


def _flatten(value: Any, path: str, fields: dict[str, Any]) -> None:
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            _flatten(inner, f"{path}{key}/", fields)
        else:
            fields[f"{path}{key}"] = inner
