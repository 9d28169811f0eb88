# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Branches that lead to the same activity, and what documents may say without effect."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from durable.errors import DescriptorError
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually

MEETING = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 100
      activities:
        t1: {type: trigger}
        near: {type: worker, topic: work, input: {maps: {n: '{t1.output.data.n}'}}}
        far: {type: KIND}
        further: {type: worker, topic: work, input: {maps: {n: '{t1.output.data.n}'}}}
        meet: {type: worker, topic: work, input: {maps: {near: '{near.output.data.n}', further: '{further.output.data.n}'}}}
        end: {type: hook, output: {maps: {met: '{meet.output.data}'}}, job: {maps: {'met[_]': {'@pipe': [['{meet.output.metadata.dad}', true], ['{@object.create}']]}, got: '{meet.output.data}'}}}
      transitions:
        t1:
          - {to: near, conditions: {match: [{expected: true, actual: '{t1.output.data.near}'}]}}
          - {to: far, conditions: {match: [{expected: true, actual: '{t1.output.data.far}'}]}}
        far: [{to: further}]
        near: [{to: meet}]
        further: [{to: meet}]
        meet: [{to: end}]
"""


@pytest.mark.parametrize("kind", ["hook", "worker, topic: work"])
async def test_exclusive_branches_meet_in_an_activity(begin: Begin, kind: str) -> None:
    """Whichever branch is taken, the activity behind both runs, and sees what lies on its own way."""
    mesh = await begin(MEETING.replace("KIND", kind), work=echo)
    near = await mesh.pubsub("t", {"near": True, "n": 1}, timeout=100)
    assert (near["data"]["got"], near["metadata"]["js"]) == ({"near": 1}, 0)
    far = await mesh.pubsub("t", {"far": True, "n": 2}, timeout=100)
    assert (far["data"]["got"], far["metadata"]["js"]) == ({"further": 2}, 0)


async def test_branches_that_are_both_taken_run_it_twice(begin: Begin, database: Database) -> None:
    """It is no join: each runs it in a dimension of its own, and the job ends when both have."""
    mesh = await begin(MEETING.replace("KIND", "hook"), work=echo)
    out = await mesh.pubsub("t", {"near": True, "far": True, "n": 3}, timeout=100)
    assert out["metadata"]["js"] == 0
    query = f"""select dad from "{database.schema}".activities where aid = 'end' order by dad"""
    assert len(await database.fetch(query)) == 2


AROUND = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        p: {type: hook, cycle: true, output: {maps: {n: '{t1.output.data.n}'}}}
        odd: {type: hook}
        even: {type: hook}
        w: {type: worker, topic: work, input: {maps: {n: '{p.output.data.n}'}}}
        c: {type: cycle, ancestor: p, input: {maps: {n: {'@pipe': [['{w.output.data.n}', 1], ['{@math.subtract}']]}}}}
        last: {type: hook, job: {maps: {n: '{w.output.data.n}'}}}
      transitions:
        t1: [{to: p}]
        p:
          - {to: odd, conditions: {match: [{expected: true, actual: {'@pipe': [['{p.output.data.n}'], ['{@number.isOdd}']]}}]}}
          - {to: even, conditions: {match: [{expected: false, actual: {'@pipe': [['{p.output.data.n}'], ['{@number.isOdd}']]}}]}}
        odd: [{to: w}]
        even: [{to: w}]
        w:
          - {to: c, conditions: {match: [{expected: true, actual: {'@pipe': [['{w.output.data.n}', 0], ['{@number.gt}']]}}]}}
          - {to: last, conditions: {match: [{expected: 0, actual: '{w.output.data.n}'}]}}
"""


async def test_a_cycle_goes_round_through_branches_that_meet(begin: Begin) -> None:
    """Below a meeting a cycle finds its ancestor, whichever way each pass has taken."""
    mesh = await begin(AROUND, work=echo)
    out = await mesh.pubsub("t", {"n": 5}, timeout=100)
    assert (out["data"], out["metadata"]["js"]) == ({"n": 0}, 0)


async def test_transitions_in_a_circle_are_refused(begin: Begin) -> None:
    """Only an activity of type cycle leads back; its ancestor lies above it on every way."""
    mesh = await begin(None)
    circle = MEETING.replace("KIND", "hook").replace(
        "end: {type: hook,", "back: {type: hook}\n        end: {type: hook,"
    )
    circle = circle.replace(
        "meet: [{to: end}]", "meet: [{to: end}, {to: back}]\n        back: [{to: far}]"
    )
    with pytest.raises(DescriptorError, match="transitions lead in a circle"):
        await mesh.plan(circle)
    with pytest.raises(DescriptorError, match="'odd' does not lie above 'c' on every way"):
        await mesh.plan(AROUND.replace("ancestor: p", "ancestor: odd"))


IN_VAIN = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        w:
          type: worker
          topic: work
          retry: {maximumAttempts: 1, initialInterval: 0, '500': [3]}
          output: {'422': {schema: {type: object}, maps: {x: 1}}}
          job: {'422': {maps: {x: 1}}, maps: {n: '{$self.output.data.n}'}}
        h: {type: hook, job: {maps: {h: true}}}
      transitions:
        t1: [{to: w}]
        w: [{to: h, code: 422}]
"""


async def test_what_has_no_effect_is_taken_with_a_warning(
    begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    """`code` beside `to` and maps by code change nothing, and their lines are named; `500: [3]` means three retries."""
    tries = []

    async def work(_message: dict[str, Any]) -> dict[str, Any]:
        tries.append(1)
        return {"code": 500} if len(tries) < 4 else {"data": {"n": len(tries)}}

    with caplog.at_level(logging.WARNING, "durable"):
        mesh = await begin(IN_VAIN, work=work)
    said = [r.getMessage() for r in caplog.records if "no effect" in r.getMessage()]
    assert [line.split("line ")[1].split(",")[0] for line in said] == ["18", "14", "13"]
    assert "write `conditions: {code: 422}`" in said[0]
    out = await mesh.pubsub("t", timeout=100)
    assert out["data"] == {"n": 4, "h": True}


ASKED = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        h: {type: hook, hook: {topic: ok}, escalation: {role: boss, metadata: '{t1.output.data.about}', envelope: '{t1.output.data.note}'}}
      transitions: {t1: [{to: h}]}
"""


async def test_the_metadata_of_an_escalation_by_reference(begin: Begin) -> None:
    """An object that the job was started with becomes the metadata; what is no object fails the job, and says where."""
    mesh = await begin(ASKED)
    await mesh.pub("t", {"about": {"order": 7}, "note": {"text": "hi"}})
    await mesh.pub("t", {})
    [none, one] = sorted(await mesh.escalations.list(), key=lambda e: bool(e["metadata"]))
    assert (one["metadata"], one["envelope"]) == ({"order": 7}, {"text": "hi"})
    assert not none["metadata"]
    jid = await mesh.pub("t", {"about": "order 7"})

    async def failed() -> Any:
        return (await mesh.get_state("t", jid))["metadata"].get("err")

    assert "metadata of its escalation must be an object" in (await eventually(failed))["message"]
