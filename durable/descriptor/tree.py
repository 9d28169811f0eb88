"""The shape that a graph's transitions draw: who lies above whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from durable.descriptor.model import Graph, Trigger


@dataclass(frozen=True, slots=True)
class Tree:
    """The shape of a graph.

    Attributes:
        parents: activity -> those from which transitions lead to it, in the document's order.
        ancestors: activity -> all that lie above it, the trigger first; only what is reachable.
    """

    parents: Mapping[str, tuple[str, ...]]
    ancestors: Mapping[str, tuple[str, ...]]

    @property
    def reachable(self) -> frozenset[str]:
        """The activities to which a path leads from the trigger."""
        return frozenset(self.ancestors)


def tree_of(graph: Graph) -> Tree:
    """The shape, also of a graph that is no tree: then the first path to an activity counts."""
    parents: dict[str, tuple[str, ...]] = {}
    for source, transitions in graph.transitions.items():
        for transition in transitions:
            known = parents.get(transition.to, ())
            parents[transition.to] = known if source in known else (*known, source)
    ancestors: dict[str, tuple[str, ...]] = {
        aid: () for aid, part in graph.activities.items() if isinstance(part, Trigger)
    }
    waiting = list(ancestors)
    while waiting:
        source = waiting.pop(0)
        for transition in graph.transitions.get(source, ()):
            if transition.to in graph.activities and transition.to not in ancestors:
                ancestors[transition.to] = (*ancestors[source], source)
                waiting.append(transition.to)
    return Tree(parents, ancestors)
