"""What the soak runs beside the programs of the other fault tests."""

from __future__ import annotations

from typing import Any

import durable
from tests.faults import programs
from tests.faults.programs import count, note, worth

number = durable.Signal("number", int)
NUMBERS = 6  # signals to each listener
NAP = 1.0  # seconds


@durable.workflow
async def listener(key: str, amount: int) -> list[int]:
    """Take signals until the last one has come; what came, in order."""
    await count(f"{key}/begin")
    heard: list[int] = []
    while not heard or heard[-1] != amount - 1:
        heard.append(await number.receive())
        await count(f"{key}/{len(heard)}")
    return heard


@durable.workflow
async def napping(key: str, seconds: float) -> int:
    """A timer between two steps, whose times the journal tells."""
    before = await count(f"{key}/before")
    await durable.sleep(seconds)
    return before + await count(f"{key}/after")


def napping_worth(key: str) -> int:
    """What `napping` returns."""
    return worth(f"{key}/before") + worth(f"{key}/after")


WORKFLOWS = [*programs.WORKFLOWS, listener, napping]

GRAPH = """
app:
  id: soak
  version: '1'
  graphs:
    - subscribes: parcel
      expire: 3600
      activities:
        asked: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        pack: {type: worker, topic: pack, retry: {maximumAttempts: 20, initialInterval: 0.1, maximumInterval: 1}, job: {maps: {pack: '{$self.output.data.v}'}}}
        rest: {type: hook, sleep: 0.3}
        load: {type: worker, topic: load, retry: {maximumAttempts: 20, initialInterval: 0.1, maximumInterval: 1}, job: {maps: {load: '{$self.output.data.v}'}}}
        wait: {type: hook, job: {maps: {word: '{$self.hook.data.word}'}}}
        drop: {type: worker, topic: drop, input: {maps: {v: '{wait.hook.data.word}'}}, retry: {maximumAttempts: 20, initialInterval: 0.1, maximumInterval: 1}, job: {maps: {drop: '{$self.output.data.v}'}}}
      transitions:
        asked: [{to: pack}]
        pack: [{to: rest}]
        rest: [{to: load}]
        load: [{to: wait}]
        wait: [{to: drop}]
      hooks:
        arrived: [{to: wait, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}]
"""  # noqa: E501 - graphs are wider than code

TOPICS = ("pack", "load", "drop")


def parcel_worth(key: str) -> dict[str, str]:
    """The data of a parcel's job in the end."""
    return {"pack": f"pack {key}", "load": f"load {key}", "word": key, "drop": f"drop {key}"}


async def callback(message: dict[str, Any]) -> dict[str, Any]:
    """Any activity of the graph: notes the call, and answers what tells it from the others."""
    about = message["metadata"]
    note("graph", f"{about['jid']}/{about['aid']}")
    return {"data": {"v": f"{about['aid']} {about['jid']}"}}
