"""What a run draws: by the seed in its first fact, by its number where there is none."""

from __future__ import annotations

import json
import random
import uuid

import durable
from durable.protocol.facts import Fact, FactKind
from durable.replay.context import RunIdentity
from durable.replay.run import Run


def _uuid_of(data: str) -> str:
    async def program() -> str:
        return str(durable.uuid4())

    definition = durable.workflow(program).definition
    run = Run(definition, RunIdentity(7, "r", "program"))
    run.apply(Fact(FactKind.STARTED, 1.0, name="program", data=data, input="{}"))
    assert run.finished is not None
    return str(json.loads(run.finished.data or ""))


def test_a_history_without_a_seed_draws_by_its_number() -> None:
    """Runs that were begun before there were seeds draw at replay what they drew then."""
    expected = uuid.UUID(int=random.Random(7).getrandbits(128), version=4)
    assert _uuid_of('{"python": "3.11"}') == str(expected)


def test_a_history_with_a_seed_draws_by_it():
    """The seed in the first fact decides, not the run's number."""
    seed = "9f" * 16
    expected = uuid.UUID(int=random.Random(int(seed, 16)).getrandbits(128), version=4)
    assert _uuid_of(json.dumps({"python": "3.11", "seed": seed})) == str(expected)
