"""What the loop refuses, what it limits, and what it keeps apart."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import signal as signals
import threading
from typing import Any

import pytest

import durable
from durable.errors import InternalError, NotDurableError, PayloadError
from durable.protocol.commands import Finish, StartTimer
from durable.protocol.facts import Fact, FactKind
from durable.replay.context import RunIdentity, current
from durable.replay.run import Run
from tests.unit.replay.driving import (
    BEGIN,
    WORK,
    brief,
    do,
    here,
    identity,
    live,
    receive,
    replay,
    signal,
    started,
    workflow_of,
)

REFUSED = {
    "asyncio.to_thread": lambda: asyncio.to_thread(print),
    "loop.run_in_executor": lambda: asyncio.get_running_loop().run_in_executor(None, print),
    "asyncio.open_connection": lambda: asyncio.open_connection("localhost", 1),
    "asyncio.start_server": lambda: asyncio.start_server(print, "localhost", 0),
    "asyncio.create_subprocess_exec": lambda: asyncio.create_subprocess_exec("true"),
    "asyncio.create_subprocess_shell": lambda: asyncio.create_subprocess_shell("true"),
    "loop.getaddrinfo": lambda: asyncio.get_running_loop().getaddrinfo("localhost", 1),
    "loop.add_reader": lambda: asyncio.get_running_loop().add_reader(0, print),
    "loop.add_signal_handler": lambda: asyncio.get_running_loop().add_signal_handler(2, print),
    "loop.sock_recv": lambda: asyncio.get_running_loop().sock_recv(None, 1),  # type: ignore[arg-type]
    "loop.run_forever": lambda: asyncio.get_running_loop().run_forever(),
    "loop.stop": lambda: asyncio.get_running_loop().stop(),
    "loop.set_task_factory": lambda: asyncio.get_running_loop().set_task_factory(asyncio.Task),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_reaches_outside_is_refused_by_name(call: str) -> None:
    """The error names the call and says what to do; the workflow fails with it."""

    async def program() -> Any:
        made: Any = REFUSED[call]()
        await made

    story = live(program)
    assert story.failure.type == "NotDurableError"
    assert f"{call}()" in story.failure.message


def test_every_method_of_an_event_loop_is_answered() -> None:
    """None is left to the base class, whose error says neither why nor what to do."""

    async def program() -> Any:
        loop = type(asyncio.get_running_loop())
        theirs = vars(asyncio.AbstractEventLoop)
        return [
            name for name in theirs
            if not name.startswith("__") and getattr(loop, name) is theirs[name]
        ]  # fmt: skip

    assert live(program).result == []


def test_another_thread_cannot_reach_into_the_loop() -> None:
    """`call_soon_threadsafe` is for the loop's own thread."""

    async def program() -> Any:
        loop, told = asyncio.get_running_loop(), []

        def reach() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except NotDurableError as exc:
                told.append(str(exc))

        thread = threading.Thread(target=reach)
        thread.start()
        thread.join()
        return "from another thread" in told[0]

    assert live(program).result is True


def test_a_bare_coroutine_in_as_completed_is_refused() -> None:
    """Its place in the set would be its address; the error says how to give it a place."""

    async def program() -> Any:
        return [await f for f in asyncio.as_completed([do("a"), do("b")])]

    assert "create_task" in live(program).failure.message


def test_a_gather_in_wait_is_refused() -> None:
    """Python makes the gathering future itself, by address."""

    async def program() -> Any:
        await asyncio.wait([asyncio.gather(do("a")), asyncio.gather(do("b"))])

    assert "_GatheringFuture" in live(program).failure.message


def test_a_loop_that_never_waits_is_stopped() -> None:
    """The limit on one drain ends it, and names the run; user code never sees the error."""

    async def program() -> Any:
        while True:
            try:
                await asyncio.sleep(0)
            except Exception:  # noqa: BLE001 - as users write it
                return "caught"

    run = Run(workflow_of(program), identity(), callbacks_max=1_000)
    with pytest.raises(NotDurableError, match=r"run 'run-7'.*1,000 callbacks"):
        run.apply(started())
    assert run._dead


def test_many_runs_share_a_process() -> None:
    """Each has its own loop, time, numbers, random numbers and context variables."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def program() -> Any:
        seen = variable.get()
        variable.set(here().info().id)
        await do("a")
        return [seen, variable.get(), here().random().random()]

    variable.set("the worker's")
    runs = [Run(workflow_of(program), identity(n)) for n in range(20)]
    for n, run in enumerate(runs):
        assert [brief(c) for c in run.apply(started(at=BEGIN + n))] == ["1 a"]
    for n, run in enumerate(runs):
        assert run.time == BEGIN + n
        run.apply(Fact(FactKind.ACTIVITY, BEGIN + 100, number=1, name="work", data='"a"'))
    results = [live(program, run_id=n).result for n in range(20)]
    assert [r[:2] for r in results] == [["unset", f"run-{n}"] for n in range(20)]
    assert len({r[2] for r in results}) == 20
    assert variable.get() == "the worker's"


def test_a_thousand_waiting_runs_do_not_slow_down_the_registry_of_tasks() -> None:
    """The first tasks of many runs have hashes of their own."""
    seen: set[int] = set()

    async def program() -> Any:
        seen.add(hash(asyncio.current_task()))
        await do("a")

    for n in range(1_000):
        live(program, run_id=n)
    assert len(seen) == 1_000


def test_a_fork_carries_the_seed_of_its_origin() -> None:
    """With the same seed another run id draws the same numbers."""

    async def program() -> Any:
        return [here().random().random(), str(here().uuid4())]

    def drawn(identity_: RunIdentity) -> Any:
        run = Run(workflow_of(program), identity_)
        run.apply(started())
        return run.finished

    first = drawn(RunIdentity(1, "a", "program"))
    assert drawn(RunIdentity(2, "b", "program", seed=1)) == first
    assert drawn(RunIdentity(2, "b", "program")) != first


def test_time_stands_still_during_a_drain_and_never_goes_back() -> None:
    """It is the last fact's; a timer is never before its due time, however the fact was rounded."""

    async def program() -> Any:
        loop = asyncio.get_running_loop()
        times = [loop.time(), here().now().timestamp()]
        await asyncio.sleep(0.1234567)
        times.append(loop.time())
        await receive("s")
        return [*times, loop.time()]

    run = Run(workflow_of(program), identity())
    (timer,) = run.apply(started())
    assert isinstance(timer, StartTimer)
    run.apply(Fact(FactKind.TIMER, timer.due - 1e-6, number=1))
    run.apply(Fact(FactKind.SIGNAL, BEGIN - 50, name="s"))
    assert live(program, script=((9, signal("s")),)).result[:2] == [BEGIN, BEGIN]
    assert run.finished is not None
    assert run.time == timer.due


def test_timers_beyond_all_time_never_fire_and_are_no_steps() -> None:
    """Infinity is a way to say "no timeout"; NaN is a mistake."""

    async def program() -> Any:
        async with asyncio.timeout(float("inf")):
            found = await do("a")
        try:
            asyncio.get_running_loop().call_later(float("nan"), print)
        except ValueError:
            return found

    story = live(program)
    assert story.result == "a"
    assert [brief(c) for c in story.commands] == ["1 a", "completed"]


def test_an_argument_that_cannot_be_written_uses_no_number() -> None:
    """The error comes at the user's call, and the next step has the number."""

    async def program() -> Any:
        with contextlib.suppress(PayloadError):
            await here().activity(WORK, (object(),), {})
        with contextlib.suppress(TypeError):
            await here().activity(WORK, (), {"nonsense": 1})
        return await do("a")

    assert [brief(c) for c in live(program).commands] == ["1 a", "completed"]


def test_a_result_that_cannot_be_written_fails_the_run() -> None:
    """Loudly, by the name of the function."""

    async def program() -> int:
        return "no number"  # type: ignore[return-value]

    assert live(program).failure.type == "PayloadError"


def test_a_result_that_cannot_be_read_suspends_the_run_and_loses_nothing() -> None:
    """The error leaves `apply`; it names the step and where it is awaited."""

    async def program() -> Any:
        try:
            return await do("a")
        except Exception:  # noqa: BLE001 - as users write it
            return "caught"

    run = Run(workflow_of(program), identity())
    run.apply(started())
    with pytest.raises(PayloadError, match=r"step 1 \('work', awaited at .*driving\.py:\d+\)"):
        run.apply(Fact(FactKind.ACTIVITY, BEGIN, number=1, name="work", data="[1]"))
    assert run._dead
    assert run.finished is None


def test_arguments_that_cannot_be_read_suspend_the_run() -> None:
    """The function is not begun."""

    async def program(n: int) -> int:
        return n

    run = Run(workflow_of(program), identity())
    with pytest.raises(PayloadError):
        run.apply(Fact(FactKind.STARTED, BEGIN, name="program", input='{"n": "x"}'))


@pytest.mark.parametrize("kind", [k for k in FactKind if k is not FactKind.STARTED])
def test_a_history_begins_with_started(kind: FactKind) -> None:
    """Anything else is a bug of ours, and says so."""

    async def program() -> Any:
        return 1

    run = Run(workflow_of(program), identity())
    with pytest.raises(InternalError, match="begins with"):
        run.apply(Fact(kind, BEGIN, number=1))


def test_a_history_begins_once() -> None:
    """A second started fact is a bug of ours, and says so."""

    async def program() -> Any:
        await do("a")

    run = Run(workflow_of(program), identity())
    run.apply(started())
    with pytest.raises(InternalError, match="begins twice"):
        run.apply(started())


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_leaving_fails_the_run_and_not_the_worker(error: type[BaseException]) -> None:
    """Neither in the main task nor in another, nor in a predicate."""

    async def program() -> Any:
        async def leave() -> None:
            raise error("task")

        def predicate() -> bool:
            raise error("predicate")

        task = asyncio.create_task(leave())
        await asyncio.wait([task])
        try:
            await here().wait_until(predicate)
        except error as caught:
            raise error("main") from caught

    story = live(program)
    assert story.finish is not None
    assert (story.finish.state, story.failure.type) == ("failed", error.__name__)


def test_ctrl_c_goes_through_to_the_worker() -> None:
    """It is meant for the process; the run is evicted, its history untouched."""

    async def program() -> Any:
        signals.raise_signal(signals.SIGINT)
        await do("a")

    run = Run(workflow_of(program), identity())
    with pytest.raises(KeyboardInterrupt):
        run.apply(started())
    assert run._dead


def test_a_predicate_may_only_look() -> None:
    """`wait_until` asks often and at any time: a command in it is refused."""

    async def program() -> Any:
        asked: list[int] = []

        def predicate() -> bool:
            asked.append(1)
            if len(asked) > 1:
                here().activity(WORK, ("a",), {})
            return False

        await here().wait_until(predicate)

    assert "must only look" in live(program).failure.message


def test_a_predicate_holds_when_the_waiter_goes_on() -> None:
    """Of two waiters for one thing, the second waits on when the first has taken it."""

    async def program() -> Any:
        stock, log = [], []

        async def take(name: str) -> None:
            await here().wait_until(lambda: bool(stock))
            log.append([name, stock.pop()])

        takers = [asyncio.create_task(take(n)) for n in ("one", "two")]
        for item in ("a", "b"):
            await do("x")
            stock.append(item)
        await asyncio.gather(*takers)
        return log

    assert live(program).result == [["one", "a"], ["two", "b"]]


async def _never() -> bool:
    return False


@durable.activity
async def _is_ready() -> bool:
    return False


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("ready", [_never, _is_ready, asyncio.Future])
def test_what_has_to_be_awaited_is_no_predicate(ready: Any, times: int) -> None:
    """Coroutines, calls of activities and futures would always be true, whenever they come."""

    async def program() -> Any:
        asked: list[int] = []

        def predicate() -> Any:
            asked.append(1)
            return ready() if len(asked) == times else False

        await here().wait_until(predicate)

    assert "plain function" in live(program).failure.message


def test_info_tells_who_and_how_far() -> None:
    """Facts are counted with the one that woke the code."""

    async def program() -> Any:
        first = here().info()
        await do("a")
        info = here().info()
        assert first.revision == 1
        return [info.id, info.run_id, info.workflow, info.revision, info.steps]

    assert live(program).result == ["run-7", 7, "program", 2, 1]


def test_there_is_no_context_outside() -> None:
    """Neither without a loop nor in another one."""

    async def host() -> Any:
        return current()

    assert current() is None
    assert asyncio.run(host()) is None


def test_a_generator_left_half_way_is_closed_at_the_end() -> None:
    """Its cleanup runs at a place that the history fixes, not when memory is swept."""
    log: list[str] = []

    async def program() -> Any:
        async def numbers() -> Any:
            try:
                for n in range(9):
                    yield n
            finally:
                log.append("closed")

        async for _ in numbers():
            break
        log.append("left")
        await do("a")
        log.append("ends")

    story = live(program)
    assert log == ["left", "ends", "closed"]
    log.clear()
    assert replay(program, story.facts).turns == story.turns


def test_a_handler_for_stray_exceptions_can_be_set(caplog: pytest.LogCaptureFixture) -> None:
    """As in any other loop; when it fails itself, both exceptions are logged."""

    async def program() -> Any:
        told: list[str] = []
        loop = asyncio.get_running_loop()

        def listen(_: Any, context: dict[str, Any]) -> None:
            told.append(str(context["exception"]))

        def fail(*_: Any) -> None:
            raise ValueError("worse")

        def broken() -> None:
            raise ValueError("stray")

        for handler in (listen, fail, None):
            loop.set_exception_handler(handler)
            assert loop.get_exception_handler() is handler
            loop.call_soon(broken)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return told

    assert live(program).result == ["stray"]
    logged = [str(r.exc_info[1]) for r in caplog.records if r.exc_info]
    assert logged == ["worse", "stray"]


def test_the_loop_says_what_it_is() -> None:
    """It runs during a turn; it has no debug mode; eager tasks are the only other factory."""

    async def program() -> Any:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        said = [loop.is_running(), loop.is_closed(), loop.get_debug(), loop.get_task_factory()]
        eager = getattr(asyncio, "eager_task_factory", None)
        loop.set_task_factory(eager)
        assert loop.get_task_factory() is eager
        loop.set_task_factory(None)
        assert loop.get_task_factory() is None
        return said

    assert live(program).result == [True, False, False, None]


def test_numbers_for_objects_are_the_same_at_each_replay() -> None:
    """Nobody gets one twice; a predicate, which is asked at any time, uses none up."""

    async def program() -> Any:
        first = here().call_number()
        await here().wait_until(lambda: here().call_number() == 0)
        return [first, here().call_number()]

    assert live(program).result == [1, 2]


def test_a_finished_run_is_what_apply_returned_last() -> None:
    """The Finish is the last command, and an attribute."""

    async def program() -> Any:
        return 1

    run = Run(workflow_of(program), identity())
    assert run.apply(started()) == [Finish("completed", data="1")]
    assert run.finished == Finish("completed", data="1")
    assert (run.revision, run.issued, dict(run.open)) == (1, 0, {})


def test_a_reader_sees_the_state_and_moves_nothing() -> None:
    """A query runs as workflow code, and finds the context; the next fact goes on as before."""
    state: list[str] = []

    async def program() -> Any:
        state.append(await do("a"))
        return await do("b")

    run = Run(workflow_of(program), identity())
    run.apply(started())
    run.apply(Fact(FactKind.ACTIVITY, BEGIN, number=1, name="work", data='"a"'))
    assert run.look(lambda: [*state, here().info().id]) == ["a", "run-7"]
    with pytest.raises(KeyError):
        run.look(lambda: {}["missing"])
    for reader in (lambda: here().activity(WORK, ("x",), {}), lambda: here().random()):
        with pytest.raises(NotDurableError, match="a query must only look"):
            run.look(reader)
    run.apply(Fact(FactKind.ACTIVITY, BEGIN, number=2, name="work", data='"b"'))
    assert run.finished == Finish("completed", data='"b"')


def test_a_reader_that_wakes_a_task_costs_the_run_its_place_in_memory() -> None:
    """The state is no longer what the history says: the run is evicted, to be folded again."""
    event: list[asyncio.Event] = []

    async def program() -> Any:
        event.append(asyncio.Event())
        await event[0].wait()

    run = Run(workflow_of(program), identity())
    run.apply(started())
    with pytest.raises(NotDurableError, match="started or woke a task"):
        run.look(event[0].set)
    assert run._dead
    with pytest.raises(InternalError, match="evicted"):
        run.look(lambda: None)
