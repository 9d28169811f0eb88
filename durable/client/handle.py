"""A handle: one run, seen from outside."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar, overload

from durable.authoring.signals import Signal
from durable.client.runs import Runs
from durable.codec.adapters import Adapter
from durable.codec.exceptions import exception_of
from durable.codec.fields_set import plain_value
from durable.errors import (
    ConfigurationError,
    ResultTimeout,
    WorkflowCancelled,
    WorkflowEnded,
    WorkflowFailed,
    WorkflowNotFound,
    WorkflowTerminated,
)
from durable.protocol.clock import to_datetime
from durable.protocol.durations import Duration, wait_seconds
from durable.protocol.facts import Fact
from durable.protocol.failures import Failure, summary
from durable.protocol.limits import check_sought
from durable.protocol.states import RunState
from durable.replay.definitions import WorkflowDefinition
from durable.store.jobs import Ended, RunDescription

_A_CHILD = "await the workflow's own call, `await fulfil(order)`, or wait for it in an activity"

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One fact of a history, for people.

    `kind`: started, activity, timer, child, signal, cancel or finished; `step` the number of the
    command that it settles, 0 for none; `input` and `data` decoded from JSON; `graph_version` the
    version of its graph that the run went over to with it, None where it stayed on its own.
    """

    revision: int
    kind: str
    at: datetime
    step: int
    name: str
    input: Any
    data: Any
    failure: Failure | None
    graph_version: str | None = None


def event_of(revision: int, fact: Fact) -> HistoryEvent:
    """A fact as an event."""
    return HistoryEvent(
        revision, fact.kind.value, to_datetime(fact.at), fact.number, fact.name,
        None if fact.input is None else plain_value(fact.input),
        None if fact.data is None else plain_value(fact.data), fact.failure, fact.graph_version,
    )  # fmt: skip


class Handle(Generic[R]):
    """One run of a workflow: await its result, signal it, look at it, stop it.

    Got from `client.start(…)`, or from `client.handle(id, fulfil)`, which stands for the newest run
    of the id. Without the workflow, `result()` gives plain data.

    Attributes:
        id: the id that was given at the start.

    Example:
        >>> handle = await client.start(fulfil(order), id="order-1")  # doctest: +SKIP
        >>> shipment = await handle.result(timeout="1 minute")  # doctest: +SKIP
    """

    def __init__(
        self,
        runs: Runs,
        id: str,
        run_id: int | None = None,
        workflow: WorkflowDefinition | None = None,
    ) -> None:
        self.id = id
        self._runs = runs
        self._run_id = run_id
        self._workflow = workflow

    def __repr__(self) -> str:
        return f"<Handle of run {self.id!r}>"

    async def run_id(self) -> int:
        """The run's number, which no other run has; raises `WorkflowNotFound`."""
        self._runs.home.check("a handle")
        if self._run_id is None:
            self._run_id = await self._latest()
        return self._run_id

    async def _latest(self) -> int:
        found = await self._runs.jobs.latest(self.id)
        if found is None:
            raise WorkflowNotFound(
                f"no workflow was ever started with the id {self.id!r} in this namespace,"
                " or it ended and was pruned"
            )
        run_id, workflow = found
        if self._workflow is not None and workflow != self._workflow.name:
            raise ConfigurationError(
                f"the run {self.id!r} is one of the workflow {workflow!r}, and client.handle() was"
                f" given {self._workflow.name!r}: give it the run's own, or none"
            )
        return run_id

    async def result(self, timeout: Duration | None = None) -> R:  # noqa: ASYNC109 - the fixed public name
        """What the workflow returned; waits until it has.

        Args:
            timeout: how long to wait (seconds, `timedelta` or text); for ever unless given.

        Raises:
            WorkflowFailed: the function raised; `.cause` is what.
            WorkflowCancelled, WorkflowTerminated: it was stopped.
            ResultTimeout: the time ran out; the run is as it was, and the message names a suspended
                one.
            WorkflowNotFound: there is no such run, or it was pruned.
        """
        self._runs.home.check("handle.result()", _A_CHILD)
        run_id = await self.run_id()
        limit = None if timeout is None else wait_seconds(timeout)
        try:
            ended = await self._runs.waiters.wait(run_id, limit)
        except TimeoutError:
            is_suspended = await self._runs.jobs.state(run_id) == "suspended"
            raise ResultTimeout(
                f"the workflow {self.id!r} has not ended within {limit:g} s: it is suspended, until"
                " its cause is removed and it is resumed"
                if is_suspended
                else f"the workflow {self.id!r} has not ended within {limit:g} s; it goes on, and"
                " may be awaited again"
            ) from None
        if ended.state == "completed":
            text = ended.output or "null"
            value: R = (
                plain_value(text)
                if self._workflow is None
                else self._workflow.signature.decode_result(text)
            )
            return value
        if ended.state == "gone":
            raise _gone(self.id)
        raise ending(ended)

    async def status(self) -> RunState:
        """One word: running, suspended, completed, failed, cancelled or terminated."""
        self._runs.home.check("handle.status()")
        return self._there(await self._runs.jobs.state(await self.run_id()))

    async def describe(self) -> RunDescription:
        """All that is known of the run but its history: state, steps, attempts, timers, failure."""
        self._runs.home.check("handle.describe()")
        return self._there(await self._runs.jobs.describe(await self.run_id()))

    def _there(self, found: T | None) -> T:
        """What was found of the run; raises `WorkflowNotFound` where it was pruned."""
        if found is None:
            raise _gone(self.id)
        return found

    async def history(self) -> list[HistoryEvent]:
        """What has happened, in order. Raises `WorkflowNotFound` for a run that was pruned."""
        self._runs.home.check("handle.history()")
        run_id = await self.run_id()
        facts = (await self._runs.histories.facts([run_id])).get(run_id, [])
        if not facts:
            await self.describe()  # it has only begun, or it is gone
        return [event_of(revision, fact) for revision, fact in enumerate(facts, start=1)]

    @overload
    async def signal(self, signal: Signal[T], payload: T = None) -> None: ...  # type: ignore[assignment]
    @overload
    async def signal(self, signal: str, payload: Any = None) -> None: ...

    async def signal(self, signal: Signal[Any] | str, payload: Any = None) -> None:
        """Tell the run something; when this returns, it is on disk, and the run will receive it.

        Args:
            signal: the declared signal; or its name, where that cannot be imported. Then name and
                payload are checked by what the run's workers have deployed.
            payload: of the signal's type; plain data under a name.

        Raises:
            PayloadError: the payload is not of the signal's type.
            ConfigurationError: the workflow has no signal of this name.
            WorkflowEnded: the run has ended already.
            WorkflowNotFound: there is none.
        """
        self._runs.home.check("handle.signal()")
        if isinstance(signal, str):
            name, text = signal, _ANY.encode(payload)
            await self._runs.declared.check_signal(await self.run_id(), name, text)
        elif isinstance(signal, Signal):
            name, text = signal.name, signal.adapter.encode(payload)
        else:
            raise ConfigurationError(
                f"handle.signal() takes a declared signal, or the name of one, not {signal!r:.100}"
            )
        await self._runs.arrive(await self.run_id(), self.id, "signal", name, text)

    async def cancel(self, reason: str = "") -> None:
        """Ask the workflow to stop: `asyncio.CancelledError` is raised where it waits.

        It may catch that to clean up, and lets it through when it has.
        Returns when the request is on disk; a run that has ended already is left as it is.
        """
        self._runs.home.check("handle.cancel()")
        check_sought("reason", reason, "handle.cancel()")
        try:
            await self._runs.arrive(
                await self.run_id(), self.id, "cancel", "cancel", json.dumps(reason)
            )
        except WorkflowNotFound:
            raise
        except WorkflowEnded:
            return

    async def terminate(self, reason: str = "") -> None:
        """End the run at once, running no more of its code; one that has ended stays as it is."""
        self._runs.home.check("handle.terminate()")
        check_sought("reason", reason, "handle.terminate()")
        await self._runs.terminate(await self.run_id(), reason)


_ANY = Adapter(
    Any,
    owner="handle.signal() by name",
    path="payload",
    advice="give what JSON can hold, such as a dict, or pass the declared Signal for the name",
)


def _gone(id: str) -> WorkflowNotFound:
    return WorkflowNotFound(f"the run {id!r} is gone: it ended, and was pruned")


def ending(ended: Ended) -> WorkflowEnded:
    """The error that says how a run ended without a result."""
    failure = ended.failure
    said = "" if failure is None else summary(failure).removeprefix(failure.type)
    if ended.state == "cancelled":
        return WorkflowCancelled(f"the workflow {ended.jid!r} was cancelled{said}", id=ended.jid)
    if ended.state == "terminated":
        return WorkflowTerminated(f"the workflow {ended.jid!r} was terminated{said}", id=ended.jid)
    cause = None if failure is None else exception_of(failure)
    kind = "" if failure is None else f" with {failure.type}"
    return WorkflowFailed(
        f"the workflow {ended.jid!r} failed{kind}{said}", id=ended.jid, cause=cause
    )
