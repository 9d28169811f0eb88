"""Cancellation by asyncio's rules, and the five ways in which a hand-written await went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import Any

import pytest

from durable.errors import ActivityFailed, ActivityTimeout, ChildFailed
from durable.protocol.commands import CancelStep, Finish
from durable.protocol.facts import Fact, FactKind
from durable.protocol.failures import Failure
from durable.replay.run import Run
from tests.unit.replay.driving import (
    BEGIN,
    WORK,
    brief,
    cancel,
    child,
    do,
    here,
    identity,
    live,
    replay,
    started,
    workflow_of,
)


def answer(number: int, label: str = "a", at: float = BEGIN + 1) -> Fact:
    """An activity's answer."""
    return Fact(FactKind.ACTIVITY, at, number=number, name="work", data=f'"{label}"')


def test_a_run_that_lets_the_cancellation_through_is_cancelled() -> None:
    """The current await ends at once, its step is abandoned, the reason is kept."""

    async def program() -> Any:
        await do("slow", 60)

    story = live(program, script=((1, cancel("no stock")),))
    assert [brief(c) for c in story.commands] == ["1 slow", "cancel 1", "cancelled"]
    assert story.failure.message == "no stock"
    assert story.failure.kind == "cancelled"


def test_a_cancellation_can_be_caught_and_is_delivered_once() -> None:
    """Cleaning up takes steps of its own; a second request does not disturb it."""

    async def program() -> Any:
        try:
            await do("slow", 60)
        except asyncio.CancelledError as exc:
            return [exc.args[0], await do("refund", 5)]

    story = live(program, script=((1, cancel("why")), (3, cancel("hurry"))))
    assert story.result == ["why", "refund"]


def test_a_swallowed_cancellation_lets_the_run_go_on() -> None:
    """Who catches the cancellation decides; the run completes."""

    async def program() -> Any:
        with contextlib.suppress(asyncio.CancelledError):
            await do("slow", 60)
        return await do("on")

    assert live(program, script=((1, cancel()),)).result == "on"


def test_another_exception_while_cleaning_up_fails_the_run() -> None:
    """What leaves the function counts, not what was asked for."""

    async def program() -> Any:
        try:
            await do("slow", 60)
        finally:
            raise ValueError("broken cleanup")

    story = live(program, script=((1, cancel()),))
    assert story.finish is not None
    assert (story.finish.state, story.failure.type) == ("failed", "ValueError")


def test_a_cancelled_error_that_nobody_asked_for_fails_the_run() -> None:
    """A stray CancelledError is not the outcome "cancelled": no request came."""

    async def program() -> Any:
        task = asyncio.create_task(do("slow", 60))
        await asyncio.sleep(0)
        task.cancel()
        await task

    story = live(program)
    assert story.finish is not None
    assert story.finish.state == "failed"


def test_bug_1_a_cancellation_beside_a_completion_is_not_swallowed() -> None:
    """A result and a cancellation that arrive together are both seen, in either order."""

    async def program() -> Any:
        first = await do("first")
        try:
            await do("second", 60)
        except asyncio.CancelledError:
            return f"{first}, then cancelled"

    run = Run(workflow_of(program), identity())
    run.apply(started())
    run.apply(answer(1, "first"))
    run.apply(cancel())
    assert run.finished == Finish("completed", data='"first, then cancelled"')

    run = Run(workflow_of(program), identity())
    run.apply(started())
    commands = run.apply(cancel())
    assert [brief(c) for c in commands] == ["cancel 1", "cancelled"]


def test_bug_1_a_task_cancelled_after_its_answer_and_before_it_went_on_is_cancelled() -> None:
    """Another task cancels it in the very drain in which its step was answered."""

    async def program() -> Any:
        step = here().activity(WORK, ("a",), {})

        async def wait() -> Any:
            return await step

        waiting = asyncio.create_task(wait())
        step.add_done_callback(lambda _: waiting.cancel())  # runs before the task is woken
        await asyncio.wait([waiting])
        return waiting.cancelled()

    story = live(program)
    assert [brief(c) for c in story.commands] == ["1 a", "completed"]
    assert story.result is True


def test_bug_2_a_step_is_cancelled_once() -> None:
    """However often a task is cancelled, its step is abandoned once; timeouts still nest."""

    async def program() -> Any:
        task = asyncio.create_task(do("slow", 60))
        await asyncio.sleep(0)
        for _ in range(3):
            task.cancel()
        await asyncio.wait([task])
        try:
            async with asyncio.timeout(5):
                try:
                    async with asyncio.timeout(1):
                        await do("slower", 60)
                except TimeoutError:
                    me = asyncio.current_task()
                    assert me is not None
                    assert me.cancelling() == 0
                    await do("slowest", 60)
        except TimeoutError:
            return "both"

    story = live(program)
    cancelled = [c.number for c in story.commands if isinstance(c, CancelStep)]
    assert story.result == "both"
    assert len(cancelled) == len(set(cancelled)) == 3


def test_bug_3_a_late_failure_of_an_abandoned_step_is_no_unhandled_exception(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What a cancelled step still answers is dropped, without a word in the log."""

    async def program() -> Any:
        try:
            async with asyncio.timeout(1):
                await do("slow", 60)
        except TimeoutError:
            return await do("next", 100)

    run = Run(workflow_of(program), identity())
    run.apply(started())
    run.apply(Fact(FactKind.TIMER, BEGIN + 1, number=1))
    failure = Failure("ValueError", "late")
    late = Fact(FactKind.ACTIVITY, BEGIN + 2, number=2, name="work", failure=failure)
    assert run.apply(late) == []
    run.apply(answer(3, "next", BEGIN + 3))
    assert run.finished == Finish("completed", data='"next"')
    gc.collect()
    assert caplog.records == []


def test_bug_4_a_child_that_never_started_can_be_cancelled() -> None:
    """The wait for a child ends at once, whether or not anybody ever took it up."""

    async def program() -> Any:
        try:
            async with asyncio.timeout(1):
                await child("nobody serves it", 1e9)
        except TimeoutError:
            return "gave up"

    story = live(program)
    assert story.result == "gave up"
    assert CancelStep(2) in story.commands


def test_bug_5_cancelling_again_in_each_turn_of_the_loop_ends() -> None:
    """A scope that cancels until its tasks are gone (as anyio does) finds them gone."""

    async def program() -> Any:
        loop = asyncio.get_running_loop()
        rounds = 0

        async def stubborn() -> None:
            try:
                await do("slow", 60)
            finally:
                await do("cleanup", 60)

        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)

        def again() -> None:
            nonlocal rounds
            if not task.done():
                rounds += 1
                task.cancel()
                loop.call_soon(again)

        again()
        await asyncio.wait([task])
        return [task.cancelled(), rounds < 10]

    assert live(program).result == [True, True]


def test_an_activity_that_was_cancelled_elsewhere_cancels_its_await() -> None:
    """A failure of the kind "cancelled" is a CancelledError, as with a cancelled task."""

    async def program() -> Any:
        try:
            await do("a")
        except asyncio.CancelledError as exc:
            return exc.args[0]

    run = Run(workflow_of(program), identity())
    run.apply(started())
    failure = Failure("CancelledError", "by hand", kind="cancelled")
    commands = run.apply(Fact(FactKind.ACTIVITY, BEGIN, number=1, name="work", failure=failure))
    assert commands == [Finish("completed", data='"by hand"')]


def test_a_failed_step_is_of_its_own_family_and_carries_the_cause() -> None:
    """Activities fail as ActivityFailed, children as ChildFailed, whatever the cause was."""

    async def program() -> Any:
        found = []
        for call in (do("a", 1, "broken"), child("c", 1, "broken")):
            try:
                await call
            except (ActivityFailed, ChildFailed) as exc:
                found.append([type(exc).__name__, exc.name, repr(exc.cause)])
        return found

    broken = "ValueError('broken')"
    activity, child_ = ["ActivityFailed", "work", broken], ["ChildFailed", "sub", broken]
    assert live(program).result == [activity, child_]


def test_a_timeout_of_an_activity_keeps_its_kind() -> None:
    """It is a TimeoutError too, and knows which limit it was."""

    async def program() -> Any:
        try:
            await do("a")
        except TimeoutError as exc:
            return [isinstance(exc, ActivityTimeout) and exc.kind, getattr(exc, "name", None)]

    run = Run(workflow_of(program), identity())
    run.apply(started())
    failure = Failure("ActivityTimeout", "late", kind="timeout", details={"kind": "heartbeat"})
    run.apply(Fact(FactKind.ACTIVITY, BEGIN, number=1, name="work", failure=failure))
    assert run.finished == Finish("completed", data='["heartbeat","work"]')


def test_a_child_that_failed_by_its_own_child_is_wrapped_again() -> None:
    """The parent sees its own child fail, with the grandchild as the cause."""

    async def program() -> Any:
        try:
            await child("c")
        except ChildFailed as exc:
            beneath = exc.cause
            return [exc.name, beneath.name if isinstance(beneath, ChildFailed) else None]

    run = Run(workflow_of(program), identity())
    run.apply(started())
    failure = Failure("ChildFailed", "grandchild", kind="child", name="grandsub")
    run.apply(Fact(FactKind.CHILD, BEGIN, number=1, name="sub", failure=failure))
    assert run.finished == Finish("completed", data='["sub","grandsub"]')


def test_tasks_left_over_are_cancelled_when_the_function_returns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As `asyncio.run` does: they are cancelled, may clean up, and then the run ends."""
    log: list[str] = []

    async def program() -> Any:
        async def background(name: str) -> None:
            try:
                await do(name, 60)
            finally:
                log.append(f"{name} ends")
                await do("never issued")

        tasks = [asyncio.create_task(background(name)) for name in ("one", "two")]
        await asyncio.sleep(1)
        return f"done before {len(tasks)} others"

    story = live(program)
    assert story.result == "done before 2 others"
    assert log == ["one ends", "two ends"]
    issued = [brief(c) for c in story.commands]
    assert issued == ["1 timer +1", "2 one", "3 two", "cancel 2", "cancel 3", "completed"]
    gc.collect()
    assert caplog.records == []
    assert replay(program, story.facts).turns == story.turns


def test_no_step_is_issued_once_the_function_has_returned() -> None:
    """A task that is next in line when the function returns comes too late."""

    async def program() -> Any:
        event = asyncio.Event()

        async def late() -> None:
            await event.wait()
            await do("late")

        async def early() -> None:
            await do("early")
            event.set()

        tasks = [asyncio.create_task(early()), asyncio.create_task(late())]
        await event.wait()
        return len(tasks)

    assert [brief(c) for c in live(program).commands] == ["1 early", "completed"]


def test_exceptions_that_nobody_awaited_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """They neither vanish nor end the run; a replay does not log them again."""

    async def program() -> Any:
        async def broken() -> None:
            raise ValueError("nobody looks")

        asyncio.create_task(broken())  # noqa: RUF006 - forgotten on purpose
        await do("a")
        gc.collect()
        return "fine"

    story = live(program)
    assert story.result == "fine"
    gc.collect()
    assert [str(r.exc_info[1]) for r in caplog.records if r.exc_info] == ["nobody looks"]
    assert "run 'run-7'" in caplog.text
    caplog.clear()
    replay(program, story.facts)
    gc.collect()
    assert caplog.records == []
