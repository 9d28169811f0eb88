"""A turn of a run: what arrived for it, what it is going to write, and what starts with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from durable.protocol.commands import Finish, PutAside, StartActivity, StartTimer
from durable.protocol.commits import ChildStart, Commit, GraphStep, Intent
from durable.protocol.facts import Fact
from durable.protocol.failures import Failure
from durable.store.activities import Attempt


@dataclass(slots=True)
class Arrived:
    """A fact on its way: from the inbox (`inbox` its row), or from an attempt that ran here."""

    fact: Fact
    inbox: int | None = None
    message: int | None = None
    failed: Intent | None = None  # the last attempt, to be kept as an expired row


@dataclass(slots=True)
class Retry:
    """An attempt that ran here without a row has failed and will be tried again."""

    number: int
    attempt: Attempt
    failure: Failure
    delay: float


@dataclass(slots=True)
class Turn:
    """What came of a turn: a commit (None: nothing to write), and what to start once it passed."""

    commit: Commit | None
    here: list[StartActivity] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    timers: list[StartTimer] = field(default_factory=list)
    limits: list[tuple[float, int]] = field(default_factory=list)  # when, which step


@dataclass(slots=True)
class Draft:
    """A turn that is being put together, and what its commit is going to say."""

    intents: list[Intent]
    issued: int
    write: bool  # the open steps are to be written down
    turn: Turn = field(default_factory=lambda: Turn(None))
    children: list[ChildStart] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    aside: list[PutAside] = field(default_factory=list)
    graphs: list[GraphStep] = field(default_factory=list)
    finish: Finish | None = None
    pending: str | None = None
    state: tuple[str | None, str | None] = (None, None)  # attributes and entity, if they changed

    @property
    def says_something(self) -> bool:
        """Whether there is anything to commit, of what the run itself has done."""
        told = self.write or self.state != (None, None)
        return told or bool(self.cancelled or self.aside or self.finish or self.intents)


class Slots(Protocol):
    """Room for attempts in this process."""

    def reserve(self, command: StartActivity, queue: str) -> bool:
        """Take a slot for an attempt of this step; False: it has to go over the stream."""
        ...

    def release(self, commands: Iterable[StartActivity]) -> None:
        """Give back the slots of steps that will not be started here after all."""
        ...
