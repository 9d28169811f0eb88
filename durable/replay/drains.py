"""Whose code runs now on the loop of a worker, for the thread that watches it."""

from __future__ import annotations


class Drains:
    """The drains of all runs of a worker, of which one at a time is under way.

    Attributes:
        run_id: the run's; 0 between drains.
        label: the run's name, for people.
        count: how many drains there were.
    """

    __slots__ = ("count", "label", "run_id")

    def __init__(self) -> None:
        self.run_id = 0
        self.label = ""
        self.count = 0
