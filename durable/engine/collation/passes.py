"""Which passes of a cycle can be forgotten, so that a job may go round for years; pure."""

from __future__ import annotations

from dataclasses import dataclass

from durable.descriptor.plan import Node, Plan
from durable.engine.collation import addresses

KEPT = 100  # passes that can still be looked at; every so many, older ones are forgotten


@dataclass(frozen=True, slots=True)
class Passes:
    """The first passes of a cycle: what its ancestor answered, and what lay below those answers.

    Args:
        ancestor: the activity that the cycle enters again. dad: the address of its first leg, whose
            row stays: it counts the answers.
        before: the pass covers the answers with a lower number.
        below: the activities below the ancestor.
    """

    ancestor: str
    dad: str
    before: int
    below: tuple[str, ...]

    @property
    def prefix(self) -> str:
        """How the addresses begin, the number of the answer being next."""
        return addresses.leg1(self.dad)[:-1]


def outlived(plan: Plan, ancestor: Node, dad: str, replies: int, status: int) -> Passes | None:
    """What can be forgotten now that a cycle enters `ancestor` for its answer number `replies`.

    Only where the cycle is all that is open in the job (its semaphore is 1): its earlier
    passes can get no more replies then, and mappings see the activities above them only.
    """
    if status != 1 or replies <= KEPT or replies % KEPT:
        return None
    below = tuple(node.id for node in plan.nodes.values() if ancestor.id in node.ancestors)
    return Passes(ancestor.id, dad, replies - KEPT, below)
