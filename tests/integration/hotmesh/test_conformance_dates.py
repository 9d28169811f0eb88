"""Date functions work wherever a value stands: in rules that compare signals, and in topics."""

from __future__ import annotations

from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually

TODAY = "{'@pipe': [['{@date.yyyymmdd}']]}"
DATED = f"""
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 100
      activities:
        t1: {{type: trigger, stats: {{id: '{{$self.input.data.id}}'}}}}
        h1: {{type: hook, job: {{maps: {{got: '{{$self.hook.data.n}}'}}}}}}
      transitions: {{t1: [{{to: h1}}]}}
      hooks:
        tick:
          - to: h1
            conditions: {{match: [{{expected: {TODAY}, actual: {TODAY}}}]}}
"""
TOPIC = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        w1: {type: worker, topic: {'@pipe': [['{@date.yyyymmdd}', 0, 2], ['{@string.substring}']]}}
      transitions: {t1: [{to: w1}]}
"""


async def _done(mesh: HotMesh, jid: str) -> bool:
    return await mesh.get_status(jid) == 0


async def test_a_rule_may_compare_dates(begin: Begin) -> None:
    """`actual` asks for today's date: the signal finds the job that waits for today's."""
    mesh = await begin(DATED)
    await mesh.pub("t", {"id": "j"})
    await mesh.hook("tick", {"n": 7})
    await eventually(lambda: _done(mesh, "j"))
    assert (await mesh.get_state("t", "j"))["data"] == {"got": 7}


async def test_a_signal_that_waits_is_filed_under_its_own_day_by_later_rules(
    begin: Begin, database: Database
) -> None:
    """A rule that is deployed later compares an early signal as of the moment at which it came."""
    before = DATED.replace(
        f"expected: {TODAY}, actual: {TODAY}", "expected: 1, actual: '{$self.hook.data.n}'"
    )
    mesh = await begin(before)
    await mesh.hook("tick", {"n": 7})

    async def parked() -> bool:
        return bool(
            await database.fetchval(f'select count(*) = 1 from "{database.schema}".early_signals')
        )

    await eventually(parked)
    await mesh.deploy(DATED.replace("version: '1'", "version: '2'"))
    await mesh.activate("2")
    assert (await mesh.pubsub("t", {"id": "j"}, timeout=100))["data"] == {"got": 7}


async def test_a_topic_may_ask_for_the_time(begin: Begin) -> None:
    """A worker's topic may be made with a date function: here it is the century."""
    mesh = await begin(TOPIC, **{"20": echo})
    assert (await mesh.pubsub("t", {}, timeout=100))["metadata"]["js"] == 0
