"""The app document as frozen values.

Keys are written in camelCase (`maximumAttempts`) and read as attributes in snake_case. A field
that is not declared here is refused, never ignored. What is declared is executed.

An app has graphs. A graph is a tree of activities below one trigger, with transitions from parent
to child. What may be a reference or a pipe is of type `JsonValue` here and compiled by `plan`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, field_serializer, field_validator

from durable.descriptor.parts import (
    Code,
    Escalation,
    Flag,
    HookPort,
    Id,
    JobPort,
    MappedPort,
    Maps,
    OutputPort,
    Part,
    Port,
    RetryValue,
    Stats,
    Text,
    Topic,
)
from durable.protocol.codes import OK


class ActivityPart(Part):
    """What every kind of activity may have."""

    title: Text | None = None
    """A name for people."""
    output: OutputPort | None = None
    """`output.maps` is merged over the answer; `output.schema` describes it."""
    job: JobPort | None = None
    """`job.maps` is written to the job's data, when the activity has answered."""
    emit: JsonValue = False
    """True: when it has settled, the job's state is sent to subscribers and an awaiting parent."""
    persist: JsonValue = False
    """True: when it has settled, the job counts as done, and its other branches go on."""
    status_threshold: JsonValue = 0
    """It is not entered when no more than so many branches are open; the job ends instead. When it
    has settled and so many are left, the job ends too."""
    state: JsonValue = None
    """Operations on the job's attributes and entity, done in order when it has answered."""
    telemetry: Maps | None = None
    """Attribute -> value of the activity's span."""
    settings: dict[str, JsonValue] | None = None
    """Anything; the engine does not look at it."""


class Trigger(ActivityPart):
    """The entry of a graph: its output is the data that the job was started with."""

    type: Literal["trigger"]
    """`trigger`."""
    input: Port | None = None
    """Described by a schema; it is the data that the job was started with."""
    stats: Stats | None = None
    """The job's id, and what is counted over jobs."""
    entity: JsonValue = None
    """The kind of thing that the job is about."""


class Worker(ActivityPart):
    """Work for a worker that serves the topic.

    `reentrant` is an addition to HotMesh's language: it marks the activity that is a
    workflow's function, and with it the graph as one of functions.
    """

    type: Literal["worker"]
    """`worker`."""
    topic: JsonValue
    """Whose work it is: workers of `HotMesh.init` serve topics, those of functions names."""
    task_queue: JsonValue = None
    """In a graph of functions: the task queue whose workers run it. Default: that of the app."""
    input: MappedPort | None = None
    """`input.maps` builds the data of the message."""
    retry: RetryValue | None = None
    """How often it is tried. Else the worker's policy, else the engine's, else 3 attempts."""
    start_to_close_timeout: JsonValue = None
    """In a graph of functions: how long an attempt may take. Default: as long as it takes."""
    schedule_to_close_timeout: JsonValue = None
    """In a graph of functions: how long it may take from its scheduling on, retries included."""
    schedule_to_start_timeout: JsonValue = None
    """In a graph of functions: how long it may wait for a worker."""
    heartbeat_timeout: JsonValue = None
    """In a graph of functions: how long an attempt may go without a heartbeat."""
    priority: JsonValue = None
    """In a graph of functions: a whole number; larger goes first. Default 0."""
    reentrant: Flag = False
    """True: it is a workflow's function; what its commands lead to enters it again."""
    cycle: Flag = False
    """True: it can be entered again. That is so by itself where a cycle names it."""


class Await(ActivityPart):
    """Starts a graph, or a workflow, and waits for its end (`await: false`: not)."""

    type: Literal["await"]
    """`await`."""
    topic: JsonValue
    """What the other graph subscribes to; with `app`, the name of a workflow."""
    app: JsonValue = None
    """The task queue of the workflow that `topic` names. An addition to HotMesh's language.
    The app's own id: a graph of this app where one has the topic, else a workflow."""
    task_queue: JsonValue = None
    """In a graph of functions: the task queue of the other workflow. Default: that of the app."""
    priority: JsonValue = None
    """In a graph of functions: a whole number; larger goes first. Default 0."""
    input: MappedPort | None = None
    """`input.maps` builds the data that the other job is started with: a workflow's arguments by
    name."""
    await_: JsonValue = Field(default=True, alias="await")
    """False: go on as soon as the other job is started, with its id in `job_id`."""
    cycle: Flag = False
    """True: it can be entered again. That is so by itself where a cycle names it."""


class Hook(ActivityPart):
    """Sleeps, or waits for a signal, or both, or does neither and passes on."""

    type: Literal["hook", "activity"]
    """`hook`; `activity` is its other name."""
    input: Port | None = None
    """Described by a schema."""
    sleep: JsonValue = None
    """Seconds or a duration, after which it answers. 0, less or nothing: it does not sleep."""
    hook: HookPort | None = None
    """A topic of its own, and a schema of what is signalled there."""
    escalation: Escalation | None = None
    """What is kept of the wait, for the people that are to act."""
    cycle: Flag = False
    """True: it can be entered again. That is so by itself where a cycle names it."""

    @field_validator("type")
    @classmethod
    def _one_name(cls, _value: str) -> str:
        return "hook"  # `activity` is HotMesh's other name for it


class Signal(ActivityPart):
    """Sends a signal to the hook that waits at the topic, or to all jobs with a facet."""

    type: Literal["signal"]
    """`signal`."""
    subtype: Literal["one", "all"] = "one"
    """`one`: the hook that fits. `all`: the hooks of all jobs with a facet."""
    topic: JsonValue
    """The topic at which hooks wait."""
    input: Port | None = None
    """Described by a schema."""
    signal: MappedPort | None = None
    """`signal.maps` builds what is signalled."""
    status: JsonValue = None
    """`success`, `pending` or `error`: how the hook is answered. Default `success`."""
    code: JsonValue = None
    """The code with which the hook is answered. Default 200; 202 keeps it open."""
    key_name: Text | None = Field(default=None, alias="key_name")
    """Of subtype `all`: the name of the facet."""
    key_value: JsonValue = Field(default=None, alias="key_value")
    """Of subtype `all`: its value."""
    resolver: MappedPort | None = None
    """Of subtype `all`: `resolver.maps` builds the query that finds the jobs."""
    scrub: JsonValue = False
    """Of subtype `all`: forget the facet afterwards."""


class Interrupt(ActivityPart):
    """Interrupts the job itself, or the job that `target` names, and then goes on."""

    type: Literal["interrupt"]
    """`interrupt`."""
    input: Port | None = None
    """Described by a schema."""
    target: JsonValue = None
    """The id of the job to be interrupted. The job itself unless given."""
    topic: JsonValue = None
    """What the target's graph subscribes to."""
    reason: JsonValue = None
    """The error's message."""
    throw: JsonValue = True
    """False: waiters get the job's data instead of an error."""
    descend: JsonValue = False
    """True: the jobs that it awaits are interrupted as well."""
    code: JsonValue = None
    """The error's code. Default 410."""
    expire: JsonValue = None
    """Seconds that the interrupted job keeps its id. Else what its graph says."""
    stack: JsonValue = None
    """Kept with the error."""


class Cycle(ActivityPart):
    """Enters an ancestor again; `input.maps` become that ancestor's output in the new pass."""

    type: Literal["cycle"]
    """`cycle`."""
    ancestor: Id
    """The hook, worker or await above it at which the job goes on."""
    input: MappedPort | None = None
    """`input.maps` becomes that ancestor's output in the new pass."""


Activity = Annotated[
    Trigger | Worker | Await | Hook | Signal | Interrupt | Cycle, Field(discriminator="type")
]


class Match(Part):
    """A condition: `actual`, resolved, is strictly equal to `expected`."""

    expected: JsonValue
    """A literal; in a hook's rule also a reference or pipe over the waiting job."""
    actual: JsonValue
    """A reference or pipe; in a hook's rule one over the signal: `{$self.hook.data.…}`."""


class Conditions(Part):
    """When a transition is followed: on these codes, and when all (or any) matches hold."""

    code: tuple[Code, ...] = Field(default=(OK,), min_length=1)
    """One code or several: the answer has one of these. Default 200."""
    gate: Literal["and", "or"] = "and"
    """Whether all matches have to hold, or one."""
    match: tuple[Match, ...] = ()
    """Values that are compared; none: the code decides."""

    @field_validator("code", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        values = value if isinstance(value, (list, tuple)) else [value]
        return tuple(int(v) if isinstance(v, str) and v.isdecimal() else v for v in values)

    @field_serializer("code")
    def _write_one_as_itself(self, codes: tuple[int, ...]) -> int | list[int]:
        return codes[0] if len(codes) == 1 else list(codes)


class Transition(Part):
    """From the activity under whose id it stands to the activity `to`."""

    to: Id
    """The activity that is entered."""
    code: JsonValue = None
    """Without effect: a code is compared where it stands under `conditions`."""
    conditions: Conditions | None = None
    """When it is followed; without any, on every answer that is not an error."""


class HookConditions(Part):
    """Which waiting hook a signal is for.

    Each `expected`, resolved in the waiting job, equals `actual`, resolved in the signal.
    """

    gate: Literal["and"] = "and"
    """All matches have to hold."""
    match: tuple[Match, ...] = ()
    """At least one: it says which job a signal is for."""


class HookRule(Part):
    """A signal on the topic under which it stands wakes the hook `to`."""

    to: Id
    """The hook that waits."""
    conditions: HookConditions | None = None
    """For which signals."""


class Graph(Part):
    """One flow: what it subscribes to, its activities and how they follow each other."""

    subscribes: Topic
    """The topic that starts it; one that begins with a dot is for activities only."""
    publishes: Topic | None = None
    """The topic on which each end of a job is published."""
    version: Text | None = None
    """Of generated graphs: the hash of their content and of what is shared."""
    title: Text | None = None
    """A name for people."""
    expire: JsonValue = None
    """Seconds, or a duration, that an ended job keeps its id. Default 1; 0: for ever."""
    persistent: JsonValue = False
    """True: its jobs are kept for ever."""
    input: Port | None = None
    """A schema of what a job is started with."""
    output: Port | None = None
    """A schema of the job's data."""
    activities: dict[Id, Activity] = Field(min_length=1)
    """Id -> activity; one of them is the trigger."""
    transitions: dict[Id, tuple[Transition, ...]] = Field(default_factory=dict)
    """Id -> the ways that lead on from that activity."""
    hooks: dict[Topic, tuple[HookRule, ...]] = Field(default_factory=dict)
    """Topic -> the rules that say which hook a signal there is for."""

    @field_validator("transitions", "hooks", mode="before")
    @classmethod
    def _empty(cls, value: object) -> object:
        return {} if value is None else value

    @field_validator("version", mode="before")
    @classmethod
    def _version(cls, value: object) -> object:
        return version_text(value)

    @property
    def function(self) -> str | None:
        """The reentrant activity, which makes this a graph of functions; None if there is none."""
        return next((aid for aid, part in self.activities.items() if is_reentrant(part)), None)


def is_reentrant(activity: ActivityPart) -> bool:
    """Whether the activity is a workflow's function."""
    return isinstance(activity, Worker) and activity.reentrant


class Shared(Part):
    """What every graph of functions has, beside its own: one copy for the whole app.

    An activity of a graph stands before the shared one of the same id, and a graph's transition
    before the shared one of the same command.
    """

    activities: dict[Id, Activity] = Field(default_factory=dict)
    """Id -> activity, of type `worker`, with literal values only."""
    transitions: tuple[Transition, ...] = ()
    """Those that lead on from the reentrant activity of each graph."""


class App(Part):
    """An app: graphs that are deployed and versioned together."""

    id: Topic
    """The app's id, as `HotMesh.init(app_id=…)` names it."""
    version: Text
    """Text or a whole number; each content has a version of its own."""
    settings: dict[str, JsonValue] | None = None
    """Anything; the engine does not look at it."""
    shared: Shared | None = None
    """What all graphs of functions have in common."""
    graphs: tuple[Graph, ...]
    """The graphs, each with a topic of its own. At least one, unless something is shared."""

    @field_validator("version", mode="before")
    @classmethod
    def _version(cls, value: object) -> object:
        return version_text(value)


def version_text(value: object) -> object:
    """A version is text; a whole number is read as its digits, a fraction is refused."""
    if isinstance(value, float):
        raise ValueError(  # noqa: TRY004 - pydantic's way to say it
            "put the version in quotes: as a number it would lose digits"
        )
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


KINDS: Final[Mapping[str, type[ActivityPart]]] = MappingProxyType(
    {
        "trigger": Trigger, "worker": Worker, "await": Await, "hook": Hook, "signal": Signal,
        "interrupt": Interrupt, "cycle": Cycle,
    }
)  # fmt: skip


def _fields() -> dict[str, tuple[str, ...]]:
    kinds: dict[type[Part], str] = {cls: kind for kind, cls in KINDS.items()}
    parts: list[type[Part]] = [Part]
    found: dict[str, tuple[str, ...]] = {}
    for part in parts:
        parts.extend(part.__subclasses__())
        owner = "activities" if part is ActivityPart else kinds.get(part, part.__name__)
        for attribute in inspect.get_annotations(part).keys() & part.model_fields.keys():
            name = part.model_fields[attribute].alias or attribute
            found[name] = (*found.get(name, ()), owner)
    return found


FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(_fields())
"""Every field name of the language, and what has such a field: for hints."""
