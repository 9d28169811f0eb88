"""Commands: what a turn of a workflow asks for. Each has a number, its place in the run."""

from __future__ import annotations

from dataclasses import dataclass

from durable.protocol.failures import Failure
from durable.protocol.options import ActivityOptions, WorkflowOptions


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Wake the run at `due`, Unix seconds. Named "timer"."""

    number: int
    due: float
    site: str = ""
    name: str = "timer"


@dataclass(frozen=True, slots=True)
class StartActivity:
    """Run activity `name` with these encoded arguments.

    Args:
        site: "file:line" of the call.
        topic: the activity that serves it, "" for the one of its name.
        overrides: the options that the call itself has set.
    """

    number: int
    name: str
    input: str
    options: ActivityOptions
    site: str = ""
    topic: str = ""
    overrides: frozenset[str] = frozenset()

    @property
    def served_by(self) -> str:
        """The name of the activity that serves it."""
        return self.topic or self.name


@dataclass(frozen=True, slots=True)
class StartChild:
    """Run a workflow as a child.

    Args:
        name: the workflow's. id: the child's. input: its arguments, as JSON.
    """

    number: int
    name: str
    id: str
    input: str
    options: WorkflowOptions
    site: str = ""
    overrides: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StartGraph:
    """Run the graph that subscribes to the topic `name` of the app `app`; `input` is its data.

    Args:
        overrides: "task_queue" if the call itself has named the app.
    """

    number: int
    name: str
    app: str
    input: str
    site: str = ""
    overrides: frozenset[str] = frozenset()


Step = StartActivity | StartTimer | StartChild | StartGraph
"""A command that opens a step, to be settled by a fact with its number."""


@dataclass(frozen=True, slots=True)
class PutAside:
    """The signal that was to be received next cannot be read: it is kept with why, and passed over.

    Args:
        revision: of the fact by which it came.
        name: the signal's.
        data: its encoded payload.
        failure: why it cannot be read.
    """

    revision: int
    name: str
    data: str | None
    failure: Failure


@dataclass(frozen=True, slots=True)
class Finish:
    """The function ended.

    Args:
        state: "completed", "failed" or "cancelled". data: the result, as JSON.
    """

    state: str
    data: str | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class CancelStep:
    """Nobody waits for step `number` any more: stop it; what it still answers is dropped."""

    number: int


Command = Step | CancelStep | PutAside | Finish


def kind_of(step: Step) -> str:
    """The step's kind, as facts and open rows name it: activity, timer, child or graph."""
    return _KINDS[type(step)]


_KINDS = {
    StartActivity: "activity", StartTimer: "timer", StartChild: "child", StartGraph: "graph",
}  # fmt: skip
