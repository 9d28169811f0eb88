"""Calls, signals and verbs in workflow code, driven by facts, without a database."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable.authoring.activity import activity
from durable.authoring.logs import logger
from durable.authoring.signals import Signal
from durable.authoring.verbs import info, now, random, sleep, uuid4, wait_until
from durable.authoring.workflow import workflow
from durable.errors import ActivityFailed, ConfigurationError, DurableError
from durable.protocol.commands import Finish, StartActivity, StartChild, StartTimer
from durable.protocol.facts import Fact, FactKind
from durable.protocol.failures import Failure
from durable.replay.context import RunIdentity
from durable.replay.run import Run

BEGIN = 1_700_000_000.0
decision = Signal("decision", dict[str, int])
nudge = Signal("nudge")


@activity(priority=4)
async def charge(order: str) -> int:
    return len(order)


@workflow
async def child(order: str) -> str:
    return order


def started(made: Any, text: str = "{}") -> tuple[Run, list[Any]]:
    """A run of the workflow, fed its first fact; and what it asks for."""
    run = Run(made.definition, RunIdentity(run_id=7, id="w-1", workflow=made.name))
    return run, run.apply(Fact(FactKind.STARTED, BEGIN, name=made.name, input=text))


def test_awaiting_schedules():
    """In a workflow an awaited call is a command with its arguments and options."""

    @workflow
    async def parent(order: str) -> str:
        paid, shipped = await asyncio.gather(
            charge.options(task_queue="pay")(order), child.options(id="c-1")(order)
        )
        return f"{paid} {shipped}"

    run, commands = started(parent, '{"order":"ab"}')
    first, second = commands
    assert isinstance(first, StartActivity)
    assert (first.name, first.input) == ("charge", '{"order":"ab"}')
    assert (first.options.task_queue, first.options.priority) == ("pay", 4)
    assert isinstance(second, StartChild)
    assert (second.name, second.id) == ("child", "c-1")
    assert not run.apply(
        Fact(FactKind.ACTIVITY, BEGIN, number=first.number, name="charge", data="2")
    )
    (end,) = run.apply(Fact(FactKind.CHILD, BEGIN, number=second.number, name="child", data='"x"'))
    assert end == Finish("completed", '"2 x"')


def test_a_failed_step_is_raised_at_the_call():
    """What the activity raised arrives as the cause of ActivityFailed."""
    seen: list[Any] = []

    @workflow
    async def careful() -> None:
        try:
            await charge("o")
        except ActivityFailed as error:
            seen.append(error.cause)

    run, (step,) = started(careful)
    failure = Failure("ValueError", "declined", path="builtins:ValueError")
    run.apply(Fact(FactKind.ACTIVITY, BEGIN, number=step.number, name="charge", failure=failure))
    assert repr(seen) == "[ValueError('declined')]"


def test_signals():
    """Signals are received in order, one by one or in a loop, with their types."""

    @workflow
    async def listening() -> list[Any]:
        got: list[Any] = [await decision.receive(), await nudge.receive()]
        async for one in decision:
            got.append(one)
            if one["level"] == 3:
                break
        return got

    run, none = started(listening)
    assert not none
    for level in (1, 2, 3):
        data = decision.adapter.encode({"level": level})
        assert not run.apply(Fact(FactKind.SIGNAL, BEGIN, name="decision", data=data))
    (end,) = run.apply(Fact(FactKind.SIGNAL, BEGIN, name="nudge", data="null"))
    assert end == Finish("completed", '[{"level":1},null,{"level":2},{"level":3}]')


def test_verbs_are_the_same_at_each_replay():
    """Time, chance and ids come from the run."""

    @workflow
    async def telling() -> list[str]:
        me = info()
        return [now().isoformat(), str(random().random()), str(uuid4()), me.id, me.workflow]

    ends = [started(telling)[1] for _ in range(2)]
    assert ends[0] == ends[1]
    assert str(datetime.fromtimestamp(BEGIN, UTC).year) in ends[0][0].data
    assert '"w-1","telling"' in ends[0][0].data


@pytest.mark.parametrize("duration", ["1 hour", 3600, timedelta(hours=1)])
def test_sleep_takes_durations(duration: Any):
    """A sleep is a timer, however its length is written."""

    @workflow
    async def sleeping() -> None:
        await sleep(duration)

    _, (timer,) = started(sleeping)
    assert isinstance(timer, StartTimer)
    assert timer.due == BEGIN + 3600


def test_wait_until_with_a_timeout():
    """A wait that is not fulfilled is a timer, and raises TimeoutError when it fires."""
    seen: list[str] = []

    @workflow
    async def waiting() -> None:
        try:
            await wait_until(lambda: False, timeout="5 min")
        except TimeoutError:
            seen.append("timeout")

    run, (timer,) = started(waiting)
    assert timer.due == BEGIN + 300
    run.apply(Fact(FactKind.TIMER, BEGIN + 300, number=timer.number))
    assert seen == ["timeout"]


def test_the_logger_is_silent_during_replay(caplog: pytest.LogCaptureFixture):
    """What was logged once is not logged again; records name the run."""

    @workflow
    async def chatty() -> None:
        logger.info("before", extra={"mine": 1})
        await charge("o")
        logger.info("after")

    caplog.set_level(logging.INFO, "durable.workflow")
    run = Run(chatty.definition, RunIdentity(run_id=7, id="w-1", workflow="chatty"))
    run.replaying = True
    (step,) = run.apply(Fact(FactKind.STARTED, BEGIN, name="chatty", input="{}"))
    run.replaying = False
    run.apply(Fact(FactKind.ACTIVITY, BEGIN, number=step.number, name="charge", data="1"))
    # Others may be logged of runs that earlier tests have dropped.
    (said,) = (record for record in caplog.records if record.name == "durable.workflow")
    assert said.message == "after"
    record = vars(said)
    assert (record["workflow"], record["workflow_id"], record["run_id"]) == ("chatty", "w-1", 7)


def test_the_logger_outside(caplog: pytest.LogCaptureFixture):
    """Outside of a workflow the logger just logs."""
    caplog.set_level(logging.INFO, "durable.workflow")
    logger.info("here")
    assert [record.message for record in caplog.records] == ["here"]


@pytest.mark.parametrize("verb", [now, random, uuid4, info])
def test_verbs_outside(verb: Any):
    """Outside of a workflow a verb raises, and says what to use instead."""
    with pytest.raises(DurableError, match=rf"durable\.{verb.__name__}\(\).*elsewhere"):
        verb()


@pytest.mark.parametrize(
    "waiting",
    [lambda: sleep(1), lambda: wait_until(lambda: True), decision.receive],
    ids=["sleep", "wait_until", "receive"],
)
def test_waits_outside(waiting: Any):
    """So do those that wait."""
    with pytest.raises(DurableError, match="running workflow"):
        asyncio.run(waiting())


def test_signal_names():
    """A signal needs a name; it shows what it is."""
    assert repr(Signal("go", int)) == "Signal('go', <class 'int'>)"
    with pytest.raises(ConfigurationError, match="name"):
        Signal("")
