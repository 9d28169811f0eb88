"""What one turn writes, and the ports through which a worker reaches who writes it.

A worker process holds runs and executes activities; the engine commits. Between them stand the
Protocols of this module, so that a worker with fewer rights can be given none of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from durable.protocol.carriers import carrier
from durable.protocol.commands import Finish, PutAside
from durable.protocol.facts import Fact
from durable.protocol.failures import Failure
from durable.protocol.ids import new_seed
from durable.protocol.options import ActivityOptions


@dataclass(frozen=True, slots=True)
class Intent:
    """An attempt of an activity, to be written as a row of the worker stream.

    Args:
        number: the command it serves.
        name, queue, input, options: what to run where.
        attempt: 1 for the first.
        held: reserved by the committing member from the start, because it runs it itself.
        delay: seconds until it becomes visible.
        failure: this attempt has failed already; the row is written expired, for people to see.
        dead: no attempt follows the failed one.
        topic: the activity that serves it, "" for the one of its name.
    """

    number: int
    name: str
    queue: str
    input: str
    options: ActivityOptions
    attempt: int = 1
    held: bool = False
    delay: float = 0.0
    failure: Failure | None = None
    dead: bool = False
    topic: str = ""


@dataclass(frozen=True, slots=True)
class ChildStart:
    """A child workflow to be started together with the commit; `seed` is of its random numbers."""

    number: int
    workflow: str
    id: str
    queue: str
    input: str
    priority: int = 0
    seed: bytes = field(default_factory=new_seed)


@dataclass(frozen=True, slots=True)
class GraphStep:
    """A graph to be started as a step, or given up: nobody waits for it any more.

    Args:
        number: the command that waits for it.
        app, topic: which graph it is.
        input: its data (JSON text); None gives it up.
    """

    number: int
    app: str
    topic: str
    input: str | None = None


@carrier
class Commit:
    """All that one turn of one run writes, in one transaction or not at all.

    Args:
        run_id: the run.
        expected: the revision it builds upon; the commit passes only if the row still says so.
        facts: the facts expected+1, expected+2, …
        issued: the highest command number written down from now on.
        pending: JSON list of the open commands up to `issued`; None leaves what was there.
        status: the semaphore after it.
        inbox: ids of inbox rows that became facts, or were of no use any more.
        settled: ids of own-reserved activity rows whose steps these facts settle.
        cancelled: numbers of steps that nobody waits for any more.
        intents, children: what starts with it. graphs: likewise, and what is given up.
        finish: the run's end, if this is it.
        hold: under which claim of the run; refused when it was claimed again since.
        version: content hash of the graph that the run is pinned to, with its first commit.
        attributes, entity: the run's searchable attributes and its document from now on, whole, as
            JSON; None leaves what was there.
        aside: signals that the code could not read.
    """

    run_id: int
    expected: int
    facts: tuple[Fact, ...] = ()
    issued: int = 0
    pending: str | None = None
    status: int = 1
    inbox: tuple[int, ...] = ()
    settled: tuple[int, ...] = ()
    cancelled: tuple[int, ...] = ()
    intents: tuple[Intent, ...] = ()
    children: tuple[ChildStart, ...] = ()
    finish: Finish | None = None
    version: str | None = None
    attributes: str | None = None
    entity: str | None = None
    aside: tuple[PutAside, ...] = ()
    hold: int = field(kw_only=True)  # no default: a fence that may be forgotten is none
    graphs: tuple[GraphStep, ...] = ()


@carrier
class Committed:
    """How a commit went. `passed` False: a fence held it back, and nothing of it was written.

    `messages` maps command numbers to the ids of the intents written for them.
    """

    passed: bool
    messages: dict[int, int] = field(default_factory=dict)


class StepCommitter(Protocol):
    """The engine's committer, as a worker sees it."""

    def commit(self, commit: Commit) -> Awaitable[Committed]:
        """Write it durably; what it gives is done when it is on disk, or was refused."""
        ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """One row of a run's inbox, in the form of the fact that it may become."""

    id: int
    fact: Fact
    attempts: int = 1


class Histories(Protocol):
    """Reading what runs have behind them and before them."""

    async def facts(self, run_ids: Sequence[int]) -> dict[int, list[Fact]]:
        """The facts of each run, in order."""
        ...

    async def inboxes(self, run_ids: Sequence[int]) -> dict[int, list[Arrival]]:
        """What has arrived for each run and is not folded yet, in id order."""
        ...
