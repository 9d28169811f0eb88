"""Which descriptors are deployed, which one is live, and the plans made of them.

Deploying validates and stores, atomically. Only activating switches: the version named in
`durable.apps` is read with every start, so that all engines switch in the moment in which that
commits. A job keeps the version on which it started.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

from durable.descriptor.document import content_hash, dump, load, load_stored
from durable.descriptor.expressions.pipe import compile_value
from durable.descriptor.expressions.values import UNDEFINED
from durable.descriptor.model import App
from durable.descriptor.plan import Plan, compile_graph, rule_of
from durable.descriptor.shared import is_for_functions
from durable.engine.activities.hook import key_of
from durable.engine.job import decode
from durable.engine.steps.graph_routing import evaluate
from durable.errors import ConfigurationError
from durable.postgres.connections import LONG_DEADLINE, Connection
from durable.postgres.database import Database
from durable.protocol.clock import from_datetime
from durable.store.apps import AppStore
from durable.store.hooks import HookStore, SignalKey
from durable.telemetry.logs import logger

PLANS_MAX = 64  # versions of apps kept compiled; jobs of older ones compile theirs again


class Versions:
    """The versions of apps in one database."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._apps = AppStore(database.schema)
        self._hooks = HookStore(database.schema)
        self._plans: OrderedDict[tuple[str, str], Mapping[str, Plan]] = OrderedDict()

    async def plans(self, connection: Connection, app_id: str, version: str) -> Mapping[str, Plan]:
        """The plans of a version by the topic to which they subscribe.

        Raises `ConfigurationError` when that version was never deployed.
        """
        found = self._plans.get((app_id, version))
        if found is None:
            row = await self._apps.version(connection, app_id, version)
            if row is None:
                raise ConfigurationError(f"version {version} of app {app_id!r} is not deployed")
            found = _compiled(load_stored(_inline(row["descriptor"])))
            self._plans[app_id, version] = found
            if len(self._plans) > PLANS_MAX:
                self._plans.popitem(last=False)
        self._plans.move_to_end((app_id, version))
        return found

    def at_hand(self, app_id: str, version: str) -> Mapping[str, Plan] | None:
        """The plans of a version, if they were needed lately."""
        return self._plans.get((app_id, version))

    async def deploy(
        self, source: str | Path | Mapping[str, object], app_id: str | None = None
    ) -> App:
        """Validate and store an app's version; it becomes active by `activate` only.

        Args:
            source: YAML text, a path, or plain data.
            app_id: the app that it must be, None for any.

        Deploying the same content again leaves the version unchanged. A document with reentrant
        activities, as decorated functions generate it, is stored too, but turns run its graphs, and
        it is never active. Raises `DescriptorError` with every finding, and `ConfigurationError`
        for another app's document, or a version that has other content already.
        """
        app = load(source, warn_of_no_effect)
        if app_id is not None and app.id != app_id:
            raise ConfigurationError(
                f"this is app {app_id!r}, and the document says app.id: {app.id!r}"
            )
        generated = is_for_functions(app)
        if not generated:  # engines run no graph of functions
            _compiled(app)
        await self._store(app, dump(app), generated=generated)
        return app

    async def _store(self, app: App, text: str, *, generated: bool) -> None:
        content = content_hash(app)
        async with self._db.connection(LONG_DEADLINE) as connection, connection.transaction():
            await self._apps.lock(connection, app.id)
            if not await self._apps.insert(
                connection, (app.id, app.version), text, content, generated=generated
            ):
                row = await self._apps.version(connection, app.id, app.version)
                if row is not None and not _is_same(
                    (row["content_hash"], row["descriptor"]), content, app
                ):
                    raise ConfigurationError(
                        f"version {app.version} of app {app.id!r} is deployed with other content,"
                        " and jobs may be running on it: give the document a new version"
                    )
                if generated:
                    await self._apps.deployed_again(connection, app.id, app.version)
                return
            rules = [] if generated else _rules(app)
            if rules:
                new = await self._apps.insert_rules(connection, app.id, rules)
                await self._file_early_signals(connection, app.id, new, rules)

    async def _file_early_signals(
        self,
        connection: Connection,
        app_id: str,
        new: Sequence[tuple[str, str]],
        rules: Sequence[tuple[str, str, str]],
    ) -> None:
        """Add keys of the new rules to early signals, so that those rules find them too."""
        actual = {(topic, rule): text for topic, rule, text in rules}
        for topic, rule in new:
            expressions = [compile_value(raw) for raw in json.loads(actual[topic, rule])]
            for row in await self._hooks.parked(connection, app_id, topic):
                payload = decode(row["message"]).get("data") or {}
                came = from_datetime(row["created_at"])
                values = [evaluate(expression, payload, came) for expression in expressions]
                if UNDEFINED not in values:
                    key = SignalKey(app_id, topic, rule, key_of(values))
                    await self._hooks.park(
                        connection, row["signal_id"], [key], row["message"], row["run_id"]
                    )

    async def activate(self, app_id: str, version: str) -> None:
        """Switch an app to a version, for every engine at once; running jobs stay on theirs.

        Raises `ConfigurationError` for a version that was not deployed.
        """
        async with self._db.connection() as connection, connection.transaction():
            if not await self._apps.activate(connection, app_id, version):
                rows = await self._apps.versions(connection, app_id)
                known = [r["version"] for r in rows if not r["generated"]]
                if len(known) < len(rows) and version not in known:
                    known.append("versions generated from functions, which are never active")
                raise ConfigurationError(
                    f"version {version} of app {app_id!r} is not deployed"
                    + (f"; deployed are {', '.join(known)}" if known else ", nor is any other")
                )

    async def active_version(self, app_id: str) -> str | None:
        """The version that is active, None when none ever was."""
        async with self._db.connection() as connection:
            return (await self._apps.active(connection, app_id))[0]

    async def topics(self, app_id: str, version: str) -> set[str]:
        """The topics to which the graphs of a version subscribe."""
        async with self._db.connection() as connection:
            return set(await self.plans(connection, app_id, version))

    async def published(self, app_id: str) -> tuple[Mapping[str, Plan] | None, float]:
        """As `active`; None for the plans as long as no version was ever activated."""
        async with self._db.connection() as connection:
            version, now = await self._apps.active(connection, app_id)
            plans = None if version is None else await self.plans(connection, app_id, version)
            return plans, from_datetime(now)

    async def active(self, app_id: str) -> tuple[Mapping[str, Plan], float]:
        """The plans of the active version, by topic, and the database's time in Unix seconds.

        Raises `ConfigurationError` when no version was ever activated.
        """
        async with self._db.connection() as connection:
            version, now = await self._apps.active(connection, app_id)
            if version is None:
                raise ConfigurationError(
                    f"no version of app {app_id!r} is active: deploy one and activate it"
                )
            return await self.plans(connection, app_id, version), from_datetime(now)


async def deploy_generated(database: Database, app_id: str, yaml_text: str, version: str) -> None:
    """Store the descriptor that decorated functions generated, so that it can be read; idempotent.

    `version` is the hash of its content. It is never activated: turns run its graphs.

    Raises `DescriptorError` when it does not hold together, `ConfigurationError` when app id or
    version are not those of the document.
    """
    app = load(_inline(yaml_text))
    if (app.id, app.version) != (app_id, version):
        raise ConfigurationError(
            f"the generated document says app {app.id!r}, version {app.version},"
            f" and is to be stored as {app_id!r}, {version}"
        )
    await Versions(database)._store(app, yaml_text, generated=True)  # noqa: SLF001 - the same module


def _is_same(stored: tuple[str, str], content: str, app: App) -> bool:
    """Whether an app has a stored hash, or is the document beside it, hashed in another way."""
    return stored[0] == content or load_stored(_inline(stored[1])) == app


def warn_of_no_effect(line: str) -> None:
    """Log the parts of a document that have no effect."""
    logger.warning("the document says what has no effect: %s", line)


def _compiled(app: App) -> Mapping[str, Plan]:
    return {graph.subscribes: compile_graph(app, graph) for graph in app.graphs}


def _inline(text: str) -> str:
    """The text so that it cannot be taken for a path."""
    return text if text.endswith("\n") else f"{text}\n"


def _rules(app: App) -> list[tuple[str, str, str]]:
    """The rules of an app, each once: topic, rule, what it compares as JSON text."""
    found: dict[tuple[str, str], str] = {}
    for graph in app.graphs:
        for topic, rules in graph.hooks.items():
            for rule in rules:
                actual = (
                    [match.actual for match in rule.conditions.match] if rule.conditions else []
                )
                found[topic, rule_of(actual)] = json.dumps(actual)
        for activity in graph.activities.values():
            port = getattr(activity, "hook", None)
            if port is not None and port.topic and port.topic not in graph.hooks:
                found[port.topic, rule_of([])] = "[]"
    return [(topic, rule, text) for (topic, rule), text in found.items()]
