"""Whether what a trigger counts, and a signal to all asks for, can be found again."""

from __future__ import annotations

from collections.abc import Iterator

from durable.descriptor.expressions.expression import Path
from durable.descriptor.expressions.pipe import compile_into
from durable.descriptor.model import App, Graph, Hook, Signal, Trigger
from durable.descriptor.parts import Stats
from durable.descriptor.value_positions import measure_name


def stats_problems(stats: Stats) -> Iterator[tuple[Path, str]]:
    """What is wrong with the `stats` of a trigger, by the place below it."""
    if stats.key is None and (stats.measures or stats.granularity):
        yield (), "what is measured needs a `key` to be found again"
    seen: set[tuple[str, str]] = set()
    for index, measure in enumerate(stats.measures):
        name = measure_name(compile_into(measure.target))
        if name is None:
            message = "a measure is named by its target: a reference such as {$self.input.data.x}"
            yield ("measures", index, "target"), message
        elif (measure.measure, name) in seen:
            yield ("measures", index), f"{measure.measure} of {name!r} is measured already"
        else:
            seen.add((measure.measure, name))


def facet_problems(app: App, signal: Signal) -> Iterator[tuple[str, str]]:
    """What is wrong with a signal to all at a fixed topic, by its field."""
    graph = next((g for g in app.graphs if signal.topic in hook_topics_of(g)), None)
    if graph is None or signal.key_name is None:
        return
    stats = next((a.stats for a in graph.activities.values() if isinstance(a, Trigger)), None)
    if stats is None or stats.key is None:
        trigger = f"the trigger of graph {graph.subscribes!r}, whose hook waits here,"
        yield "topic", f"{trigger} has no stats.key"
    elif signal.key_name not in _indexed(stats):
        trigger = f"the trigger of graph {graph.subscribes!r}"
        yield "key_name", f"{trigger} has no measure of kind index of {signal.key_name!r}"


def hook_topics_of(graph: Graph) -> set[str]:
    """The topics at which hooks of a graph wait for signals."""
    own = {a.hook.topic for a in graph.activities.values() if isinstance(a, Hook) and a.hook}
    return set(graph.hooks) | {topic for topic in own if topic is not None}


def _indexed(stats: Stats) -> set[str | None]:
    return {measure_name(compile_into(m.target)) for m in stats.measures if m.measure == "index"}
