"""The app document as frozen values.

Keys are written in camelCase (`maximumAttempts`) and read as attributes in snake_case. A field
that is not declared here is refused, never ignored. What is declared, but not yet executed by the
engine, is refused by `not_yet`.

An app has graphs. A graph is a tree of activities below one trigger, with transitions from parent
to child. What may be a reference or a pipe is of type `JsonValue` here and compiled by `plan`.
"""

from __future__ import annotations

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
    MappedPort,
    Maps,
    OutputPort,
    Part,
    Port,
    Retry,
    Stats,
    Text,
    Topic,
)
from durable.protocol.codes import OK


class ActivityPart(Part):
    """What every kind of activity may have.

    `emit`: when it has settled, the job's state so far is published. `persist`: when it has
    settled, the job counts as ended though it stays open for signals. `status_threshold`: it is
    skipped when no more than so many activities of the job are open. `telemetry`: attributes of
    its span.
    """

    title: Text | None = None
    output: OutputPort | None = None
    job: MappedPort | None = None
    emit: JsonValue = False
    persist: JsonValue = False
    status_threshold: JsonValue = 0
    telemetry: Maps | None = None
    settings: dict[str, JsonValue] | None = None


class Trigger(ActivityPart):
    """The entry of a graph: its output is the data that the job was started with.

    `entity` is the kind of thing that the job is about.
    """

    type: Literal["trigger"]
    input: Port | None = None
    stats: Stats | None = None
    entity: JsonValue = None


class Worker(ActivityPart):
    """Work for whoever serves the topic.

    `reentrant` is an addition to the ancestor's language: whatever lies below such an activity
    enters it again when it settles, with any code.
    """

    type: Literal["worker"]
    topic: JsonValue
    input: MappedPort | None = None
    retry: Retry | None = None
    reentrant: Flag = False
    cycle: Flag = False


class Await(ActivityPart):
    """Starts the graph that subscribes to the topic and waits for its end (`await: false`: not)."""

    type: Literal["await"]
    topic: JsonValue
    input: MappedPort | None = None
    await_: JsonValue = Field(default=True, alias="await")
    cycle: Flag = False


class Hook(ActivityPart):
    """Sleeps, or waits for a signal, or both, or does neither and passes on."""

    type: Literal["hook", "activity"]
    input: Port | None = None
    sleep: JsonValue = None
    hook: HookPort | None = None
    escalation: Escalation | None = None
    cycle: Flag = False

    @field_validator("type")
    @classmethod
    def _one_name(cls, _value: str) -> str:
        return "hook"  # `activity` is the ancestor's other name for it


class Signal(ActivityPart):
    """Sends a signal to the hook that waits at the topic, or to all jobs with a facet.

    Of subtype `all`: `key_name` and `key_value` are the facet, `resolver.maps` build the query that
    finds the jobs, `scrub` forgets the facet afterwards.
    """

    type: Literal["signal"]
    subtype: Literal["one", "all"] = "one"
    topic: JsonValue
    input: Port | None = None
    signal: MappedPort | None = None
    status: JsonValue = None
    code: JsonValue = None
    key_name: Text | None = Field(default=None, alias="key_name")
    key_value: JsonValue = Field(default=None, alias="key_value")
    resolver: MappedPort | None = None
    scrub: JsonValue = False


class Interrupt(ActivityPart):
    """Interrupts the job itself, or the job that `target` names, and then goes on."""

    type: Literal["interrupt"]
    input: Port | None = None
    target: JsonValue = None
    topic: JsonValue = None
    reason: JsonValue = None
    throw: JsonValue = True
    descend: JsonValue = False
    code: JsonValue = None
    expire: JsonValue = None
    stack: JsonValue = None


class Cycle(ActivityPart):
    """Enters an ancestor again; `input.maps` become that ancestor's output in the new pass."""

    type: Literal["cycle"]
    ancestor: Id
    input: MappedPort | None = None


Activity = Annotated[
    Trigger | Worker | Await | Hook | Signal | Interrupt | Cycle, Field(discriminator="type")
]


class Match(Part):
    """A condition: `actual`, resolved, is strictly equal to `expected`."""

    expected: JsonValue
    actual: JsonValue


class Conditions(Part):
    """When a transition is followed: on these codes, and when all (or any) matches hold."""

    code: tuple[Code, ...] = Field(default=(OK,), min_length=1)
    gate: Literal["and", "or"] = "and"
    match: tuple[Match, ...] = ()

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
    conditions: Conditions | None = None


class HookConditions(Part):
    """Which waiting hook a signal is for.

    Each `expected`, resolved in the waiting job, equals `actual`, resolved in the signal.
    """

    gate: Literal["and"] = "and"
    match: tuple[Match, ...] = ()


class HookRule(Part):
    """A signal on the topic under which it stands wakes the hook `to`."""

    to: Id
    conditions: HookConditions | None = None


class Graph(Part):
    """One flow: what it subscribes to, its activities and how they follow each other.

    `persistent` tells the activities that its jobs outlive their end.
    """

    subscribes: Topic
    publishes: Topic | None = None
    version: Text | None = None
    title: Text | None = None
    expire: JsonValue = None
    persistent: JsonValue = False
    input: Port | None = None
    output: Port | None = None
    activities: dict[Id, Activity] = Field(min_length=1)
    transitions: dict[Id, tuple[Transition, ...]] = Field(default_factory=dict)
    hooks: dict[Topic, tuple[HookRule, ...]] = Field(default_factory=dict)

    @field_validator("transitions", "hooks", mode="before")
    @classmethod
    def _empty(cls, value: object) -> object:
        return {} if value is None else value

    @field_validator("version", mode="before")
    @classmethod
    def _version(cls, value: object) -> object:
        return version_text(value)


class App(Part):
    """An app: graphs that are deployed and versioned together."""

    id: Topic
    version: Text
    settings: dict[str, JsonValue] | None = None
    graphs: tuple[Graph, ...] = Field(min_length=1)

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


def _fields() -> frozenset[str]:
    parts: list[type[Part]] = [Part]
    names: set[str] = set()
    while parts:
        part = parts.pop()
        parts.extend(part.__subclasses__())
        names.update(field.alias or name for name, field in part.model_fields.items())
    return frozenset(names)


FIELDS: Final[frozenset[str]] = _fields()
"""Every field name of the language, for suggestions."""

KINDS: Final[Mapping[str, type[ActivityPart]]] = MappingProxyType(
    {
        "trigger": Trigger, "worker": Worker, "await": Await, "hook": Hook, "signal": Signal,
        "interrupt": Interrupt, "cycle": Cycle,
    }
)  # fmt: skip
