"""Programs made at random: the same as under plain asyncio, the same from their histories.

The oracle is Python's own event loop with a clock that jumps. Durations are square roots of primes,
so that no two things ever happen at the same moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable.errors import ActivityFailed
from durable.protocol.commands import CancelStep, Command, Finish
from durable.replay.mailbox import Letter, Mailbox
from durable.replay.tasks import RunTask, keys_of
from tests.unit.replay.driving import Story, do, live, receive, replay, signal

PRIMES = [n for n in range(2, 600) if all(n % d for d in range(2, n))]


@dataclass
class Node:
    """One operation; `place` is its number in the tree, which gives it its duration."""

    kind: str
    children: list[Node] = field(default_factory=list)
    place: int = 0

    def __repr__(self) -> str:
        inside = ", ".join(map(repr, self.children))
        return f"{self.kind}{self.place}({inside})" if inside else f"{self.kind}{self.place}"

    def numbered(self, first: int = 0) -> int:
        """Give every node its place; returns the next free one."""
        self.place = first
        following = first + 1
        for one in self.children:
            following = one.numbered(following)
        return following

    @property
    def seconds(self) -> float:
        """How long it takes, or may take."""
        return float(PRIMES[self.place % len(PRIMES)] ** 0.5)


LEAVES = st.sampled_from(["work", "work", "fails", "sleep", "receive", "yield"]).map(Node)


def _grown(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    many = st.lists(inner, min_size=1, max_size=4)
    of_many = ["sequence", "gather", "gather_all", "group", "race", "background", "locked",
               "completed"]  # fmt: skip
    of_one = ["timeout", "wait_for", "shield", "caught", "cleanup", "cancelled"]
    return st.one_of(
        st.builds(Node, st.sampled_from(of_many), many),
        st.builds(Node, st.sampled_from(of_one), st.lists(inner, min_size=1, max_size=1)),
    )


PROGRAMS = st.recursive(LEAVES, _grown, max_leaves=14)


class Machine:
    """Runs a tree of operations; `log` is what it saw, in order.

    Args:
        step: an activity: label, seconds, and what it fails with, if anything.
        receive: the next signal.
    """

    def __init__(
        self,
        step: Callable[[str, float, str], Awaitable[str]],
        receive: Callable[[], Awaitable[Any]],
    ) -> None:
        self.log: list[str] = []
        self.ended: list[str] | None = None
        self._step = step
        self._signal = receive
        self._lock = asyncio.Lock()

    async def main(self, tree: Node) -> str:
        """The whole tree; `ended` is the log as it was when it ended."""
        try:
            return repr(await self.run(tree))
        finally:
            self.ended = list(self.log)

    async def run(self, node: Node) -> Any:
        """The node's operation, its end written into the log."""
        try:
            found = await getattr(self, f"do_{node.kind}")(node)
        except BaseException as exc:
            self.log.append(f"{node.kind}{node.place} {type(exc).__name__}")
            raise
        self.log.append(f"{node.kind}{node.place}")
        return found

    def _all(self, node: Node) -> list[Coroutine[Any, Any, Any]]:
        return [self.run(one) for one in node.children]

    async def _quietly(self, node: Node) -> None:
        with contextlib.suppress(Exception):
            await self.run(node)

    async def do_work(self, node: Node) -> Any:
        return await self._step(str(node.place), node.seconds, "")

    async def do_fails(self, node: Node) -> Any:
        return await self._step(str(node.place), node.seconds, "broken")

    async def do_sleep(self, node: Node) -> Any:
        await asyncio.sleep(node.seconds)

    async def do_yield(self, _: Node) -> Any:
        await asyncio.sleep(0)

    async def do_receive(self, _: Node) -> Any:
        return await self._signal()

    async def do_sequence(self, node: Node) -> Any:
        return [await self.run(one) for one in node.children]

    async def do_gather(self, node: Node) -> Any:
        return await asyncio.gather(*self._all(node))

    async def do_gather_all(self, node: Node) -> Any:
        return len(await asyncio.gather(*self._all(node), return_exceptions=True))

    async def do_group(self, node: Node) -> Any:
        try:
            async with asyncio.TaskGroup() as group:
                for one in node.children:
                    group.create_task(self.run(one))
        except BaseExceptionGroup as failed:
            self.log.append(f"group of {len(failed.exceptions)}")

    async def do_race(self, node: Node) -> Any:
        tasks = [asyncio.create_task(one) for one in self._all(node)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(done)

    async def do_completed(self, node: Node) -> Any:
        tasks = [asyncio.create_task(self._quietly(one)) for one in node.children]
        for number, one in enumerate(asyncio.as_completed(tasks)):
            await one
            self.log.append(f"completed {number}")

    async def do_background(self, node: Node) -> Any:
        *rest, last = node.children
        tasks = [asyncio.create_task(self._quietly(one)) for one in rest]
        return [await self.run(last), len(tasks)]

    async def do_locked(self, node: Node) -> Any:
        return await asyncio.gather(*(self._in_lock(one) for one in node.children))

    async def _in_lock(self, node: Node) -> Any:
        # A lock within itself would wait for ever: within a limit, then.
        async with asyncio.timeout(50 + node.seconds), self._lock:
            return await self.run(node)

    async def do_timeout(self, node: Node) -> Any:
        try:
            async with asyncio.timeout(node.seconds):
                await self.run(node.children[0])
        except TimeoutError:
            self.log.append("late")

    async def do_wait_for(self, node: Node) -> Any:
        try:
            return await asyncio.wait_for(self.run(node.children[0]), node.seconds)
        except TimeoutError:
            self.log.append("late")

    async def do_shield(self, node: Node) -> Any:
        try:
            async with asyncio.timeout(node.seconds):
                await asyncio.shield(asyncio.create_task(self._quietly(node.children[0])))
        except TimeoutError:
            self.log.append("left behind")

    async def do_caught(self, node: Node) -> Any:
        try:
            return await self.run(node.children[0])
        except Exception:  # noqa: BLE001 - as users write it
            return "caught"

    async def do_cleanup(self, node: Node) -> Any:
        try:
            return await self.run(node.children[0])
        finally:
            await self._step(f"undo {node.place}", node.seconds, "")

    async def do_cancelled(self, node: Node) -> Any:
        task = asyncio.create_task(self._quietly(node.children[0]))
        await asyncio.wait([task], timeout=node.seconds)
        task.cancel("enough")
        await asyncio.wait([task])
        return task.cancelled()


SIGNALS = [2.0005 + 3.0007 * n for n in range(6)]


class StuckError(Exception):
    """Nothing will ever happen again."""


class Jumping(selectors.SelectSelector):
    """A selector that lets time pass instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """What a loop calls when nothing is ready."""
        if timeout is None:
            raise StuckError
        self.now += max(timeout, 0.0)
        return super().select(0)


def under_asyncio(tree: Node) -> list[str]:
    """What the tree does under Python's own loop."""
    selector = Jumping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    box = Mailbox()
    keys = itertools.count(keys_of(7)[0] + 1)
    # Its own tasks have places in sets by address, and a TaskGroup cancels them in that order.
    loop.set_task_factory(lambda loop, coro, **kw: RunTask(coro, next(keys), loop=loop, **kw))

    async def step(label: str, after: float, fail: str) -> str:
        await asyncio.sleep(after)
        if fail:
            raise ActivityFailed(fail)
        return label

    async def take() -> Any:
        return int((await box.take("s", loop)).data or "")

    machine = Machine(step, take)
    for number, at in enumerate(SIGNALS):
        loop.call_at(at, box.put, Letter("s", str(number), at))
    main = loop.create_task(machine.main(tree))
    main.add_done_callback(lambda _: loop.stop())
    with contextlib.suppress(StuckError):
        loop.run_forever()
    if main.done() and not main.cancelled():
        main.exception()
    seen = list(machine.log) if machine.ended is None else machine.ended
    while left := asyncio.all_tasks(loop):
        for task in left:
            task.cancel()
        for task in left:
            with contextlib.suppress(StuckError, Exception, asyncio.CancelledError):
                loop.run_until_complete(task)
    loop.close()
    return seen


def durably(tree: Node) -> tuple[Story, list[str], Callable[[], Any]]:
    """What the tree does in a run: its story, its log, and the program for folding it again."""
    machines: list[Machine] = []

    async def program() -> Any:
        machine = Machine(do, lambda: receive("s"))
        machines.append(machine)
        return await machine.main(tree)

    script = [(at, signal("s", number)) for number, at in enumerate(SIGNALS)]
    story = live(program, script=script, evict=False)
    machine = machines[0]
    seen = list(machine.log) if machine.ended is None else machine.ended
    return story, seen, program


def check_open(story: Story) -> None:
    """What is open is what was issued, less what was settled or cancelled; numbers have no gaps."""
    assert story.run is not None
    opened: set[int] = set()
    issued: list[int] = []
    for fact, turn in zip(story.facts, story.turns, strict=True):
        opened.discard(fact.number)
        for command in turn:
            match command:
                case CancelStep(number):
                    opened.remove(number)
                case Finish():
                    pass
                case _:
                    issued.append(command.number)
                    opened.add(command.number)
    assert issued == list(range(1, story.run.issued + 1))
    assert opened == set(story.run.open)


def until(story: Story, revision: int) -> list[list[Command]]:
    """The commands of the first facts."""
    return story.turns[:revision]


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(PROGRAMS, st.integers(0, 40))
def test_a_program_made_at_random(tree: Node, cut: int) -> None:
    """It does what it does under plain asyncio, can be folded again, and cut off anywhere."""
    tree.numbered()
    story, seen, program = durably(tree)
    assert seen == under_asyncio(tree)
    check_open(story)
    assert story.run is not None
    story.run.evict()
    again = replay(program, story.facts)
    assert again.turns == story.turns
    assert again.run is not None
    again.run.evict()
    part = replay(program, story.facts[: cut + 1])
    assert part.turns == until(story, cut + 1)
    assert part.run is not None
    part.run.evict()


def test_random_programs_leave_nothing_behind() -> None:
    """Neither warnings nor logs, also when the memory is swept (warnings are errors here)."""
    gc.collect()
