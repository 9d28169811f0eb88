"""What one version of a workflow takes, read from the descriptor that its workers deployed.

Loaded when a run is first started or signalled by name: YAML and the models of the descriptor take
a quarter of a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from durable.descriptor.document import load_stored
from durable.descriptor.model import Graph, Hook
from durable.errors import DescriptorError

_SIGNAL: Final = ".signal"  # the activity of a generated graph that stands open for signals

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Interface:
    """What one version of a workflow takes: schemas of arguments and signals; {} says nothing."""

    arguments: Schema
    signals: Schema


def interfaces(document: str) -> dict[str, Interface]:
    """What each workflow of a descriptor takes, by its name.

    Args:
        document: the YAML. Of a version of durable that this one cannot read, nothing is known.
    """
    try:
        graphs = load_stored(document).graphs
    except DescriptorError:
        return {}
    return {
        graph.subscribes: Interface((graph.input and graph.input.schema_) or {}, _signals(graph))
        for graph in graphs
        if isinstance(hook := graph.activities.get(_SIGNAL), Hook) and hook.hook is not None
    }


def _signals(graph: Graph) -> Schema:
    hook = graph.activities[_SIGNAL]
    return (isinstance(hook, Hook) and hook.hook and hook.hook.schema_) or {}
