"""What a call in workflow code finds when it looks around: the run it belongs to."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from inspect import isawaitable
from random import Random
from typing import Any

from durable.codec.adapters import Adapter
from durable.codec.failures import failure_of
from durable.errors import NotDurableError, PayloadError
from durable.protocol.commands import PutAside, StartActivity, StartChild, StartGraph
from durable.protocol.documents import Entity
from durable.protocol.json_values import compact_json
from durable.protocol.limits import check_id, check_name, check_queue
from durable.protocol.options import ActivityOptions, WorkflowOptions
from durable.protocol.searchable import Attributes
from durable.replay.call_sites import text
from durable.replay.definitions import ActivityDefinition, WorkflowDefinition
from durable.replay.loop import ReplayLoop
from durable.replay.mailbox import Mailbox
from durable.replay.steps import ResultReader, StepFuture, Steps

_ATTRIBUTE_WEIGHT = 200  # bytes, about


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Who a run is; the same at every replay of it.

    Args:
        run_id: the surrogate key of the run.
        id: the id that people gave or see.
        workflow: the workflow's name.
        task_queue: where its turns are taken, and its steps unless they say otherwise.
        started_at: Unix seconds.
        python: the Python that began it, such as "3.12".
        parent: the id of the parent, if it is a child.
        seed: of random numbers and uuids, where the first fact has none; None means `run_id`.
    """

    run_id: int
    id: str
    workflow: str
    task_queue: str = "default"
    started_at: float = 0.0
    python: str = ""
    parent: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class WorkflowInfo:
    """What a workflow may know of its own run.

    Args:
        id: the id that was given at the start.
        run_id: the key of this run; a new one after continue-as-new.
        workflow: the workflow's name.
        task_queue: its task queue.
        started_at: aware, UTC.
        parent: the id of the parent, if it is a child.
        revision: facts behind the code, the one that woke it included.
        steps: commands issued until now.
    """

    id: str
    run_id: int
    workflow: str
    task_queue: str
    started_at: datetime
    parent: str | None
    revision: int
    steps: int


class Context:
    """One run as its code sees it. Found by `current()`.

    Attributes:
        revision: facts applied.
        is_seeded: its history has a seed; without one it was begun by a version of durable that
            knew none, and whatever was decided otherwise then must be so again.
    """

    __slots__ = (
        "_attributes", "_entity", "_identity", "_loop", "_mailbox", "_numbers", "_random", "_seed",
        "_steps", "is_seeded", "revision",
    )  # fmt: skip

    def __init__(
        self, identity: RunIdentity, loop: ReplayLoop, steps: Steps, mailbox: Mailbox
    ) -> None:
        self._identity = identity
        self._loop, self._steps = loop, steps
        self._mailbox = mailbox
        self._random: Random | None = None
        self._seed = identity.run_id if identity.seed is None else identity.seed
        self.is_seeded = False
        self._numbers = 0
        self.revision = 0
        self._attributes: Attributes | None = None
        self._entity: Entity | None = None

    @property
    def replaying(self) -> bool:
        """Whether the code only goes over what it has done before; logs are silent then."""
        return self._loop.replaying

    def activity(
        self,
        definition: ActivityDefinition,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        options: ActivityOptions | None = None,
    ) -> StepFuture:
        """Issue an activity, now; await the future for its result.

        Raises `PayloadError` or `TypeError` for arguments that do not fit; no number is used then.
        """
        self._steps.next_number()
        chosen = options or definition.options
        self._check_placement(definition.name, chosen.task_queue)
        encoded = definition.signature.encode_arguments(args, kwargs)
        number = self._steps.next_number()
        step = StartActivity(
            number, definition.name, encoded, chosen, text(self._loop.site()), "",
            definition.overrides,
        )  # fmt: skip
        return self._issue(step, definition.signature)

    def child(
        self, definition: WorkflowDefinition,
        args: tuple[object, ...], kwargs: Mapping[str, object],
        options: WorkflowOptions | None = None, id: str | None = None,  # noqa: A002 - users' word
    ) -> StepFuture:  # fmt: skip
        """Issue a child workflow, now; await the future for its result.

        Its id is "{id of this run}/{number of the step}" unless one is given.
        Raises `ConfigurationError` for an id that none can have; no number is used then.
        """
        self._steps.next_number()
        chosen = options or definition.options
        if self.is_seeded and chosen.task_queue is not None:
            check_queue("task_queue", chosen.task_queue, f"{definition.name}()")
        encoded = definition.signature.encode_arguments(args, kwargs)
        number = self._steps.next_number()
        child_id = f"{self._identity.id}/{number}" if id is None else id
        if self.is_seeded:  # earlier versions let Postgres decide: their runs must go on likewise
            check_id("id", child_id, f"the child {definition.name}()")
        step = StartChild(
            number, definition.name, child_id, encoded, chosen, text(self._loop.site()),
            definition.overrides,
        )  # fmt: skip
        return self._issue(step, definition.signature)

    def graph(self, topic: str, data: str, app: str | None, result: ResultReader) -> StepFuture:
        """Issue a graph, now; await the future for its data.

        Args:
            topic: what it subscribes to.
            data: what it is started with, as JSON text.
            app: its app; that of this run's task queue unless given.
            result: reads the data that it ends with.
        """
        number = self._steps.next_number()
        step = StartGraph(
            number, topic, app or self._identity.task_queue, data, text(self._loop.site()),
            frozenset(() if app is None else ("task_queue",)),
        )  # fmt: skip
        return self._issue(step, result)

    def _check_placement(self, name: str, queue: str | None) -> None:
        if self.is_seeded and queue is not None:
            check_name("task_queue", queue, f"{name}()")

    def _issue(
        self, step: StartActivity | StartChild | StartGraph, signature: ResultReader
    ) -> StepFuture:
        future = StepFuture(loop=self._loop)
        self._loop.number(future)
        future.steps = self._steps
        future.signature = signature
        self._steps.start(step, future)
        return future

    async def receive(self, name: str, adapter: Adapter) -> object:
        """The next unread signal of this name, in order of arrival; waits for one.

        Cancelling the wait loses nothing. One whose payload cannot be read is put aside, with the
        reason, and the next one is taken. In runs of earlier versions it raises `PayloadError`.
        """
        while True:
            letter = await self._mailbox.take(name, self._loop)
            if letter.aside:
                continue
            try:
                return None if letter.data is None else adapter.decode(letter.data)
            except PayloadError as error:
                if not self.is_seeded:
                    raise
                if self._loop.replaying:  # it could be read once: the code is another
                    self._loop.unreadable = error
                    await self._loop.create_future()
                self._steps.send(PutAside(letter.revision, name, letter.data, failure_of(error)))

    async def wait_until(
        self,
        predicate: Callable[[], bool],
        timeout: float | None = None,  # noqa: ASYNC109 - public
    ) -> None:
        """Wait until `predicate` is true; it is asked again whenever the run has moved.

        It still holds when this returns. `TimeoutError` after `timeout` seconds; None makes no
        timer.
        """
        with self._steps.freeze("the predicate of wait_until()"):
            holds = _answered(predicate)
        if not holds:
            async with asyncio.timeout(timeout):
                await self._loop.watch(partial(_answered, predicate))

    async def sleep(self, seconds: float) -> None:
        """A durable timer; no timer if `seconds` is 0 or less."""
        await asyncio.sleep(seconds)

    def now(self) -> datetime:
        """The time of the last fact, aware, UTC. It stands still until the code waits."""
        return datetime.fromtimestamp(self._loop.now, UTC)

    def random(self) -> Random:
        """Random numbers, seeded by the run: the same at each replay."""
        self._steps.check_moving()
        if self._random is None:
            # Repeatable by design: nothing secret is made of it.
            self._random = Random(self._seed)  # noqa: S311
        return self._random

    def uuid4(self) -> uuid.UUID:
        """A random uuid from `random()`."""
        return uuid.UUID(int=self.random().getrandbits(128), version=4)

    def info(self) -> WorkflowInfo:
        """Who the run is and how far it has come."""
        me = self._identity
        return WorkflowInfo(
            id=me.id, run_id=me.run_id, workflow=me.workflow, task_queue=me.task_queue,
            started_at=datetime.fromtimestamp(me.started_at, UTC), parent=me.parent,
            revision=self.revision, steps=self._steps.issued,
        )  # fmt: skip

    @property
    def attributes(self) -> Attributes:
        """The run's searchable attributes: a fold of its history, like its variables."""
        if self._attributes is None:
            self._attributes = Attributes(guard=_own_code_only(self._loop, self._steps))
        return self._attributes

    @property
    def entity(self) -> Entity:
        """The run's entity document, likewise."""
        if self._entity is None:
            self._entity = Entity(guard=_own_code_only(self._loop, self._steps))
        return self._entity

    def begin_state(self, begun: dict[str, Any]) -> None:
        """Seed, attributes and entity as it was started with them: what its first fact says."""
        if (seed := begun.get("seed")) is not None:
            self._seed = int(seed, 16)
            self.is_seeded = True
        if begun.get("attributes"):
            self.attributes.set(begun["attributes"])
        if begun.get("entity"):
            self.entity.set(begun["entity"])
        self.take_state()

    def take_state(self) -> tuple[str | None, str | None]:
        """Attributes and entity as JSON text, each None unless it changed since the last time."""
        attributes = entity = None
        if self._attributes is not None and self._attributes.changed:
            attributes = compact_json(self._attributes.as_dict())
            self._attributes.changed = False
        if self._entity is not None and self._entity.changed:
            entity = compact_json(self._entity.get())
            self._entity.changed = False
        return attributes, entity

    @property
    def held(self) -> int:
        """Bytes of its state, about."""
        attributes = 0 if self._attributes is None else _ATTRIBUTE_WEIGHT * len(self._attributes)
        return attributes + (0 if self._entity is None else self._entity.weight)

    def call_number(self) -> int:
        """A new number within the run, the same at each replay: a hash for an object of user code.

        0 where code may only look: what is made there is not kept.
        """
        if self._steps.frozen:
            return 0
        self._numbers += 1
        return self._numbers


def _own_code_only(loop: ReplayLoop, steps: Steps) -> Callable[[], None]:
    """Refuses changes of a run's state by other code than its own, and where that may only look."""

    def check() -> None:
        if asyncio._get_running_loop() is not loop:  # noqa: SLF001 - as below
            raise NotDurableError(
                "attributes and the entity of a run are changed by its own code only: call"
                " durable.attributes() and durable.entity() where they are used"
            )
        steps.next_number()

    return check


def current() -> Context | None:
    """The run whose code is running on this thread; None outside of workflow code.

    Example:
        >>> current() is None
        True
    """
    loop = asyncio._get_running_loop()  # noqa: SLF001 - the only form that does not raise
    return loop.context if isinstance(loop, ReplayLoop) else None


def _answered(predicate: Callable[[], bool]) -> bool:
    """What a predicate says now; what would have to be awaited first is no answer, and true."""
    answer: object = predicate()
    if not isawaitable(answer):
        return bool(answer)
    if asyncio.iscoroutine(answer):  # a call of an activity is one
        answer.close()
    raise NotDurableError(
        "wait_until() needs a plain function that only looks, and this one gave a"
        f" {type(answer).__name__}, which has to be awaited: await it before, and look at what"
        " came of it"
    )
