"""Graphs that a run awaits: begun with a commit, and given up when nobody waits any more."""

from __future__ import annotations

from collections.abc import Iterable

from durable.protocol.commands import StartGraph, Step
from durable.protocol.commits import GraphStep


class OpenGraphs:
    """The graphs of one run that are written down and have not settled.

    Example:
        >>> graphs = OpenGraphs()
        >>> graphs.begun(StartGraph(1, "calculate", "calc", "{}"))
        [GraphStep(number=1, app='calc', topic='calculate', input='{}')]
        >>> graphs.given_up([1, 2])
        [GraphStep(number=1, app='calc', topic='calculate', input=None)]
    """

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[int, StartGraph] = {}

    def found(self, steps: Iterable[Step]) -> None:
        """These are written down already."""
        self._open.update((s.number, s) for s in steps if isinstance(s, StartGraph))

    def begun(self, step: Step) -> list[GraphStep]:
        """What a commit that writes the step down says of it; nothing of other steps."""
        if not isinstance(step, StartGraph):
            return []
        self._open[step.number] = step
        return [GraphStep(step.number, step.app, step.name, step.input)]

    def given_up(self, numbers: Iterable[int]) -> list[GraphStep]:
        """What a commit says of those of these steps that nobody waits for any more."""
        steps = [step for n in numbers if (step := self._open.pop(n, None)) is not None]
        return [GraphStep(step.number, step.app, step.name) for step in steps]

    def settled(self, number: int) -> None:
        """The step has its answer."""
        self._open.pop(number, None)
