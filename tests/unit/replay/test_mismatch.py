"""Code that no longer does what its history says: each way is found and told."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from durable.errors import NonDeterminismError
from durable.protocol.facts import Fact, FactKind
from durable.replay.mismatch import ExpectedStep
from durable.replay.run import Run
from tests.unit.replay.driving import (
    ANY,
    BEGIN,
    SUB,
    activity_of,
    cancel,
    do,
    here,
    identity,
    live,
    replay,
    signal,
    started,
    work,
    workflow_of,
)

PACK = activity_of(work, "pack")
SHIP = activity_of(work, "ship")


async def call(definition: Any, label: str) -> Any:
    """An activity by its definition."""
    return await here().activity(definition, (label,), {})


async def recorded() -> Any:
    """What the history was made by."""
    await call(PACK, "p")
    await asyncio.sleep(5)
    await call(SHIP, "s")
    return "shipped"


async def step_added() -> Any:
    await asyncio.sleep(1)  # added
    await recorded()


async def step_removed() -> Any:
    await asyncio.sleep(5)  # removed before
    await call(SHIP, "s")


async def step_removed_at_the_end() -> Any:
    await call(PACK, "p")
    await asyncio.sleep(5)


async def step_renamed() -> Any:
    await here().activity(activity_of(work, "wrap"), ("p",), {})  # renamed
    await asyncio.sleep(5)


async def kind_changed() -> Any:
    await here().child(SUB, ("p",), {})  # changed
    await asyncio.sleep(5)


async def order_swapped() -> Any:
    await here().activity(SHIP, ("s",), {})  # swapped
    await asyncio.sleep(5)
    await call(PACK, "p")


async def step_that_waits_instead() -> Any:
    await call(PACK, "p")
    await here().receive("go", ANY)  # waits


async def step_added_at_the_end() -> Any:
    await recorded()
    await asyncio.sleep(9)  # waits


def line_of(program: Callable[..., Any], mark: str) -> str:
    """The "file:line" in a program where a comment stands."""
    lines, first = inspect.getsourcelines(program)
    at = next(n for n, line in enumerate(lines) if f"# {mark}" in line)
    return f"{__file__}:{first + at}"


@pytest.mark.parametrize(
    ("program", "mark", "step", "expected", "got"),
    [
        (step_added, "added", 1, "activity 'pack'", "a timer"),
        (step_removed, "removed", 1, "activity 'pack'", "a timer"),
        (step_renamed, "renamed", 1, "activity 'pack'", "activity 'wrap'"),
        (kind_changed, "changed", 1, "activity 'pack'", "child 'sub'"),
        (order_swapped, "swapped", 1, "activity 'pack'", "activity 'ship'"),
        (step_that_waits_instead, "waits", 2, "a timer", "no such step"),
        (step_added_at_the_end, "waits", 0, "completed", "not ended"),
    ],
)
def test_the_step_what_was_recorded_what_came_and_where_are_told(
    program: Callable[..., Any], mark: str, step: int, expected: str, got: str
) -> None:
    """The error has them as attributes, and its message has them in words."""
    history = live(recorded).facts
    with pytest.raises(NonDeterminismError) as caught:
        replay(program, history)
    error = caught.value
    assert (error.step, error.expected) == (step, expected)
    assert error.got.startswith(got)
    assert error.site == line_of(program, mark)
    told = str(error)
    for part in (expected, got, error.site, "run 'run-7'", f"step {step}" if step else "the end"):
        assert part in told


def test_a_run_that_ends_too_early_names_the_function() -> None:
    """Where no line waits any more, the workflow function's own line is named."""
    history = live(recorded).facts
    with pytest.raises(NonDeterminismError) as caught:
        replay(step_removed_at_the_end, history)
    assert (caught.value.step, caught.value.expected) == (3, "activity 'ship'")
    assert caught.value.got == "ended already (completed)"
    assert caught.value.site.startswith(f"{__file__}:")


def test_another_outcome_is_told() -> None:
    """A history that ended well and code that fails do not agree."""

    async def fails() -> Any:
        await recorded()
        raise ValueError

    with pytest.raises(NonDeterminismError, match=r"the end of the run was recorded as completed"):
        replay(fails, live(recorded).facts)


def test_a_terminated_run_says_nothing_of_its_code() -> None:
    """It was stopped from outside wherever it was."""
    facts = live(recorded).facts[:2]
    end = Fact(FactKind.FINISHED, BEGIN + 100, name="terminated")
    story = replay(recorded, [*facts, end])
    assert story.turns[-1] == []
    assert story.run is not None
    story.run.evict()


@pytest.mark.parametrize("fact", [signal("late"), cancel()])
def test_a_history_that_goes_on_after_the_end_is_told(fact: Fact) -> None:
    """Signals and cancellations are recorded only for runs that go on."""
    with pytest.raises(NonDeterminismError, match="ended already"):
        replay(recorded, [*live(recorded).facts[:-1], fact])


def test_the_run_is_dead_after_a_mismatch_and_user_code_never_saw_it() -> None:
    """Not even `except BaseException` in user code gets hold of the error."""
    seen: list[BaseException] = []

    async def curious() -> Any:
        try:
            await asyncio.sleep(1)
        except BaseException as exc:
            seen.append(exc)
            raise

    run = Run(workflow_of(curious), identity())
    history = live(recorded).facts
    run.apply(history[0])
    with pytest.raises(NonDeterminismError):
        run.apply(history[1])
    assert run._dead
    assert [type(exc) for exc in seen] == [asyncio.CancelledError]


def test_another_python_is_named_as_a_possible_cause() -> None:
    """Its asyncio differs between minor versions, and the started fact has the version."""
    first, *rest = live(recorded).facts
    old = Fact(first.kind, first.at, name=first.name, data='{"python": "3.9"}', input=first.input)
    with pytest.raises(NonDeterminismError, match=r"begun by Python 3\.9"):
        replay(step_renamed, [old, *rest])


def folded(program: Callable[..., Any]) -> Run:
    """A run after its first fact."""
    run = Run(workflow_of(program), identity())
    run.apply(started())
    return run


async def two_steps() -> Any:
    await asyncio.gather(do("a"), asyncio.sleep(3))


def test_open_steps_that_agree_with_the_store_pass() -> None:
    """The store's rows and the code's steps are the same; newer steps are not in the store yet."""
    both = [ExpectedStep(1, "activity", "work"), ExpectedStep(2, "timer")]
    run = folded(two_steps)
    run.expect(both, issued=2)
    run.expect(both[:1], issued=1)
    run.expect([])
    assert not run._dead
    run.evict()


@pytest.mark.parametrize(
    ("expected", "issued", "step"),
    [
        ([ExpectedStep(1, "activity", "other")], 1, 1),
        ([ExpectedStep(2, "activity", "work")], None, 2),
        ([ExpectedStep(1, "activity", "work"), ExpectedStep(3, "timer")], None, 3),
        ([ExpectedStep(1, "activity", "work")], 2, 2),
    ],
)
def test_open_steps_that_differ_from_the_store_are_told(
    expected: list[ExpectedStep], issued: int | None, step: int
) -> None:
    """Another name, another kind, one that the code lacks, one that the store has closed."""
    run = folded(two_steps)
    with pytest.raises(NonDeterminismError) as caught:
        run.expect(expected, issued=issued)
    assert caught.value.step == step
    assert run._dead
