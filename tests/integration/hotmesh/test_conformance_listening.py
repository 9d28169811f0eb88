# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""What subscribers, roll call and errors tell, in the words that HotMesh's documentation has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from durable.errors import ConfigurationError, JobFailed, PayloadError
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually

FLOW = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      publishes: done
      expire: 100
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w: {type: worker, topic: work}
      transitions: {t1: [{to: w}]}
"""


async def test_subscriptions_before_any_version_is_active(begin: Begin) -> None:
    """`sub` and `psub` take what is to come, and tell of it: the topic that the graph publishes, also to who asked for one job."""
    mesh = await begin(None, work=echo)
    heard: list[tuple[str, str, str]] = []

    def note(how: str) -> Any:
        return lambda topic, job: heard.append((how, topic, job["metadata"]["jid"]))

    await mesh.sub("done", note("sub"))
    await mesh.sub("done.x", note("one"))
    await mesh.psub("d*e", note("psub"))
    await mesh.deploy(FLOW)
    await mesh.activate("1")

    async def knows() -> bool:
        return "done" in mesh._parts.patterns._known

    await eventually(knows)
    await mesh.pubsub("t", {"id": "x"}, timeout=100)

    async def all_heard() -> bool:
        return len(heard) == 3

    await eventually(all_heard)
    assert sorted(heard) == [("one", "done", "x"), ("psub", "done", "x"), ("sub", "done", "x")]
    assert (await mesh.export("x"))["status"] == "0"
    with pytest.raises(ConfigurationError, match="no graph of app 'app' publishes to 'dome'"):
        await mesh.sub("dome", note("never"))


async def test_roll_call_tells_when_and_by_what(begin: Begin) -> None:
    """Each profile has the moment at which it was seen alive, a worker's the source of its callback."""
    mesh = await begin(FLOW, work=echo)
    engine, worker = await mesh.roll_call(delay=30)  # it returns once both have answered
    for profile in (engine, worker):
        seen = datetime.fromisoformat(profile["timestamp"])
        assert abs((datetime.now(UTC) - seen).total_seconds()) < 60
    assert worker["signature"].startswith("async def echo(message")
    assert "signature" not in engine


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ("job: {maps: {h: PIPE}}", "activity 'w' of graph 't': in its job.maps h is NaN"),
        ("job: {maps: {a: {b: [1, PIPE]}}}", "in its job.maps a.b.1 is NaN"),
        ("output: {maps: {o: PIPE}}", "the output of activity 'w' of job 'x' cannot be written as JSON: o is NaN"),
        ("input: {maps: {i: PIPE}}", "the input of activity 'w' of job 'x' cannot be written as JSON: i is NaN"),
    ],
)  # fmt: skip
async def test_a_number_that_json_cannot_hold_is_named(begin: Begin, maps: str, words: str) -> None:
    """NaN that a mapping has made ends the job, and the error says by which activity and under which key."""
    pipe = "{'@pipe': [['{t1.output.data.id}', 2], ['{@math.multiply}']]}"
    mesh = await begin(
        FLOW.replace("topic: work", f"topic: work, {maps.replace('PIPE', pipe)}"), work=echo
    )
    with pytest.raises((JobFailed, PayloadError)) as failed:
        await mesh.pubsub("t", {"id": "x"}, timeout=100)
    assert words in str(failed.value)
