"""The transitions of one activity, indexed so that following them is mostly a dict lookup.

A transition with one match, `actual` equals `expected`, is by far the most frequent: those that ask
for the same `actual` share one evaluation and one dict of the expected values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from durable.descriptor.expressions.comparison import same_value_key
from durable.descriptor.expressions.expression import Expression, Path
from durable.descriptor.expressions.pipe import compile_value
from durable.descriptor.model import Conditions, Match, Transition

Key = tuple[str, object]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a transition leads, and its place in the document."""

    order: int
    to: str


@dataclass(frozen=True, slots=True)
class Switch:
    """Transitions that compare the same value with different literals."""

    actual: Expression
    cases: Mapping[Key, tuple[Target, ...]]


@dataclass(frozen=True, slots=True)
class Test:
    """A transition with several matches."""

    target: Target
    needs_all: bool
    matches: tuple[tuple[Expression, Key | None], ...]

    def holds(self, evaluate: Callable[[Expression], object]) -> bool:
        """Whether all (or any) of its matches hold."""
        results = (same_value_key(evaluate(a)) == key is not None for a, key in self.matches)
        return all(results) if self.needs_all else any(results)


@dataclass(frozen=True, slots=True)
class Branches:
    """What may follow one code."""

    always: tuple[Target, ...] = ()
    switches: tuple[Switch, ...] = ()
    tests: tuple[Test, ...] = ()


_NOWHERE = Branches()


@dataclass(frozen=True, slots=True)
class Routes:
    """The outgoing transitions of an activity, by code.

    Attributes:
        by_code: code -> what may follow it.
        unconditional: followed on every answer that is not an error, whatever its code.
        targets: every activity to which a transition leads, in the document's order.
    """

    by_code: Mapping[int, Branches]
    unconditional: tuple[Target, ...]
    targets: tuple[str, ...]

    def select(
        self, code: int, evaluate: Callable[[Expression], object], *, failed: bool = False
    ) -> tuple[str, ...]:
        """The activities to enter on this code, each once, in the document's order.

        `evaluate` gives an expression's value in the job as it is when the activity has answered;
        `failed` says that the answer is an error, which only transitions that name its code take.
        """
        hits = [] if failed else list(self.unconditional)
        branches = self.by_code.get(code, _NOWHERE)
        hits.extend(branches.always)
        for switch in branches.switches:
            key = same_value_key(evaluate(switch.actual))
            hits.extend(switch.cases.get(key, ()) if key is not None else ())
        hits.extend(test.target for test in branches.tests if test.holds(evaluate))
        return tuple(dict.fromkeys(hit.to for hit in sorted(hits, key=lambda hit: hit.order)))


def compile_routes(transitions: tuple[Transition, ...], at: Path) -> Routes:
    """Index the transitions of one activity; `at` is where they stand."""
    by_code: dict[int, _Collector] = {}
    unconditional = []
    for order, transition in enumerate(transitions):
        conditions = transition.conditions
        if conditions is None:
            unconditional.append(Target(order, transition.to))
            continue
        where = (*at, order, "conditions", "match")
        for code in dict.fromkeys(conditions.code):
            by_code.setdefault(code, _Collector()).add(
                Target(order, transition.to), conditions, where
            )
    targets = tuple(dict.fromkeys(transition.to for transition in transitions))
    branches = {code: collector.branches() for code, collector in by_code.items()}
    return Routes(branches, tuple(unconditional), targets)


class _Collector:
    def __init__(self) -> None:
        self.always: list[Target] = []
        self.tests: list[Test] = []
        self.switches: dict[str, tuple[Expression, dict[Key, tuple[Target, ...]]]] = {}

    def add(self, target: Target, conditions: Conditions, where: Path) -> None:
        if not conditions.match:
            self.always.append(target)
        elif len(conditions.match) == 1:
            self.add_case(target, conditions.match[0], (*where, 0))
        else:
            matches = tuple(
                (compile_value(match.actual, (*where, i, "actual")), same_value_key(match.expected))
                for i, match in enumerate(conditions.match)
            )
            self.tests.append(Test(target, conditions.gate == "and", matches))

    def add_case(self, target: Target, match: Match, where: Path) -> None:
        key = same_value_key(match.expected)
        if key is None:  # an array or object equals nothing
            return
        same = json.dumps(match.actual, sort_keys=True)
        if same not in self.switches:
            self.switches[same] = (compile_value(match.actual, (*where, "actual")), {})
        cases = self.switches[same][1]
        cases[key] = (*cases.get(key, ()), target)

    def branches(self) -> Branches:
        switches = tuple(Switch(actual, cases) for actual, cases in self.switches.values())
        return Branches(tuple(self.always), switches, tuple(self.tests))
