"""From a signal to its waiter, by the rules of its topic.

A rule compares values of the payload with what a waiting activity expects. Both sides are reduced
to a key, so that matching is a look-up. Of several matches the longest-waiting activity (or the
oldest signal) is chosen: one signal wakes one waiter.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence

from durable.descriptor.expressions.context import Context
from durable.descriptor.expressions.expression import Expression
from durable.descriptor.expressions.paths import Reference, walk
from durable.descriptor.expressions.pipe import compile_value, references_of
from durable.descriptor.expressions.values import UNDEFINED
from durable.engine.activities.hook import key_of, names_in
from durable.errors import ConfigurationError
from durable.postgres.connections import Connection
from durable.protocol.clock import from_datetime
from durable.store.apps import AppStore
from durable.store.hooks import SignalKey

RULES_KEPT = 1000  # compiled rules: each is a few hundred bytes, and apps have a handful


class Rules:
    """Compiled rules, by what they compare."""

    def __init__(self, apps: AppStore) -> None:
        self._apps = apps
        self._compiled: dict[str, tuple[Expression, ...]] = {}

    async def keys(
        self,
        connection: Connection,
        app_id: str,
        signals: Sequence[tuple[str, Mapping[str, object]]],
    ) -> list[list[SignalKey]]:
        """For each signal (topic, payload) what its waiters may wait by.

        Raises `ConfigurationError` for a topic without rules, and for a payload that fits none of
        them.
        """
        topics = sorted({topic for topic, _ in signals})
        rules: dict[str, list[tuple[str, str]]] = {}
        now = 0.0
        for row in await self._apps.rules(connection, app_id, topics):
            now = from_datetime(row["now"])
            rules.setdefault(row["topic"], []).append((row["rule"], row["actual"]))
        return [
            self._keys((app_id, topic), payload, rules.get(topic, []), now)
            for topic, payload in signals
        ]

    def _expressions(self, rule: str, actual: str) -> tuple[Expression, ...]:
        if rule not in self._compiled:
            if len(self._compiled) >= RULES_KEPT:
                self._compiled.clear()
            self._compiled[rule] = tuple(compile_value(raw) for raw in json.loads(actual))
        return self._compiled[rule]

    def _keys(
        self,
        at: tuple[str, str],
        payload: Mapping[str, object],
        rules: Sequence[tuple[str, str]],
        now: float,
    ) -> list[SignalKey]:
        app_id, topic = at
        if not rules:
            raise ConfigurationError(
                f"no hook of app {app_id!r} waits at {topic!r}: is the topic spelled right?"
            )
        found = []
        for rule, actual in rules:
            expressions = self._expressions(rule, actual)
            values = [evaluate(expression, payload, now) for expression in expressions]
            if UNDEFINED not in values:
                found.append(SignalKey(app_id, topic, rule, key_of(values), names_in(values)))
        if not found:
            wanted = {str(r) for _, actual in rules for r in references_of(json.loads(actual))}
            raise ConfigurationError(
                f"the signal on {topic!r} of app {app_id!r} lacks what its rules compare:"
                f" {', '.join(sorted(wanted))}"
            )
        return found


def evaluate(expression: Expression, payload: Mapping[str, object], now: float) -> object:
    """The value of a rule's `actual` for a payload, at a moment (Unix seconds)."""

    def resolve(reference: Reference) -> object:
        inside = reference.section == "hook" and reference.part == "data"
        return walk(payload, reference.path) if inside else UNDEFINED

    return expression.evaluate(Context(resolve, lambda: now * 1000, random.random))
