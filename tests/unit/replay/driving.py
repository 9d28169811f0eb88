"""A world for runs: activities, timers, children and signals as plain facts, without a database.

`live` takes the commands of a run and answers them, in the order of due times, one fact at a time.
`replay` feeds a history to a new run. Both hand out what the run issued after each fact.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from durable.codec.adapters import Adapter
from durable.codec.failures import failure_of
from durable.codec.signature import Signature
from durable.protocol.commands import (
    CancelStep,
    Command,
    Finish,
    StartActivity,
    StartChild,
    StartTimer,
)
from durable.protocol.facts import Fact, FactKind
from durable.protocol.failures import Failure
from durable.protocol.options import ActivityOptions, WorkflowOptions
from durable.replay.context import Context, RunIdentity, current
from durable.replay.definitions import ActivityDefinition, WorkflowDefinition
from durable.replay.run import Run

BEGIN = 1_700_000_000.0
ANY = Adapter(Any)


def activity_of(fn: Callable[..., Any], name: str | None = None) -> ActivityDefinition:
    """A definition made by hand."""
    code = fn.__code__
    site = f"{code.co_filename}:{code.co_firstlineno}"
    return ActivityDefinition(
        name or fn.__name__, fn, Signature(fn), ActivityOptions(), is_async=True, site=site
    )


def workflow_of(fn: Callable[..., Any], name: str | None = None) -> WorkflowDefinition:
    """A definition made by hand."""
    code = fn.__code__
    site = f"{code.co_filename}:{code.co_firstlineno}"
    return WorkflowDefinition(name or fn.__name__, fn, Signature(fn), WorkflowOptions(), site=site)


async def work(label: str, after: float = 1.0, fail: str = "") -> str:
    """Takes `after` seconds, then answers the label, or fails with the text given."""
    return f"{label} {after} {fail}"


async def sub(label: str, after: float = 1.0, fail: str = "") -> str:
    """A child workflow of the same manners."""
    return f"{label} {after} {fail}"


WORK = activity_of(work)
SUB = workflow_of(sub)


def here() -> Context:
    """The context; the code is in a workflow."""
    context = current()
    assert context is not None
    return context


async def do(label: str, after: float = 1.0, fail: str = "") -> str:
    """Call the activity."""
    result: str = await here().activity(WORK, (label,), {"after": after, "fail": fail})
    return result


async def child(label: str, after: float = 1.0, fail: str = "", name: str | None = None) -> str:
    """Call the child workflow."""
    result: str = await here().child(SUB, (label,), {"after": after, "fail": fail}, id=name)
    return result


async def receive(name: str) -> Any:
    """Receive a signal."""
    return await here().receive(name, ANY)


@dataclass
class Story:
    """What a run went through: its facts, and the commands that followed each of them."""

    facts: list[Fact] = field(default_factory=list)
    turns: list[list[Command]] = field(default_factory=list)
    finish: Finish | None = None
    run: Run | None = None

    @property
    def commands(self) -> list[Command]:
        return [command for turn in self.turns for command in turn]

    @property
    def result(self) -> Any:
        """The value returned."""
        assert self.finish is not None, "the run did not finish"
        assert self.finish.state == "completed", self.finish
        return json.loads(self.finish.data or "null")

    @property
    def failure(self) -> Failure:
        assert self.finish is not None
        assert self.finish.failure is not None
        return self.finish.failure


def brief(command: Command) -> str:
    """A command for comparisons that are read by people."""
    match command:
        case StartActivity(number, _, text):
            return f"{number} {json.loads(text)['label']}"
        case StartTimer(number, due):
            return f"{number} timer +{round(due - BEGIN, 6):g}"
        case StartChild(number, _, name):
            return f"{number} child {name}"
        case CancelStep(number):
            return f"cancel {number}"
        case Finish(state):
            return state


def identity(run_id: int = 7) -> RunIdentity:
    """Who the run of a test is."""
    return RunIdentity(run_id, f"run-{run_id}", "program", started_at=BEGIN, python="3")


def started(*args: Any, workflow: WorkflowDefinition | None = None, at: float = BEGIN) -> Fact:
    """The first fact."""
    encoded = "{}" if workflow is None else workflow.signature.encode_arguments(args, {})
    return Fact(FactKind.STARTED, at, name="program", input=encoded)


class World:
    """Answers commands in the order of their due times."""

    def __init__(self, script: Sequence[tuple[float, Fact]] = ()) -> None:
        self._queue: list[tuple[float, int, Fact]] = []
        self._made = 0
        for after, fact in script:
            self._put(BEGIN + after, fact)
        self._dropped: set[int] = set()

    def _put(self, at: float, fact: Fact) -> None:
        self._made += 1
        heapq.heappush(self._queue, (at, self._made, fact))

    def take(self, commands: Sequence[Command], now: float) -> None:
        """Plan the answers."""
        for command in commands:
            match command:
                case StartActivity(number, name, text):
                    self._answer(FactKind.ACTIVITY, number, name, text, now)
                case StartChild(number, name, _, text):
                    self._answer(FactKind.CHILD, number, name, text, now)
                case StartTimer(number, due):
                    self._put(due, Fact(FactKind.TIMER, due, number=number, name="timer"))
                case CancelStep(number):
                    self._dropped.add(number)
                case Finish():
                    self._queue.clear()

    def _answer(self, kind: FactKind, number: int, name: str, text: str, now: float) -> None:
        told = json.loads(text)
        at = now + told.get("after", 1.0)
        if told.get("fail"):
            failure = failure_of(ValueError(told["fail"]))
            fact = Fact(kind, at, number=number, name=name, failure=failure)
        else:
            fact = Fact(kind, at, number=number, name=name, data=json.dumps(told["label"]))
        self._put(at, fact)

    def next(self) -> Fact | None:
        """The next thing that happens."""
        while self._queue:
            at, _, fact = heapq.heappop(self._queue)
            if fact.number not in self._dropped:
                return Fact(
                    fact.kind, at, fact.number, fact.name, fact.data, fact.failure, fact.input
                )
        return None


def signal(name: str, value: Any = None) -> Fact:
    """A signal with a value."""
    return Fact(FactKind.SIGNAL, BEGIN, name=name, data=json.dumps(value))


def cancel(reason: str | None = None) -> Fact:
    """A request to cancel."""
    return Fact(FactKind.CANCEL, BEGIN, data=None if reason is None else json.dumps(reason))


def live(
    program: Callable[..., Any],
    *args: Any,
    script: Sequence[tuple[float, Fact]] = (),
    run_id: int = 7,
    evict: bool = True,
) -> Story:
    """Run a program to its end, or until nothing will happen any more (it is evicted then)."""
    workflow = workflow_of(program)
    run = Run(workflow, identity(run_id))
    world, story = World(script), Story(run=run)
    fact: Fact | None = started(*args, workflow=workflow)
    while fact is not None and run.finished is None:
        story.facts.append(fact)
        commands = run.apply(fact)
        story.turns.append(commands)
        world.take(commands, run.time)
        fact = world.next()
    story.finish = run.finished
    if run.finished is not None:
        end = Fact(
            FactKind.FINISHED, run.time, name=run.finished.state, data=run.finished.data,
            failure=run.finished.failure,
        )  # fmt: skip
        story.facts.append(end)
        story.turns.append(run.apply(end))
    elif evict:
        run.evict()
    return story


def replay(program: Callable[..., Any], facts: Sequence[Fact], run_id: int = 7) -> Story:
    """Fold a history with a new run."""
    run = Run(workflow_of(program), identity(run_id))
    run.replaying = True
    story = Story(run=run)
    for fact in facts:
        story.facts.append(fact)
        story.turns.append(run.apply(fact))
    story.finish = run.finished
    return story
