"""Pattern subscriptions: every topic that fits, those of later versions too."""

from __future__ import annotations

from typing import Any

from tests.integration.hotmesh.conftest import Begin
from tests.waiting import eventually


def published(version: int, *topics: str) -> str:
    """An app with a graph for each topic, started by `start.<topic>`."""
    graphs = "".join(
        f"""
    - subscribes: start.{topic}
      publishes: {topic}
      expire: 100
      activities: {{t{n}: {{type: trigger, stats: {{id: '{{$self.input.data.id}}'}}}}}}"""
        for n, topic in enumerate(topics)
    )
    return f"app:\n  id: app\n  version: '{version}'\n  graphs:{graphs}\n"


async def test_a_pattern_hears_of_each_end_once(begin: Begin) -> None:
    """By topic, by job, of a later version; not after `punsub`; one that fails fails alone."""
    mesh = await begin(published(1, "order.done", "mail.done"))
    other = await begin(None)
    heard: list[tuple[str, str]] = []
    one: list[tuple[str, str]] = []

    def note(topic: str, job: dict[str, Any]) -> None:
        heard.append((topic, job["metadata"]["jid"]))

    async def note_one(topic: str, job: dict[str, Any]) -> None:
        one.append((topic, job["metadata"]["jid"]))

    def broken(topic: str, _job: dict[str, Any]) -> None:
        raise ValueError(topic)

    await other.psub("order.*", broken)
    await other.psub("order.*", note)
    await other.psub("*.b[12]", note_one)
    for topic, jid in (("order.done", "a"), ("mail.done", "b1"), ("order.done", "b2")):
        await mesh.pub(f"start.{topic}", {"id": jid})

    async def all_heard() -> bool:
        return len(heard) >= 2 and len(one) >= 2

    await eventually(all_heard)
    assert sorted(heard) == [("order.done", "a"), ("order.done", "b2")]
    assert sorted(one) == [("mail.done.b1", "b1"), ("order.done.b2", "b2")]
    await mesh.deploy(published(2, "order.sent"))
    await mesh.activate(2)

    async def knows() -> bool:
        return "order.sent" in other._parts.patterns._known

    await eventually(knows)
    await mesh.pub("start.order.sent", {"id": "c"})

    async def sent() -> bool:
        return ("order.sent", "c") in heard

    await eventually(sent)
    await other.punsub("order.*")
    await mesh.pub("start.order.sent", {"id": "b1x"})
    await mesh.pub("start.order.sent", {"id": "b2x"})
    assert len(heard) == 3
