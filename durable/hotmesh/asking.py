"""The methods of `HotMesh` that ask for jobs by what was counted of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from durable.engine.statistics import Statistics
from durable.protocol.limits import check_several


class Asking:
    """Statistics of jobs, and all jobs with something at once.

    A query is a dict: `data` (what a job would be started with: its trigger makes the key of it),
    `range` ("1h", "24h", "7d"), `start`, `end` (moments, or "NOW"; range alone ends now),
    `granularity` (coarser steps of time than those that are kept), `sparse` (no answer by steps),
    `scrub` (of `hook_all`). Where the trigger's granularity is infinity, nothing is said of time.
    """

    _statistics: Statistics

    async def get_stats(self, topic: str, query: Mapping[str, Any]) -> dict[str, Any]:
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
        return await self._statistics.stats(topic, query)

    async def get_ids(
        self, topic: str, query: Mapping[str, Any], facets: Sequence[str] = ()
    ) -> dict[str, Any]:
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
        return await self._statistics.ids(topic, query, named)

    async def hook_all(
        self,
        topic: str,
        data: Mapping[str, Any],
        query: Mapping[str, Any],
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
        return await self._statistics.signal_all(topic, data, query, named)
