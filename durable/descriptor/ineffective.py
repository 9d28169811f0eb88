"""What a document says without effect: it is kept, and whoever deploys it should know."""

from __future__ import annotations

from collections.abc import Iterator

from durable.descriptor.findings import Finding
from durable.descriptor.model import App, Graph
from durable.expressions.expression import Path


def warnings_of(app: App) -> list[Finding]:
    """Everything that stands in the app and that nothing will ever look at."""
    return [
        Finding(("app", "graphs", index, *path), message)
        for index, graph in enumerate(app.graphs)
        for path, message in _of_graph(graph)
    ]


def _of_graph(graph: Graph) -> Iterator[tuple[Path, str]]:
    for source, transitions in graph.transitions.items():
        for index, transition in enumerate(transitions):
            if transition.code is not None:
                message = (
                    "it has no effect here; to follow the transition on this code only, write"
                    f" `conditions: {{code: {transition.code}}}`"
                )
                yield ("transitions", source, index, "code"), message
    for aid, activity in graph.activities.items():
        at: Path = ("activities", aid)
        for code in activity.job.by_code if activity.job is not None else ():
            message = "maps by code have no effect; give an activity behind that code its own"
            yield (*at, "job", code), message
        for code, port in activity.output.by_code.items() if activity.output is not None else ():
            if port.maps is not None:
                yield (*at, "output", code), "maps by code have no effect, only its schema has"
