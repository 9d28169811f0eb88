# ruff: noqa: E501 - graphs are wider than code
"""A job that goes round for long does not grow without end, and forgets nothing that counts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from durable.engine.collation.passes import KEPT
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually

LOOP = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        p: {type: hook, output: {maps: {n: 1}}}
        s: {type: hook, job: {maps: {last: '{p.output.data.n}', seen: '{t1.output.data.id}'}}}
        w: {type: WORK}
        c: {type: cycle, ancestor: p, input: {maps: {n: {'@pipe': [['{p.output.data.n}', 1], ['{@math.add}']]}}}}
        side: {type: hook, hook: {topic: go}}
        after: {type: hook, job: {maps: {heard: '{side.hook.data.x}'}}}
      transitions:
        t1: [{to: p}SIDE]
        side: [{to: after}]
        p: [{to: s, conditions: {match: [{expected: true, actual: {'@pipe': [['{p.output.data.n}', '{t1.output.data.times}'], ['{@conditional.less_than_or_equal}']]}}]}}]
        s: [{to: w}]
        w: [{to: c}]
"""
PLAIN = LOOP.replace("SIDE", "").replace("        side: {type: hook, hook: {topic: go}}\n", "").replace(
    "        after: {type: hook, job: {maps: {heard: '{side.hook.data.x}'}}}\n", ""
).replace("        side: [{to: after}]\n", "")  # fmt: skip
TIMES = 4 * KEPT + KEPT // 2


async def counts(database: Database) -> Mapping[str, int]:
    """How many rows each activity has."""
    rows = await database.fetch(
        f'select aid, count(*) as rows from "{database.schema}".activities group by aid'
    )
    return {row["aid"]: row["rows"] for row in rows}


@pytest.mark.parametrize("work", ["hook", "worker, topic: work"])
async def test_old_passes_are_forgotten(begin: Begin, database: Database, work: str) -> None:
    """Of hundreds of passes one to two hundred remain, and the job's data are those of the last."""
    mesh = await begin(PLAIN.replace("WORK", work), work=echo)
    out = await mesh.pubsub("t", {"id": "a", "times": TIMES}, timeout=200)
    assert out["data"] == {"last": TIMES, "seen": "a"}
    assert out["metadata"]["js"] == 0
    kept = await counts(database)
    for aid in ("p", "s", "w", "c"):
        assert KEPT <= kept[aid] <= 2 * KEPT + 2, kept
    exported = await mesh.export("a")
    assert str(TIMES) in str(exported)


async def test_nothing_is_forgotten_beside_what_is_open(begin: Begin, database: Database) -> None:
    """While another branch waits, every pass stays, and the branch hears what it waits for."""
    document = LOOP.replace("WORK", "hook").replace("SIDE", ", {to: side}")
    mesh = await begin(document)
    job = await mesh.pub("t", {"id": "a", "times": TIMES})

    async def idle() -> bool:
        state = await mesh.get_state("t", job)
        return bool(state["data"].get("last") == TIMES and state["metadata"]["js"] == 1)

    await eventually(idle, within=150)
    kept = await counts(database)
    assert (kept["p"], kept["c"], kept["side"]) == (TIMES + 1, TIMES, 1)
    await mesh.hook("go", {"x": 1})

    async def done() -> bool:
        return await mesh.get_status(job) == 0

    await eventually(done)
    assert (await mesh.get_state("t", job))["data"]["heard"] == 1
