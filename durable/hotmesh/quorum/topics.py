"""The topics that a throttle can be for: those of an app's workers, graphs and functions."""

from __future__ import annotations

from collections.abc import Iterator

from durable.descriptor.document import load_stored
from durable.descriptor.expressions.pipe import compile_value
from durable.descriptor.model import App, Worker
from durable.descriptor.shared import is_for_functions
from durable.errors import ConfigurationError
from durable.hotmesh.quorum.roster import SQL
from durable.postgres.database import Database

_NAMED_MAX = 20


async def check_topic(database: Database, app_id: str, topic: str) -> None:
    """Raise `ConfigurationError`, with the topics known, if nothing of the app has this one.

    A topic is known from the moment at which a graph that names it is deployed, so that it can be
    paused before its first worker starts. Graphs that compute a topic may lead to any.
    """
    sql = SQL.load(database.schema)
    rows = await database.fetch(*sql.bind("known_topics", app_id=app_id, topic=topic))
    known = {row["topic"] for row in rows}
    if topic in known:
        return
    for row in await database.fetch(*sql.bind("descriptors", app_id=app_id)):
        found = set(_topics(load_stored(f"{row['descriptor']}\n")))
        if topic in found or None in found:
            return
        known |= found
    names = sorted(known)
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    listed = ", ".join(map(repr, names[:_NAMED_MAX])) + more
    raise ConfigurationError(
        f"no worker, graph or function of app {app_id!r} has the topic {topic!r}; known:"
        f" {listed or 'none'}"
    )


def _topics(app: App) -> Iterator[str | None]:
    """The topics that workers of a descriptor serve; None: one that is computed."""
    of_functions = is_for_functions(app)
    shared = [] if app.shared is None else [app.shared.activities]
    for activities in (*shared, *(graph.activities for graph in app.graphs)):
        for activity in activities.values():
            if not isinstance(activity, Worker):
                continue
            if compile_value(activity.topic, ()).is_constant:
                yield str(activity.topic)
            elif not of_functions:
                yield None
