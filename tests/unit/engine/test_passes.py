"""Which passes of a cycle can be forgotten."""

from __future__ import annotations

import pytest

from durable.descriptor.document import load
from durable.descriptor.plan import Plan, compile_graph
from durable.engine.collation.passes import KEPT, Passes, outlived

TEXT = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        a: {type: hook}
        p: {type: hook}
        q: {type: hook}
        c: {type: cycle, ancestor: p}
        beside: {type: hook}
      transitions: {t1: [{to: a}], a: [{to: p}, {to: beside}], p: [{to: q}], q: [{to: c}]}
"""


@pytest.fixture
def plan() -> Plan:
    """A cycle below another activity, with one beside it."""
    app = load(TEXT)
    return compile_graph(app, app.graphs[0])


def test_old_passes_and_what_lies_below_them(plan: Plan) -> None:
    """What the ancestor answered long ago, and what followed; not what is beside or above."""
    found = outlived(plan, plan.node("p"), ",0,3,0", 3 * KEPT, 1)
    assert found == Passes("p", ",0,3,0", 2 * KEPT, ("q", "c"))
    assert found.prefix == ",0,3,"


@pytest.mark.parametrize(
    ("replies", "status"), [(KEPT, 1), (2 * KEPT + 1, 1), (2 * KEPT, 2), (5, 1)]
)
def test_what_is_young_or_not_alone_stays(plan: Plan, replies: int, status: int) -> None:
    """Nothing goes while there are few passes, between two rounds, or beside another branch."""
    assert outlived(plan, plan.node("p"), ",0,0,0", replies, status) is None
