"""What an evaluation may ask of its surroundings; handed in, never imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from types import MappingProxyType

from durable.descriptor.expressions.paths import JOB, LOOP_VARIABLES, Reference, property_of, walk
from durable.descriptor.expressions.values import UNDEFINED
from durable.errors import InternalError


def _no_time() -> float:
    raise InternalError("an expression asked for the time where none was handed in")


def _no_dice() -> float:
    raise InternalError("an expression asked for a random number where no rng were handed in")


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of one evaluation.

    Args:
        resolve: gives the value of a reference, `UNDEFINED` where there is none. What it gives is
            only read, never changed.
        now: milliseconds since the epoch.
        random: a number from 0 up to, not including, 1.
        variables: the loop variables inside `@reduce`.
        zone: the time zone of local times. It is part of the surroundings so that every engine
            gives the same answer, wherever it runs.
    """

    resolve: Callable[[Reference], object]
    now: Callable[[], float] = _no_time
    random: Callable[[], float] = _no_dice
    variables: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    zone: tzinfo = UTC

    def lookup(self, reference: Reference) -> object:
        """The value of any reference, loop variables included."""
        if reference.root in LOOP_VARIABLES:
            return walk(self.variables.get(reference.root, UNDEFINED), reference.path)
        return self.resolve(reference)

    def within(self, variables: Mapping[str, object]) -> Context:
        """The same surroundings with loop variables."""
        return replace(self, variables=variables)


def resolver(documents: Mapping[str, object], self_id: str = "") -> Callable[[Reference], object]:
    """A `resolve` over plain data: activity id (or `$job`) -> section -> part -> data.

    `self_id` is the activity for which `$self` stands; without one, `documents["$self"]` does.

    Example:
        >>> from durable.descriptor.expressions.paths import Reference
        >>> resolve = resolver({"t1": {"output": {"data": {"a": 7}}}, "$job": {"data": {}}}, "t1")
        >>> resolve(Reference("$self", "output", "data", ("a",)))
        7
    """

    def resolve(reference: Reference) -> object:
        root = self_id if reference.root == "$self" and self_id else reference.root
        top = documents.get(root, UNDEFINED)
        if reference.root != JOB:
            top = property_of(top, reference.section)
        return walk(property_of(top, reference.part), reference.path)

    return resolve
