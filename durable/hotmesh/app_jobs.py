"""The jobs of one app, as a process starts them, signals them, looks at them and finds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from durable.engine.extension import extension
from durable.hotmesh.composition import MeshParts
from durable.hotmesh.conditions import condition
from durable.hotmesh.conditions import conditions as conditions_of
from durable.hotmesh.job_signals import requested
from durable.hotmesh.publication import Publication
from durable.hotmesh.search import Conditions
from durable.protocol.codes import OK
from durable.protocol.documents import Path
from durable.protocol.durations import Duration, seconds
from durable.protocol.graphs import Data, Output
from durable.protocol.limits import check_several
from durable.protocol.searchable import Value


class AppJobs:
    """The jobs of one app.

    Attributes:
        app_id, namespace: the app, and the Postgres schema that it is in.
        engine_id: by which others name this process.
        escalations: what waits for a person.
    """

    def __init__(self, parts: MeshParts) -> None:
        self.app_id = parts.app_id
        self.namespace = parts.namespace
        self.engine_id = parts.guid
        self.escalations = parts.escalations
        self._parts = parts

    # --- from outside ----------------------------------------------------------------------------

    async def pub(
        self,
        topic: str,
        data: Data | None = None,
        context: Data | None = None,
        extended: Data | None = None,
        *,
        request_id: str | None = None,
        **more: Any,
    ) -> str:
        """Start the graph that subscribes to `topic`; the job's id.

        Args:
            topic: a graph's `subscribes`, or the name of a workflow of the app's task queue; one
                that begins with a dot is for activities only.
            data: plain data: what JSON can hold; of a workflow the arguments, by name.
            context: `{"metadata": {"trc": …, "spn": …}}`, kept with the job.
            extended: `pending`: the job gets its id and status -1, and nothing of it happens before
                `resume`; if that does not come within so many seconds (or a duration), it is
                deleted. `entity`: the kind of thing that it is about. `search`: searchable
                attributes, by name. `marker`: notes, by names that begin with "-".
            request_id: any text: a further call with the same topic and `request_id` starts
                nothing, and returns the id of the job that the first has started, as long as that
                job is kept.
            more: what `extended` may hold, as keywords.

        When the connection breaks, the start is sent again, and happens once.

        Raises `ConfigurationError` for a topic that nothing subscribes to, `DuplicateJob` for an id
        (of the trigger's `stats.id`) that is taken, `PayloadError` for data that JSON cannot hold.

        Example:
            print(await mesh.pub("ticket.open", {"id": "t1", "text": "my bill"}))
            # → t1
        """
        request = requested(request_id, "pub", self.app_id, topic)
        wanted = Publication(topic, data, context, extension(extended, more), request)
        return (await self._parts.starts.start(wanted)).jid

    async def pubsub(
        self,
        topic: str,
        data: Data | None = None,
        context: Data | None = None,
        timeout: Duration = 1,  # noqa: ASYNC109 - the ancestor's argument
    ) -> Output:
        """Start a graph and wait for its end: `{"metadata": …, "data": …}`.

        `topic`, `data` and `context` are as for `pub`.

        Raises what `pub` raises; `JobFailed` with the error's `code` when the job ends with an
        error (410 when it was interrupted); `JobTimeout`, code 504, when it has not ended after
        `timeout`: the job goes on.

        Example:
            await mesh.hook("ticket.answered", {"id": "t2", "text": "it is paid"})
            job = await mesh.pubsub("ticket.open", {"id": "t2", "text": "my bill"}, timeout="10s")
            print(job["data"])
            # → {'team': 'money', 'answer': 'it is paid'}
        """
        wanted = Publication(topic, data, context)
        return await self._parts.starts.run(wanted, seconds(timeout))

    async def resume(self, job_id: str) -> None:
        """Have a pending job begin, on the version on which it was created.

        Or have what a running job has put aside delivered again: messages of which engines died,
        which `get_state` shows as `put_aside` in the metadata. They are counted anew.

        Raises `JobNotFound` when no pending job has that `job_id` (any more), nor a running one
        that has put something aside.

        Example:
            await mesh.pub("ticket.open", {"id": "t5", "text": "hello"}, pending="1 hour")
            print(await mesh.get_status("t5"))
            # → -1
            await mesh.resume("t5")
        """
        await self._parts.starts.resume(job_id)

    async def hook(
        self,
        topic: str,
        data: Data,
        status: str = "success",
        code: int = OK,
        *,
        request_id: str | None = None,
    ) -> str:
        """Signal a hook; the id of the signal's message.

        With code 202 (status "pending") the hook goes on waiting for more.

        Args:
            topic: at which it waits.
            data: plain data, in which the rules of the topic find which job it is for.
            status: "success", "pending" or "error": how the hook is answered.
            code: the code that its transitions compare.
            request_id: any text: a further call with the same topic and `request_id` sends nothing,
                as long as the first signal or its job is kept.

        A signal that comes before anybody waits is kept; one that names a job which has ended (by
        its id) is put aside, and no later job of that id gets it. When the connection breaks, it is
        sent again, and arrives once.

        Raises `ConfigurationError` for a topic at
        which no hook waits, and for data that lacks what the hook's rules compare.

        Example:
            await mesh.hook("ticket.answered", {"id": "t1", "text": "it is not"})
        """
        return await self._parts.signals.send(topic, data, status, code, request_id)

    async def add(self, message: Data, *, request_id: str | None = None) -> str:
        """Answer an open activity, as its callback would; the id of the answer's message.

        Args:
            message: `metadata` says which activity it is for: jid, aid, dad; `data`, `status` and
                `code` are as callbacks return them.
            request_id: any text: a further call for the same job with it sends nothing, as long as
                the job is kept.

        When the connection breaks, it is sent again, and arrives once.

        Raises `JobNotFound` when that job does not run, `ConfigurationError` when the metadata do
        not say whom it is for.

        Example:
            at = {"jid": "t3", "aid": "wait", "dad": ",0,0,0"}
            await mesh.pub("ticket.open", {"id": "t3", "text": "hello"})
            await mesh.add({"metadata": at, "data": {"text": "hello"}})
        """
        return await self._parts.signals.answer(message, request_id)

    async def interrupt(
        self, topic: str, job_id: str, options: Data | None = None, **more: Any
    ) -> bool:
        """End a running job; its waiters get error 410.

        Args:
            topic: the graph's `subscribes`.
            job_id: the job's id.
            options: reason; throw (False: waiters get the data as it is); descend (interrupt the
                jobs that it awaits as well); suppress (return False where this would raise); code;
                stack; expire.
            more: the same options, as keywords.

        Raises `JobNotFound` when no job of that id runs.

        Example:
            await mesh.pub("ticket.open", {"id": "t4", "text": "buy now"})
            print(await mesh.interrupt("ticket.open", "t4", reason="spam"))
            # → True
            print(await mesh.interrupt("ticket.open", "t4", suppress=True))
            # → False
        """
        given = {**(options or {}), **more}
        return await self._parts.interrupts.interrupt(topic, job_id, given)

    # --- jobs as they stand -----------------------------------------------------------------------

    async def get_status(self, job_id: str) -> int:
        """The semaphore of the latest job of an id, a whole number.

        0: done. Above 0: how many branches are open. Around −1,000,000,000: interrupted, less a
        billion.

        Raises `JobNotFound` when no job has that `job_id`, or it was deleted.

        Example:
            print(await mesh.get_status("t2"), await mesh.get_status("t4"))
            # → 0 -999999999
        """
        return await self._parts.inspection.status(job_id)

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
        return await self._parts.inspection.state(topic, job_id)

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
        return await self._parts.inspection.export(job_id)

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
        return await self._parts.inspection.raw(job_id)

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
        return await self._parts.inspection.attributes(job_id, fields)

    # --- jobs by what they have -------------------------------------------------------------------

    async def find(
        self,
        entity: str | None = None,
        conditions: Conditions = (),
        *,
        attributes: Mapping[str, Value] | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Output]:
        """Jobs that fit all conditions, the newest first.

        Args:
            entity: the kind of thing that they are about; None for any.
            conditions: on the document: `{"customer.name": "ann"}` for equal values, or triples
                such as `("total", ">", 5)`. Operators: = != > >= < <= in like. One on a field that
                is not there does not hold; values of different types are in no order.
            attributes: searchable attributes that they have, with these very values.
            limit: how many at most.
            offset: how many are left out before them.

        Each is `{"jid", "tpc", "entity", "context", "attributes", "status", "jc"}`: `context` is
        the document, `jc` when the job was created. Equality, `in`, attributes and the kind are
        served by indexes.

        Raises `ConfigurationError` for conditions that make no sense, `PayloadError` for values
        that JSON cannot hold.

        Example:
            found = await mesh.find("ticket", {"team.name": "money"}, attributes={"team": "money"})
            print([job["jid"] for job in found], found[-1]["context"])
            # → ['t2', 't1'] {'team': {'name': 'money'}}
        """
        wanted, page = conditions_of(conditions), (limit, offset)
        return await self._parts.search.find(entity, wanted, page, attributes)

    async def find_by_condition(
        self,
        entity: str,
        field: Path,
        value: Any,
        operator: str = "=",
        *,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Output]:
        """Jobs of a kind whose document fits one condition, a page of them; as `find`.

        Args:
            entity: the kind.
            field: the path of what is compared, such as `"team.name"`.
            value: with what it is compared.
            operator: how, one of = != > >= < <= in like.
            limit: how many at most.
            offset: how many are left out before them.

        Raises `ConfigurationError` for an unknown operator, and a field that is no path.

        Example:
            found = await mesh.find_by_condition("ticket", "team.name", ["money"], "in", limit=1)
            print([job["attributes"] for job in found])
            # → [{'team': 'money'}]
        """
        wanted = [condition(field, value, operator)]
        return await self._parts.search.find(entity, wanted, (limit, offset))

    async def find_by_id(self, entity: str, job_id: str) -> Output | None:
        """The newest job of this kind, `entity`, and id, `job_id`; None when there is none.

        It is as `find` gives it.

        Example:
            ticket = await mesh.find_by_id("ticket", "t2")
            print(ticket["context"], await mesh.find_by_id("person", "t2"))
            # → {'team': {'name': 'money'}} None
        """
        return await self._parts.search.one(entity, job_id)

    async def get_stats(self, topic: str, query: Data) -> Output:
        """What the trigger of a graph (its `subscribes`) has measured.

        `{"key", "granularity", "range", "start", "end", "count", "measures", "segments"}`: `count`
        is the number of jobs, a measure is `{"target", "type", "value"}`, and each step of time is
        a segment `{"time", "count", "measures"}`, also where nothing was counted. Counts have a
        measure for each value, `name:value`.

        Args:
            topic: what the graph subscribes to.
            query: `data`: what a job would be started with, of which the trigger makes the key.
                `range` ("1h", "24h", "7d"), `start`, `end` (moments, or "NOW"): when; a range alone
                ends now. `granularity`: coarser steps of time than those that are kept. `sparse`:
                no answer by steps.

        Raises `ConfigurationError` for a graph that counts nothing, and a query that makes no
        sense.

        Example:
            stats = await mesh.get_stats("ticket.open", {})
            print(stats["count"], [(m["target"], m["value"]) for m in stats["measures"]])
            # → 5 [('text:buy now', 1), ('text:hello', 2), ('text:my bill', 2)]
        """
        return await self._parts.statistics.stats(topic, query)

    async def get_ids(self, topic: str, query: Data, facets: Sequence[str] = ()) -> Output:
        """The ids of the jobs that have facets: `name:value` of measures of kind index.

        `{"key", "facets", "granularity", "range", "start", "end", "counts", "segments"}`: counts
        are `{"facet", "count"}`, segments `{"time", "measures": [{"type": "ids", "target", "time",
        "count", "ids"}]}` for the steps of time that have jobs. Without facets all that there are
        are meant. A job leaves the index when it is deleted.

        Args:
            topic: what the graph subscribes to.
            query: as for `get_stats`.
            facets: `name:value` each.

        Raises as `get_stats` does, and `ConfigurationError` for facets that are not measured.

        Example:
            found = await mesh.get_ids("ticket.open", {}, ["text:my bill"])
            print(found["counts"], sorted(found["segments"][0]["measures"][0]["ids"]))
            # → [{'facet': 'text:my bill', 'count': 2}] ['t1', 't2']
        """
        named = check_several("facets", facets, "mesh.get_ids()")
        return await self._parts.statistics.ids(topic, query, named)

    async def hook_all(
        self,
        topic: str,
        data: Data,
        query: Data,
        facets: Sequence[str] = (),
    ) -> list[str]:
        """Signal every job that has one of the facets, each once, at the hook of a topic.

        A job gets `data` with its own id as `id`; if it does not wait there yet, the signal is kept
        for it. The engines do it, some hundred jobs at a time; no crash makes them forget or repeat
        one. With `scrub` in the query these jobs have the facets no longer afterwards.

        Args:
            topic: at which the jobs wait.
            data: plain data, as for `hook`.
            query: as for `get_stats`, and `scrub`.
            facets: `name:value` each.

        Returns the indexes that name the jobs, `key:time:index:facet`; [] when there is none.

        Raises `ConfigurationError` for a topic at which no hook waits, for data that lack what its
        rules compare, and as `get_ids` does.

        Example:
            who = ["text:my bill"]
            indexes = await mesh.hook_all("ticket.answered", {"text": "closed"}, {}, who)
            print(indexes)
            # → ['tickets:0:index:text:my bill']
        """
        named = check_several("facets", facets, "mesh.hook_all()")
        return await self._parts.statistics.signal_all(topic, data, query, named)
