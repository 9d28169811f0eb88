"""Programs that use asyncio as people do, each with what it must return and issue.

Run as a module it prints, as JSON, the commands of all programs: `test_hash_seeds` compares what
different interpreters print.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from durable.errors import ActivityFailed, ChildFailed
from tests.unit.replay.cases import Cases
from tests.unit.replay.driving import brief, child, do, here, live, receive, signal
from tests.unit.replay.primitives import PRIMITIVES

CASES = Cases(PRIMITIVES)
case = CASES.case


@case(["a", "b", 2.0], "1 a", "2 b", "completed")
async def one_after_the_other() -> Any:
    begun = here().now()
    first, second = await do("a"), await do("b")
    return [first, second, (here().now() - begun).total_seconds()]


@case(6.5, "1 timer +5", "2 timer +6.5", "completed")
async def sleep() -> Any:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await asyncio.sleep(5)
    await asyncio.sleep(0)
    await asyncio.sleep(-1)
    await here().sleep(1.5)
    return loop.time() - begun


@case(["a", "b", "c"], "1 a", "2 b", "3 c", "completed")
async def gather() -> Any:
    return await asyncio.gather(do("a", 3), do("b", 1), do("c", 2))


@case(["a", "ActivityFailed", "c"], "1 a", "2 b", "3 c", "completed")
async def gather_exceptions() -> Any:
    found = await asyncio.gather(do("a"), do("b", fail="no"), do("c"), return_exceptions=True)
    return [f if isinstance(f, str) else type(f).__name__ for f in found]


@case(["no", "b"], "1 b", "2 a", "3 c", "completed")
async def gather_fails_and_the_rest_goes_on() -> Any:
    other = asyncio.create_task(do("b", 5))
    await asyncio.sleep(0)
    try:
        await asyncio.gather(do("a", 1, "no"), do("c", 2))
    except ActivityFailed as exc:
        return [str(exc.__cause__), await other]


@case(
    [["b"], ["a", "c"], ["a", "b", "c"]],
    "1 a", "2 b", "3 c", "completed",
)  # fmt: skip
async def wait_first_completed() -> Any:
    tasks = [asyncio.create_task(do(x, t)) for x, t in (("a", 3), ("b", 1), ("c", 2))]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    early = [t.result() for t in done]
    late = list(pending)
    done, _ = await asyncio.wait(tasks)
    return [early, [await t for t in late], [t.result() for t in done]]


@case(
    [1, 7],
    "1 timer +1.5", *(f"{n + 2} w{n}" for n in range(8)),
    *(f"cancel {n}" for n in range(3, 10)), "completed",
)  # fmt: skip
async def wait_with_timeout_then_cancel_what_is_left() -> Any:
    tasks = [asyncio.create_task(do(f"w{n}", 1 + n)) for n in range(8)]
    done, pending = await asyncio.wait(tasks, timeout=1.5)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    return [len(done), len(pending)]


@case([True, 1], "1 a", "2 b", "3 c", "cancel 1", "cancel 3", "completed")
async def wait_first_exception() -> Any:
    tasks = [asyncio.create_task(do(x, t, f)) for x, t, f in
             (("a", 3, ""), ("b", 1, "no"), ("c", 2, ""))]  # fmt: skip
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in pending:
        task.cancel()
    return [all(t.exception() is not None for t in done), len(done)]


@case(["w9", "w8", "w7", "w6", "w5", "w4", "w3", "w2", "w1", "w0"])
async def as_completed() -> Any:
    tasks = [asyncio.create_task(do(f"w{n}", 10 - n)) for n in range(10)]
    return [await next_one for next_one in asyncio.as_completed(tasks)]


@case([["w0", "w1"], "TimeoutError"])
async def as_completed_with_timeout() -> Any:
    tasks = [asyncio.create_task(do(f"w{n}", 1 + n)) for n in range(5)]
    found: list[str] = []
    try:
        for next_one in asyncio.as_completed(tasks, timeout=2.5):
            found.append(await next_one)  # noqa: PERF401 - what came before the timeout counts
    except TimeoutError as exc:
        return [found, type(exc).__name__]


@case(list(range(12)))
async def as_completed_of_what_is_done() -> Any:
    async def give(n: int) -> int:
        return n

    tasks = [asyncio.create_task(give(n)) for n in range(12)]
    await asyncio.sleep(0)
    return sorted([await next_one for next_one in asyncio.as_completed(tasks)])


if sys.version_info >= (3, 13):

    @case(["c", "b", "a"])
    async def as_completed_asynchronously() -> Any:
        tasks = [asyncio.create_task(do(x, t)) for x, t in (("a", 3), ("b", 2), ("c", 1))]
        return [await task async for task in asyncio.as_completed(tasks)]


if sys.version_info >= (3, 12):

    @case(["now", ["a", "b"], "later"], "1 a", "2 b", "completed")
    async def eager_tasks() -> Any:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        log: list[str] = []

        async def note(text: str) -> None:
            log.append(text)

        done = asyncio.create_task(note("now"))
        both = [asyncio.create_task(do("a", 2)), asyncio.create_task(do("b", 1))]
        assert done.done()
        found = await asyncio.gather(*both)
        await asyncio.create_task(note("later"))
        return [log[0], found, log[1]]


@case("TimeoutError", "1 timer +2", "2 slow", "cancel 2", "completed")
async def timeout() -> Any:
    try:
        async with asyncio.timeout(2):
            await do("slow", 60)
    except TimeoutError as exc:
        return type(exc).__name__


@case("quick", "1 timer +2", "2 quick", "cancel 1", "completed")
async def timeout_not_reached() -> Any:
    async with asyncio.timeout(2):
        return await do("quick", 1)


@case([True, "x"], "1 timer +2", "cancel 1", "2 timer +9", "3 x", "cancel 2", "completed")
async def timeout_rescheduled() -> Any:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout_at(loop.time() + 2) as limit:
        limit.reschedule(loop.time() + 9)
        found = await do("x", 5)
    return [not limit.expired(), found]


@case(["inner", "a"], "1 timer +9", "2 timer +2", "3 slow", "cancel 3", "4 a", "cancel 1",
      "completed")  # fmt: skip
async def timeouts_nested() -> Any:
    found = []
    async with asyncio.timeout(9):
        try:
            async with asyncio.timeout(2):
                await do("slow", 60)
        except TimeoutError:
            found.append("inner")
        found.append(await do("a"))
    return found


@case(["TimeoutError", "b", "late"])
async def wait_for() -> Any:
    found = []
    try:
        await asyncio.wait_for(do("a", 10), 1)
    except TimeoutError as exc:
        found.append(type(exc).__name__)
    found.append(await asyncio.wait_for(do("b", 1), 10))
    try:
        await asyncio.wait_for(do("never"), 0)
    except TimeoutError:
        found.append("late")
    return found


@case(["a", "b", "c"], "1 a", "2 b", "3 c", "completed")
async def task_group() -> Any:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(do(x, t)) for x, t in (("a", 3), ("b", 1), ("c", 2))]
    return [t.result() for t in tasks]


@case(
    ["ActivityFailed"],
    *(f"{n} w{n}" for n in range(1, 9)), "9 bad",
    *(f"cancel {n}" for n in range(1, 9)), "completed",
)  # fmt: skip
async def task_group_aborts_in_order() -> Any:
    try:
        async with asyncio.TaskGroup() as group:
            for n in range(1, 9):
                group.create_task(do(f"w{n}", 50))
            group.create_task(do("bad", 1, "no"))
    except BaseExceptionGroup as group:
        return [type(e).__name__ for e in group.exceptions]


@case(["TimeoutError", "kept"], "1 kept", "2 timer +1", "completed")
async def shield() -> Any:
    inner = asyncio.create_task(do("kept", 5))
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(1):
            await asyncio.shield(inner)
    except TimeoutError as exc:
        return [type(exc).__name__, await inner]


@case(["main", "Task-2", "named", True, 3])
async def tasks_know_each_other() -> Any:
    me = asyncio.current_task()
    assert me is not None

    async def name() -> str:
        task = asyncio.current_task()
        assert task is not None
        return task.get_name()

    one = asyncio.create_task(name())
    two = asyncio.create_task(name(), name="named")
    everybody = asyncio.all_tasks()
    names = await asyncio.gather(one, two)
    return [me.get_name(), *names, me in everybody, len(everybody)]


@case(["soon", "later", "at"], "1 timer +2", "2 timer +3", "3 timer +4", "cancel 3", "4 timer +5",
      "completed")  # fmt: skip
async def callbacks() -> Any:
    loop, log = asyncio.get_running_loop(), []
    loop.call_later(2, log.append, "later")
    loop.call_at(loop.time() + 3, log.append, "at")
    loop.call_soon(log.append, "soon")
    loop.call_later(4, log.append, "never").cancel()
    loop.call_soon(log.append, "not either").cancel()
    await asyncio.sleep(5)
    return log


@case([1, [0, 1, 2], "closed"])
async def async_generators() -> Any:
    log: list[str] = []

    async def count() -> AsyncIterator[int]:
        try:
            for n in range(3):
                await do(f"w{n}")
                yield n
        finally:
            log.append("closed")

    async for n in count():
        if n == 1:
            first = n
            break
    return [first, [n async for n in count()], *log]


@case(["outer", "inner", "outer"])
async def context_variables() -> Any:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("outer")

    async def change() -> str:
        await do("x")
        variable.set("inner")
        return variable.get()

    before = variable.get()
    changed = await asyncio.create_task(change())
    return [before, changed, variable.get()]


@case("threadsafe")
async def threadsafe_from_its_own_thread() -> Any:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon_threadsafe(future.set_result, "threadsafe")
    return await future


@case(
    "cancelled",
    *(f"{n} w{n}" for n in range(1, 21)), *(f"cancel {n}" for n in range(1, 21)), "completed",
)  # fmt: skip
async def a_set_of_tasks_in_order_of_creation() -> Any:
    tasks = {asyncio.create_task(do(f"w{n}", 9)) for n in range(1, 21)}
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return "cancelled"


@case([["x", 1], ["y", 2]], script=((1, signal("x", 1)), (2, signal("y", 2)), (3, signal("x", 3))))
async def signals() -> Any:
    return [["x", await receive("x")], ["y", await receive("y")]]


@case([["early", 5], "1", "2", "3"], script=((0.5, signal("s", "early")), (1, signal("s", 1)),
                                            (2, signal("s", 2)), (3, signal("s", 3))))  # fmt: skip
async def signals_queue_up() -> Any:
    await asyncio.sleep(5)
    begun = asyncio.get_running_loop().time()
    found: list[Any] = [[await receive("s"), 5]]
    for _ in range(3):
        found.append(str(await receive("s")))  # noqa: PERF401 - one after the other
    assert asyncio.get_running_loop().time() == begun
    return found


@case(["child", "ChildFailed"], "1 child run-7/1", "2 child mine", "completed")
async def children() -> Any:
    found = [await child("child")]
    try:
        await child("bad", fail="no", name="mine")
    except ChildFailed as exc:
        found.append(type(exc).__name__)
    return found


@case([True, 3.0, "TimeoutError"], script=((3, signal("n", 1)),))
async def wait_until() -> Any:
    seen: list[int] = []
    begun = asyncio.get_running_loop().time()

    async def listen() -> None:
        seen.append(await receive("n"))

    task = asyncio.create_task(listen())
    await here().wait_until(lambda: bool(seen), timeout=10)
    took = asyncio.get_running_loop().time() - begun
    await task
    try:
        await here().wait_until(lambda: len(seen) > 1, timeout=1)
    except TimeoutError as exc:
        return [bool(seen), took, type(exc).__name__]


@case([True, True, 3])
async def randomness() -> Any:
    context = here()
    rng = context.random()
    rolls = [rng.randrange(6) for _ in range(3)]
    order = ["a", "b", "c"]
    rng.shuffle(order)
    await do(f"{rolls} {order} {context.uuid4()} {context.now().isoformat()}")
    return [context.random() is rng, context.uuid4() != context.uuid4(), len(rolls)]


def told() -> dict[str, list[str]]:
    """The commands of each program, in full."""
    out: dict[str, list[str]] = {}
    for name, each in CASES.items():
        story = live(each.program, script=each.script)
        out[name] = [f"{brief(c)} {c!r}" for c in story.commands]
    return out


if __name__ == "__main__":
    sys.stdout.write(json.dumps(told()))
