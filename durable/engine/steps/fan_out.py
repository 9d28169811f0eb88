"""A signal to all jobs with a facet, as a message: it becomes a signal to each, part by part.

Each step writes the signals of the next jobs and a message for its own successor. A crash at any
point repeats that step only, and steps stay small for any number of jobs.
"""

from __future__ import annotations

from durable.descriptor.plan import Plan
from durable.descriptor.queries import JobsQuery, Selection, Window
from durable.engine.activities.measurements import facets_of, key_for
from durable.engine.effects import FacetTargets, Reply
from durable.engine.job import decode, encode
from durable.engine.steps.graph_routing import Rules
from durable.engine.steps.graph_rows import reply_text
from durable.engine.steps.graph_walks import Plans
from durable.errors import ConfigurationError
from durable.postgres.connections import Connection
from durable.postgres.database import Row
from durable.protocol.graphs import Data
from durable.protocol.messages import MessageKind
from durable.store.graph_messages import Sent
from durable.store.stats import StatsStore

FAN_OUT = 500  # signals that one step writes


class FanOut:
    """Takes the steps of signals to all, on the connection of the caller."""

    def __init__(self, plans: Plans, rules: Rules, stats: StatsStore) -> None:
        self._plans, self._rules = plans, rules
        self._stats = stats

    async def choose(
        self, connection: Connection, at: tuple[str, str, str], targets: FacetTargets
    ) -> Selection:
        """The jobs that a signal at (app id, version, topic) is for.

        Raises `ConfigurationError` for a topic without a hook, and for a query or facets that do
        not fit the measures of that graph's trigger.
        """
        app_id, version, topic = at
        plans = await self._plans(connection, app_id, version)
        plan = next((p for p in plans.values() if topic in p.hooks), None)
        if plan is None:
            raise ConfigurationError(
                f"unable to find hook rule for topic {topic!r} in app {app_id!r},"
                f" version {version}: is the topic spelled right?"
            )
        return selection(plan, JobsQuery.of(targets.query), targets.facets, targets.at)

    async def message(
        self, connection: Connection, topic: str, chosen: Selection, data: Data, *, scrub: bool
    ) -> Sent | None:
        """The first message of a signal to the present jobs; None without any.

        Raises `ConfigurationError` when the data, with the job's `id`, lack what rules compare.
        """
        await self._rules.keys(connection, chosen.app_id, [(topic, {**data, "id": ""})])
        until = await self._stats.latest(connection, chosen)
        return None if until is None else begun(topic, chosen, data, until, scrub=scrub)

    async def step(self, connection: Connection, row: Row) -> list[Sent]:
        """The signals of one step, and the message for the next one."""
        found, topic, app_id = decode(row["message"]), row["topic"], row["stream_name"]
        if "version" in found:
            targets = FacetTargets(tuple(found["facets"]), found["query"], found["at"])
            chosen = await self.choose(connection, (app_id, found["version"], topic), targets)
            scrub = bool(found["query"].get("scrub"))
            first = await self.message(connection, topic, chosen, found["data"], scrub=scrub)
            return [] if first is None else [first]
        window = Window(None, found["first"], found["end"])
        chosen = Selection(app_id, found["graph"], found["key"], window, tuple(found["facets"]))
        return await self._part(connection, topic, chosen, found)

    async def _part(
        self, connection: Connection, topic: str, chosen: Selection, found: Data
    ) -> list[Sent]:
        between = found["after"], found["until"]
        jobs = await self._stats.jobs(connection, chosen, between, FAN_OUT)
        sent = [_signal(topic, chosen.app_id, found["data"], job) for job in jobs if job["running"]]
        if found["scrub"] and jobs:
            await self._stats.forget_index(connection, chosen, [job["run_id"] for job in jobs])
        if len(jobs) == FAN_OUT:
            rest = {**found, "after": jobs[-1]["run_id"]}
            sent.append(
                Sent(chosen.app_id, MessageKind.FANOUT, encode(rest, "a signal"), topic=topic)
            )
        return sent


def selection(
    plan: Plan, query: JobsQuery, facets: tuple[str, ...], at: float, *, by_index: bool = True
) -> Selection:
    """The jobs of a graph that a query means, asked at a moment (Unix seconds).

    Raises `ConfigurationError` when the graph does not count what the query asks for.
    """
    key = key_for(plan, query.data)
    stats = plan.node(plan.trigger).stats
    window = query.window(stats.minutes if stats else None, at)
    known = facets_of(plan, facets) if by_index else ()
    return Selection(plan.app_id, plan.subscribes, key, window, known)


def begun(topic: str, chosen: Selection, data: Data, until: int, *, scrub: bool) -> Sent:
    """The message that begins a signal to all jobs up to a run id."""
    found = {
        "data": data,
        "graph": chosen.graph,
        "key": chosen.key,
        "first": chosen.window.first,
        "end": chosen.window.end,
        "facets": chosen.facets,
        "scrub": scrub,
        "after": 0,
        "until": until,
    }
    return Sent(
        chosen.app_id, MessageKind.FANOUT, encode(found, f"the signal on {topic!r}"), topic=topic
    )


def _signal(topic: str, app_id: str, data: Data, job: Row) -> Sent:
    """A signal for one job only, with its id, as rules compare it."""
    reply = Reply(MessageKind.WEBHOOK, {**data, "id": job["jid"]})
    return Sent(app_id, MessageKind.WEBHOOK, reply_text(reply, only=job["run_id"]), topic=topic)
