"""The instances of a job's activities that one step has loaded, and which of them it changes."""

from __future__ import annotations

from dataclasses import dataclass, field

from durable.descriptor.plan import Node
from durable.engine.collation import addresses
from durable.engine.job import Instance


@dataclass
class RecordedInstances:
    """A job's instances by (dad, aid), as a step reads and replaces them."""

    instances: dict[tuple[str, str], Instance]
    _changed: set[tuple[str, str]] = field(default_factory=set)

    def locate(self, node: Node, dad: str) -> tuple[str, Instance | None]:
        """The address on the path to `dad` where an activity is entered, and its instance there."""
        at, here = dad, addresses.depth(dad)
        for depth in node.depths:
            if depth <= here:
                at = addresses.at_depth(dad, depth)
                if (found := self.instances.get((at, node.id))) is not None:
                    return at, found
        return at, None

    def put(self, instance: Instance) -> None:
        """Add an instance, or replace it."""
        key = (instance.dad, instance.aid)
        self.instances[key] = instance
        self._changed.add(key)

    def changed(self) -> tuple[Instance, ...]:
        """The instances that were put, in the order of their addresses."""
        return tuple(self.instances[key] for key in sorted(self._changed))
