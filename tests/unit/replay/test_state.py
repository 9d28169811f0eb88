"""A run's attributes and entity are a fold of its history, like its variables."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import weakref
from typing import Any

import pytest

import durable
from durable.protocol.facts import Fact, FactKind
from durable.replay.run import Run
from tests.unit.replay.driving import (
    BEGIN,
    cancel,
    do,
    identity,
    live,
    receive,
    signal,
    started,
    workflow_of,
)


async def busy(rounds: int) -> str:
    """Changes its state from several tasks, in signals, after timers and in a `finally`."""
    state, found = durable.entity(), durable.attributes()

    async def count(name: str) -> None:
        for n in range(rounds):
            state.append("log", await do(f"{name}{n}", after=1 + len(name) * 0.3))
            found.incr("steps")
            found.set(last=name)

    async def listen() -> None:
        try:
            while True:
                state.merge({"heard": {await receive("word"): True}})
        finally:
            state.toggle("cleaned")

    listener = asyncio.create_task(listen())
    await asyncio.gather(count("a"), count("bb"))
    await asyncio.sleep(1)
    state.remove("log", 0)
    found.mult("steps", 1.5)
    listener.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listener
    return json.dumps([found.as_dict(), state.get()])


def _state(run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    context = run._context
    return context.attributes.as_dict(), context.entity.get()


SCRIPT = [(0.5, signal("word", "x")), (2.2, signal("word", "y"))]


def test_a_cold_fold_comes_to_the_same_state_after_every_fact() -> None:
    """Warm and cold agree at each length of the history, and so do their commands."""
    story = live(busy, 3, script=SCRIPT)
    warm = Run(workflow_of(busy), identity())
    for n, fact in enumerate(story.facts, 1):
        assert warm.apply(fact) == story.turns[n - 1]
        cold = Run(workflow_of(busy), identity())
        for again in story.facts[:n]:
            cold.apply(again)
        assert _state(cold) == _state(warm)
        cold.evict()
    attributes, entity = _state(warm)
    assert [attributes, entity] == json.loads(story.result)
    assert attributes == {"steps": 9.0, "last": "bb"}
    assert entity["heard"] == {"x": True, "y": True}
    assert entity["cleaned"] is True
    assert len(entity["log"]) == 5


def test_state_is_no_command() -> None:
    """Without its state the program issues the very same commands under the same numbers."""

    async def bare(rounds: int) -> None:
        async def count(name: str) -> None:
            for n in range(rounds):
                await do(f"{name}{n}", after=1 + len(name) * 0.3)

        await asyncio.gather(count("a"), count("bb"))
        await asyncio.sleep(1)

    def numbers(story: Any) -> list[Any]:
        return [getattr(c, "number", None) for c in story.commands if hasattr(c, "input")]

    assert numbers(live(busy, 3)) == numbers(live(bare, 3))


async def quiet() -> int:
    """Changes something, then nothing for a while, then something again."""
    durable.set_attributes(a=1)
    durable.entity().get()
    await do("x")
    durable.attributes().get("a")
    await do("y")
    durable.entity().increment("n")
    return await do("z")  # type: ignore[return-value]


def test_only_changes_are_taken() -> None:
    """What was not changed since it was last taken is None; reading changes nothing."""
    run = Run(workflow_of(quiet), identity())
    taken = []
    for fact in live(quiet).facts[:4]:
        run.apply(fact)
        taken.append(run.take_state())
    assert taken == [('{"a":1}', None), (None, None), (None, '{"n":1}'), (None, None)]
    run.evict()


async def begun() -> str:
    """What it was started with."""
    return json.dumps([durable.attributes().as_dict(), durable.entity().get()])


def test_what_it_was_started_with_is_no_change() -> None:
    """The first fact brings it, and there is nothing to write."""
    given = {"attributes": {"a": "ä"}, "entity": {"z": 1, "b": [None]}}
    run = Run(workflow_of(begun), identity())
    run.apply(Fact(FactKind.STARTED, BEGIN, data=json.dumps({"python": "3", **given}), input="{}"))
    assert run.finished is not None
    assert json.loads(json.loads(run.finished.data or "")) == list(given.values())
    assert run.take_state() == (None, None)


taken: list[Any] = []


async def lends() -> None:
    """Lets others have its state, and waits."""
    taken[:] = [durable.attributes(), durable.entity()]
    await receive("never")


async def borrows() -> str:
    """Uses the state of another run."""
    try:
        taken[1].toggle("x")
    except durable.NotDurableError as error:
        return str(error)
    return "taken"


def test_only_its_own_code_changes_it() -> None:
    """Not another run, not a query, not a predicate, not code outside; reading is free."""
    run = Run(workflow_of(lends), identity())
    run.apply(started(workflow=run.definition))
    attributes, entity = taken
    with pytest.raises(durable.NotDurableError, match="changed by its own code only"):
        attributes.set(a=1)
    assert "changed by its own code only" in live(borrows, run_id=8).result
    with pytest.raises(durable.NotDurableError, match="must only look"):
        run.look(lambda: entity.toggle("x"))
    assert run.look(lambda: (attributes.as_dict(), entity.get())) == ({}, {})
    run.evict()

    async def predicate() -> None:
        await durable.wait_until(lambda: durable.entity().toggle("x"))

    assert "must only look" in live(predicate).failure.message


async def stubborn() -> str:
    """Leaves a task behind that changes the state when it is cancelled."""

    async def late() -> None:
        try:
            await receive("never")
        finally:
            durable.set_attributes(late=True)

    task = asyncio.create_task(late())
    await do("x")
    durable.set_attributes(done=True)
    del task
    return "ended"


def test_the_end_is_the_end() -> None:
    """What other tasks do after the function has returned has no effect on the state."""
    story = live(stubborn)
    assert story.result == "ended"
    assert story.run is not None
    assert _state(story.run)[0] == {"done": True}


def test_a_cancelled_function_keeps_what_it_sets_while_it_cleans_up() -> None:
    """`finally` of the function itself is a part of the run."""

    async def cleans() -> None:
        try:
            await receive("never")
        finally:
            durable.set_attributes(cleaned=True)

    story = live(cleans, script=[(1, cancel())])
    assert story.run is not None
    assert _state(story.run)[0] == {"cleaned": True}


def test_an_evicted_run_leaves_nothing() -> None:
    """It weighs while it is there; then it goes, without waiting for the collector of cycles."""

    async def heavy() -> None:
        durable.entity().set({"big": "x" * 50_000})
        await receive("never")

    run = Run(workflow_of(heavy), identity())
    run.apply(started(workflow=run.definition))
    assert run.weight > 50_000
    gone = weakref.ref(run._loop)
    gc.collect()
    gc.disable()
    try:
        run.evict()
        del run
        assert gone() is None
    finally:
        gc.enable()
