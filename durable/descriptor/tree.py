"""The shape that a graph's transitions draw: which activities lie above which.

Mostly it is a tree. Branches may lead to the same activity: whichever comes runs it, in a dimension
of its own, so that every way to it is a way of a tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from durable.descriptor.model import Graph, Trigger


@dataclass(frozen=True, slots=True)
class Tree:
    """The shape of a graph.

    Attributes:
        parents: activity -> those from which transitions lead to it, in the document's order.
        ancestors: activity -> all that lie above it on some way, the trigger first; only what is
            reachable.
        always: activity -> those that lie above it on every way.
        depths: activity -> how deep it can lie, 0 being the trigger, the deepest first.
        circle: activities that lead to each other without a cycle; empty in a sound graph.
    """

    parents: Mapping[str, tuple[str, ...]]
    ancestors: Mapping[str, tuple[str, ...]]
    always: Mapping[str, frozenset[str]] = field(default_factory=dict)
    depths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    circle: tuple[str, ...] = ()

    @property
    def reachable(self) -> frozenset[str]:
        """The activities to which a path leads from the trigger."""
        return frozenset(self.ancestors)

    def way(self, parent: str, child: str) -> int:
        """Which of the ways to an activity leads there from this parent: 0 is the first."""
        return self.parents[child].index(parent)


def tree_of(graph: Graph) -> Tree:
    """The shape, also of a graph with a circle: what lies on it, or below, has no place."""
    parents: dict[str, tuple[str, ...]] = {}
    for source, transitions in graph.transitions.items():
        for transition in transitions:
            known = parents.get(transition.to, ())
            parents[transition.to] = known if source in known else (*known, source)
    triggers = [aid for aid, part in graph.activities.items() if isinstance(part, Trigger)]
    reached = _reached(graph, triggers)
    ancestors: dict[str, tuple[str, ...]] = dict.fromkeys(triggers, ())
    always: dict[str, frozenset[str]] = {aid: frozenset() for aid in triggers}
    depths: dict[str, tuple[int, ...]] = dict.fromkeys(triggers, (0,))
    waiting = [aid for aid in reached if aid not in ancestors]
    while ready := [
        a for a in waiting if all(p in ancestors for p in _within(parents, a, reached))
    ]:
        for aid in ready:
            above = _within(parents, aid, reached)
            lines = [(*ancestors[parent], parent) for parent in above]
            ancestors[aid] = tuple(dict.fromkeys(a for line in lines for a in line))
            always[aid] = frozenset.intersection(*(always[p] | {p} for p in above))
            found = {d + (2 if parents[aid].index(p) else 1) for p in above for d in depths[p]}
            depths[aid] = tuple(sorted(found, reverse=True))
        waiting = [aid for aid in waiting if aid not in ancestors]
    return Tree(parents, ancestors, always, depths, tuple(waiting))


def _reached(graph: Graph, triggers: list[str]) -> dict[str, None]:
    """The activities to which transitions lead from the trigger, the nearest first."""
    reached = dict.fromkeys(triggers)
    waiting = list(triggers)
    while waiting:
        for transition in graph.transitions.get(waiting.pop(0), ()):
            if transition.to in graph.activities and transition.to not in reached:
                reached[transition.to] = None
                waiting.append(transition.to)
    return reached


def _within(
    parents: Mapping[str, tuple[str, ...]], aid: str, reached: Mapping[str, None]
) -> tuple[str, ...]:
    """The parents of an activity to which the trigger leads."""
    return tuple(parent for parent in parents.get(aid, ()) if parent in reached)
