"""What callers and callbacks hand over in place of plain data: refused in words, at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from durable.errors import (
    ConfigurationError,
    DescriptorError,
    DurableError,
    JobFailed,
    PayloadError,
)
from durable.hotmesh.mesh import HotMesh

DOCUMENT = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: odd
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        a1: {type: worker, topic: odd, input: {maps: {kind: '{t1.output.data.id}'}}}
        h1: {type: hook}
      transitions:
        t1: [{to: a1}]
        a1: [{to: h1}]
      hooks:
        go:
          - to: h1
            conditions:
              match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]
    - subscribes: parent
      activities:
        t2: {type: trigger}
        a2: {type: await, topic: odd, input: {maps: {id: '{t2.output.data.id}'}}}
      transitions:
        t2: [{to: a2}]
"""


RAISED = {
    "endless": "Circular reference",
    "code": "is a whole number",
    "large": "takes 2,0.. characters of JSON, and at most 1,000",
}


def endless() -> dict[str, Any]:
    """Data that holds itself."""
    loop: dict[str, Any] = {}
    loop |= {"again": loop, "list": [loop]}
    return loop


async def test_an_answer_without_end_fails_its_job(
    begin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data that holds itself or is too large, a code that no column holds: error 500, in words."""
    answers: dict[str, Mapping[str, Any]] = {
        "endless": {"data": endless()},
        "code": {"data": {}, "code": 10**30},
        "large": {"data": {"text": "x" * 2_000}},
    }

    async def odd(message: dict[str, Any]) -> Mapping[str, Any]:
        return answers[message["data"]["kind"]]

    mesh: HotMesh = await begin(DOCUMENT, retry={"maximumAttempts": 1}, odd=odd)
    monkeypatch.setattr("durable.engine.steps.graph_rows.BYTES_MAX", 1_000)
    for kind, said in RAISED.items():
        with pytest.raises(JobFailed, match=said) as caught:
            await mesh.pubsub("odd", {"id": kind}, timeout=100)
        assert caught.value.code == 500


async def test_data_that_is_none_is_refused_where_it_is_given(begin: Any) -> None:
    """Each method says what it was given, and nothing is sent."""
    mesh: HotMesh = await begin(DOCUMENT)
    with pytest.raises(PayloadError, match="Circular reference"):
        await mesh.pub("odd", {"id": "a", "x": endless()})
    with pytest.raises(PayloadError, match="nested deeper"):
        await mesh.escalations.list(metadata=endless())
    with pytest.raises(PayloadError, match="nan"):
        await mesh.escalations.list(metadata={"x": float("nan")})
    text: Any = "text"
    for call in (
        lambda: mesh.pub("odd", text),
        lambda: mesh.pub("odd", {}, text),
        lambda: mesh.pub("odd", {}, {"metadata": text}),
        lambda: mesh.hook("go", text),
        lambda: mesh.add(text),
        lambda: mesh.add({"metadata": text}),
        lambda: mesh.escalations.list(metadata=text),
    ):
        with pytest.raises(ConfigurationError, match="give a dict"):
            await call()
    assert await mesh.find() == []


@pytest.mark.parametrize("jid", ["nul\0", "half\ud800", "".join(map(chr, range(100, 1600)))])
async def test_an_id_that_no_table_holds_is_refused(begin: Any, jid: str) -> None:
    """Whoever starts the job is told by which trigger: a caller at once, a parent by its error."""
    mesh: HotMesh = await begin(DOCUMENT)
    with pytest.raises(DescriptorError, match=r"'t1': stats\.id must be text of at most 2,000"):
        await mesh.pub("odd", {"id": jid})
    with pytest.raises(DurableError, match=r"stats\.id must be text of at most 2,000"):
        await mesh.pubsub("parent", {"id": jid}, timeout=100)
