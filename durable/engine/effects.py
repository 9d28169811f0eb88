"""The effects of activities: the vocabulary between pure handlers and the commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from durable.protocol.codes import OK
from durable.protocol.graphs import Data, Fault, nothing
from durable.protocol.messages import MessageKind
from durable.protocol.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class Answer:
    """A second leg's input: an activity answers, now.

    Args:
        data: what it answers with.
        section: `output`, or `hook` for what was signalled.
        code: the code that transitions compare.
        error: set when it failed.
        stays_open: more answers may follow (code 202).
        remapped: whether `output.maps` still apply; not for what a cycle hands over, which is
            final.
        checked: whether schemas apply; not to what the engine itself says of a wait that ended.
        state: operations on the job's attributes and entity that come with it.
    """

    data: Data = field(default_factory=nothing)
    section: str = "output"
    code: int = OK
    error: Fault | None = None
    stays_open: bool = False
    remapped: bool = True
    checked: bool = True
    state: tuple[Data, ...] = ()


@dataclass(frozen=True, slots=True)
class ArmTimer:
    """Answer the activity after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Send work to the workers of a topic; `retry` None means the engine's policy.

    `attempts`: code -> how many attempts errors of that code may have, where that differs.
    """

    topic: str
    data: Data
    retry: RetryPolicy | None = None
    attempts: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class StartJob:
    """Start the graph that subscribes to a topic, and wait for its end if `awaited`."""

    topic: str
    data: Data
    awaited: bool = True


@dataclass(frozen=True, slots=True)
class StartWorkflow:
    """Start a workflow on a task queue with `data` as its arguments by name.

    With `awaited`, its end is the activity's answer; else the answer is that it was started.
    """

    name: str
    queue: str
    data: Data
    awaited: bool = True


@dataclass(frozen=True, slots=True)
class AwaitSignal:
    """Wait for a signal on a topic.

    Args:
        rule: which of the topic's hooks waits. key: for which value of what that hook compares.
    """

    topic: str
    rule: str
    key: str


@dataclass(frozen=True, slots=True)
class OpenEscalation:
    """Ask a person to end this wait: `columns` of the escalation, by their names in the table."""

    columns: Data


@dataclass(frozen=True, slots=True)
class CloseEscalation:
    """Close the escalation of this wait: it has ended.

    Args:
        status: resolved, cancelled or expired. payload: with what it ended.
    """

    status: str
    payload: Data


@dataclass(frozen=True, slots=True)
class FacetTargets:
    """All jobs that have one of the facets, as `query` would find them at a moment."""

    facets: tuple[str, ...]
    query: Data
    at: float


@dataclass(frozen=True, slots=True)
class SendSignal:
    """Signal a topic, as a caller from outside does; `to` None means any waiter."""

    topic: str
    data: Data
    status: str = "success"
    code: int = OK
    to: FacetTargets | None = None


@dataclass(frozen=True, slots=True)
class Interruption:
    """How a job is interrupted.

    Args:
        reason: the error's message; a standard sentence when empty.
        code: the error's code.
        throws: whether the job ends with an error; else its waiters get its data as it stands.
        descend: interrupt the jobs that it awaits as well.
        stack: kept with the error.
        expire: seconds that the job keeps its id, None for what its graph says.
    """

    reason: str = ""
    code: int = 410
    throws: bool = True
    descend: bool = False
    stack: str = ""
    expire: float | None = None


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Interrupt a job: `target` is its id, None for the job itself."""

    target: str | None
    how: Interruption


@dataclass(frozen=True, slots=True)
class Reenter:
    """Enter an ancestor's second leg again, with this as its answer."""

    ancestor: str
    data: Data


Effect = (
    Dispatch
    | StartJob
    | StartWorkflow
    | ArmTimer
    | AwaitSignal
    | OpenEscalation
    | CloseEscalation
    | SendSignal
    | Interrupt
    | Reenter
)


@dataclass(frozen=True, slots=True)
class LegResult:
    """What a leg of an activity leads to.

    Args:
        effects: what is to be written.
        answer: set when the activity answers with this very leg.
        input: its mapped input, shown to operators.
        disarm: whether its timer and its wait for a signal are cancelled.
    """

    effects: tuple[Effect, ...] = ()
    answer: Answer | None = None
    input: Data | None = None
    disarm: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What arrives for a waiting activity.

    Args:
        kind: `response` of a worker, `result` of an awaited job, `webhook` (a signal), `timehook`
            (its timer), `cancel` (its escalation was cancelled), `cycle` (a descendant entered it
            again).
        status: `success`, `pending` (more will follow) or `error`.
        state: operations on the job's attributes and entity.
    """

    kind: MessageKind
    data: Data = field(default_factory=nothing)
    status: str = "success"
    code: int = OK
    error: Fault | None = None
    state: tuple[Data, ...] = ()

    @property
    def stays_open(self) -> bool:
        """Whether more answers may follow."""
        return self.status == "pending"

    def answer(self, section: str = "output") -> Answer:
        """This reply as the activity's answer; what a cycle hands over is not mapped again."""
        return Answer(
            self.data,
            section,
            self.code,
            self.error,
            self.stays_open,
            remapped=self.kind != "cycle",
            state=self.state,
        )


@dataclass(frozen=True, slots=True)
class ActivityEffect:
    """An effect, with the activity that asks for it."""

    aid: str
    dad: str
    effect: Effect
