# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Wildcard keys of `job.maps`: slots, markers and searchable attributes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from durable.errors import JobFailed, JobNotFound
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, echo

WILD = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, job: {maps: {'about[_]': '{$self.output.data.about}'}}}
        w1: {type: worker, topic: work, input: {maps: {n: '{t1.output.data.slots}'}}, job: {maps: {'response[25]': '{$self.output.data.n}', 'about[_]': {kind: seen}}}}
        h1: {type: hook, job: {maps: {'response[25]': {last: 9}, 'marks[-]': {'-wait-0-': {at: 1}, plain: x}}}}
      transitions: {t1: [{to: w1}], w1: [{to: h1}]}
"""


async def test_slots_are_written_one_by_one_and_without_a_bound(begin: Begin) -> None:
    """C2: many more properties than the number in the brackets; later ones join those before."""
    mesh = await begin(WILD, work=echo)
    slots = {str(n): n for n in range(60)}
    out = await mesh.pubsub("t", {"slots": slots}, timeout=100)
    assert out["data"] == {"response": {**slots, "last": 9}}


async def test_attributes_and_markers_are_asked_for_by_name(
    begin: Begin, database: Database
) -> None:
    """Attributes come as text, the latest value; markers by their stored names; the job's data has neither."""
    mesh = await begin(WILD, work=echo)
    about: dict[str, Any] = {"who": "/ann", "kind": "new", "n": 5, "none": None}
    out = await mesh.pubsub("t", {"slots": {}, "about": about}, timeout=100)
    jid = out["metadata"]["jid"]
    fields = ["who", "kind", "n", "none", "lacks", ":", '"-wait-0-"', '"-plain"']
    assert await mesh.query_state(jid, fields) == {
        "who": "/ann", "kind": "seen", "n": "5", "none": None, "lacks": None, ":": 0,
        '"-wait-0-"': '{"at":1}', '"-plain"': "x",
    }  # fmt: skip
    assert out["data"] == {"response": {"last": 9}}
    query = f'select attributes, markers from "{database.schema}".jobs'
    row = await database.fetchrow(query)
    assert row is not None
    assert json.loads(row["attributes"]) == {"who": "/ann", "kind": "seen", "n": 5}
    assert json.loads(row["markers"]) == {"-wait-0-": '{"at":1}', "-plain": "x"}
    with pytest.raises(JobNotFound):
        await mesh.query_state("nobody", ["who"])


async def test_a_wildcard_needs_an_object(begin: Begin) -> None:
    """C25: a value that cannot be spread is not dropped in silence: the job fails and says where."""
    mesh = await begin(WILD, work=echo)
    with pytest.raises(JobFailed, match=r"activity 't1'.*'about' in its job\.maps has a wildcard"):
        await mesh.pubsub("t", {"about": "text"}, timeout=100)
