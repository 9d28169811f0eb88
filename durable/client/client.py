"""The client: start runs, find them, list them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, Unpack, get_args, overload

from durable.authoring.calls import Call, WorkflowCall
from durable.authoring.workflow import Workflow
from durable.client.deployments import Deployment
from durable.client.handle import Handle
from durable.client.options import FilterOptions, InitialState, encoded_state, run_filter
from durable.client.runs import Runs
from durable.codec.adapters import Adapter
from durable.errors import ConfigurationError, InternalError, WorkflowAlreadyStarted
from durable.postgres.home_loop import IN_AN_ACTIVITY
from durable.protocol.carriers import carrier
from durable.protocol.durations import Duration
from durable.protocol.ids import new_id, new_request
from durable.protocol.limits import (
    BIGINT_MAX,
    check_count,
    check_id,
    check_name,
    check_one_of,
    check_priority,
    check_queue,
    check_sought,
)
from durable.protocol.options import WorkflowOptions
from durable.protocol.retention import Outcome, Pruned, pruning
from durable.runtime.notifications import QueueKind
from durable.store.jobs import RunSummary, Start
from durable.worker.worker_services import WorkerServices

R = TypeVar("R")
IfRunning = Literal["raise", "attach"]
IfEnded = Literal["start", "start_if_failed", "attach", "raise"]

_A_CHILD = "await the workflow itself, `await fulfil(order)`: it runs as a child"

_IF_RUNNING: tuple[str, ...] = get_args(IfRunning)
_IF_ENDED: tuple[str, ...] = get_args(IfEnded)

_POLICIES = {
    "start": "allow",
    "start_if_failed": "failed_only",
    "attach": "reject",
    "raise": "reject",
}


@carrier
class StartOptions:
    """How to start: see `Client.start`."""

    task_queue: str
    priority: int
    if_running: IfRunning
    if_ended: IfEnded
    state: str | None


class Client:
    """A connection to one database and one namespace. Got from `durable.connect`.

    Use it as an async context manager, or call `close` at the end.

    Attributes:
        dsn: the database, as a URI; with an embedded Postgres, where that listens.
        namespace: the Postgres schema.

    Example:
        >>> async with await durable.connect() as client:  # doctest: +SKIP
        ...     shipment = await client.execute(fulfil(order), id="order-1")
    """

    def __init__(
        self, dsn: str, namespace: str, runs: Runs, closing: Callable[[], Awaitable[None]]
    ) -> None:
        self.dsn = dsn
        self.namespace = namespace
        self._runs = runs
        self._closing = closing

    @property
    def services(self) -> WorkerServices:
        """What a `Worker` takes from its client."""
        self._runs.home.check("a client", IN_AN_ACTIVITY)
        return self._runs.services

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; handles of this client are of no use then."""
        self._runs.home.check("client.close()")
        await self._runs.close()
        await self._closing()

    @overload
    async def start(
        self, call: Call[R], /, *, id: str | None = None, task_queue: str | None = None,
        priority: int | None = None, if_running: IfRunning = "raise", if_ended: IfEnded = "start",
        **state: Unpack[InitialState],
    ) -> Handle[R]: ...  # fmt: skip
    @overload
    async def start(
        self, call: str, /, *args: Any, id: str | None = None, task_queue: str | None = None,
        priority: int | None = None, if_running: IfRunning = "raise", if_ended: IfEnded = "start",
        **state: Unpack[InitialState],
    ) -> Handle[Any]: ...  # fmt: skip

    async def start(
        self, call: Call[Any] | str, /, *args: Any, id: str | None = None,
        task_queue: str | None = None, priority: int | None = None,
        if_running: IfRunning = "raise", if_ended: IfEnded = "start", **state: Unpack[InitialState],
    ) -> Handle[Any]:  # fmt: skip
        """Start a workflow; when this returns, it is on disk and will run.

        Args:
            call: a workflow's call, such as `fulfil(order)`; or its name, with `args`, where the
                function cannot be imported.
            *args: the arguments of a workflow that is given by its name.
            id: names the run; at most one open run has an id. A fresh one unless given.
            task_queue: overrides the workflow's own; "default" when neither names one.
            priority: larger goes first.
            if_running: what to do when a run of this id is open: "raise" `WorkflowAlreadyStarted`,
                or "attach" to it.
            if_ended: what to do when the newest run of this id has ended: "start" another,
                "start_if_failed" (else raise), "attach" to the ended one, or "raise".
            **state: `attributes`, the searchable ones that it begins with, and `entity`, its
                document: plain data both.

        Raises:
            WorkflowAlreadyStarted: the id is taken, and the policy says no; or it is that of
                another workflow's run, which is not attached to.
            ConfigurationError: an id, name or number is beyond its limit, which is named; nothing
                was sent.
            PayloadError: an argument is not of its annotated type, or cannot be written down. By
                name, what is checked is what its workers have deployed.
        """
        given = _Given(id, task_queue, priority, if_running, if_ended, state)
        return await self._begin("client.start()", call, args, given)

    @overload
    async def execute(
        self, call: Call[R], /, *, id: str | None = None, task_queue: str | None = None,
        priority: int | None = None, if_running: IfRunning = "raise", if_ended: IfEnded = "start",
        **state: Unpack[InitialState],
    ) -> R: ...  # fmt: skip
    @overload
    async def execute(
        self, call: str, /, *args: Any, id: str | None = None, task_queue: str | None = None,
        priority: int | None = None, if_running: IfRunning = "raise", if_ended: IfEnded = "start",
        **state: Unpack[InitialState],
    ) -> Any: ...  # fmt: skip

    async def execute(
        self, call: Call[Any] | str, /, *args: Any, id: str | None = None,
        task_queue: str | None = None, priority: int | None = None,
        if_running: IfRunning = "raise", if_ended: IfEnded = "start", **state: Unpack[InitialState],
    ) -> Any:  # fmt: skip
        """Start a workflow and wait for its result: `start`, then `Handle.result`."""
        given = _Given(id, task_queue, priority, if_running, if_ended, state)
        handle = await self._begin("client.execute()", call, args, given)
        return await handle.result()

    @overload
    def handle(self, id: str) -> Handle[Any]: ...
    @overload
    def handle(self, id: str, workflow: Workflow[..., R]) -> Handle[R]: ...

    def handle(self, id: str, workflow: Workflow[..., Any] | None = None) -> Handle[Any]:
        """The newest run of an id; whether there is one shows at the first use.

        Args:
            id: the id.
            workflow: of which workflow it is, for a result of that one's type; without it
                `result()` gives plain data, what JSON can hold.

        Example:
            >>> shipment = await client.handle("order-1", fulfil).result()  # doctest: +SKIP
        """
        self._runs.home.check("client.handle()")
        if workflow is not None and not isinstance(workflow, Workflow):
            raise ConfigurationError(
                "client.handle() takes an id and, if you like, the workflow that the run is of,"
                f" such as client.handle('order-1', fulfil), not {workflow!r:.100}"
            )
        of = None if workflow is None else workflow.definition
        return Handle(self._runs, check_sought("id", id, "client.handle()"), workflow=of)

    async def list(
        self, *, before: int | None = None, limit: int = 100, **options: Unpack[FilterOptions]
    ) -> list[RunSummary]:
        """Runs, the newest first.

        Args:
            before: only runs with a smaller `run_id`: the last one of the page before.
            limit: at most so many, and at least one.
            **options: only those of this `workflow` (or its name), in this `state` or in one of
                these (running, suspended, completed, failed, cancelled, terminated), of this
                `task_queue`, whose id has this `id_prefix`, that have these `attributes`. What is
                not given, or None, means any.

        Raises `ConfigurationError` for what no run could have, such as an unknown state.

        Example:
            >>> await client.list(state="running", attributes={"customer": "ann"})  # doctest: +SKIP
        """
        self._runs.home.check("client.list()")
        if before is not None:
            check_count("before", before, "client.list()", most=BIGINT_MAX)
        check_count("limit", limit, "client.list()")
        return await self._runs.jobs.list(run_filter(options, "client.list()"), before, limit)

    async def count(self, **options: Unpack[FilterOptions]) -> int:
        """How many runs there are; filters as in `list`."""
        self._runs.home.check("client.count()")
        return await self._runs.jobs.count(run_filter(options, "client.count()"))

    async def prune(
        self, *, older_than: Duration | None = None, keep: Iterable[Outcome] = (),
        streams: bool = True, dry_run: bool = False, tell: Callable[[Pruned], None] | None = None,
    ) -> Pruned:  # fmt: skip
        """Delete what ended long ago, with histories and messages, in batches; how much it was.

        Workers do so by themselves once a minute, as the namespace's retention says. Open runs are
        never touched, nor jobs of graphs that are kept for ever.

        Args:
            older_than: how long ago it ended (a job of a graph: expired); unless given, as long
                as the stored retention of its kind and outcome says.
            keep: outcomes that stay: "completed", "failed" (which is any other end), or both.
            streams: also expired messages of runs that stay, and signals that no run received.
            dry_run: only count.
            tell: called with the sum so far after each batch.

        Raises `ConfigurationError` for what is no duration or outcome.

        Example:
            >>> await client.prune(older_than="30 days", keep=["failed"])  # doctest: +SKIP
            Pruned(runs=1200, jobs=0, messages=3, signals=0)
        """
        self._runs.home.check("client.prune()")
        wanted = pruning(older_than, keep, streams=streams)
        if dry_run:
            return await self._runs.retention.count(wanted)
        return await self._runs.retention.prune(wanted, tell)

    async def resume(self, id: str) -> bool:
        """Let a suspended run be tried again, and signals that a run put aside be delivered again.

        False when the id has no run that is suspended, nor an open one that put signals aside.
        """
        self._runs.home.check("client.resume()")
        check_sought("id", id, "client.resume()")
        queues = await self._runs.services.runs.resume(jid=id)
        for queue in queues:
            self._runs.services.announcer.queue(queue, QueueKind.TURN, amount=0)
        again = await self._runs.services.runs.deliver_again(id)
        for reached in again:
            self._runs.wake(reached)
        return bool(queues or again)

    async def deploy(
        self, document: str | Path | Mapping[str, object], *, open_runs: bool = False,
        author: str | None = None,
    ) -> Deployment:  # fmt: skip
        """Put an edited descriptor of functions in force, for all workers of its task queue.

        What differs from the descriptor that the functions generated is stored, and laid over what
        each worker generates: a new build keeps it. Runs whose first turn comes after the commit of
        this follow it, on every worker; open runs go on as they began.

        Args:
            document: YAML text, a path, or plain data: the descriptor of one task queue, as
                `client.deployment(…).document` or `durable yaml` gives it, with other retry
                policies, task queues, topics, timeouts or priorities of activities, or without
                transitions. Its `app.version` names the descriptor that was edited.
            open_runs: have steps that open runs schedule from now on follow it, too.
            author: who deploys it; the user of this process unless given.

        Raises:
            DescriptorError: the document does not hold together, or changes what only code can;
                each finding has its path and line.
            ConfigurationError: no worker has generated the version that it names.

        Example:
            >>> await client.deploy("orders.yaml")  # doctest: +SKIP
        """
        self._runs.home.check("client.deploy()")
        return await self._runs.deployments.deploy(document, open_runs=open_runs, author=author)

    async def reset_deployment(
        self, task_queue: str, path: str = "", *, open_runs: bool = False
    ) -> Deployment:
        """Take changes of a task queue's descriptor back: what the functions generate holds.

        Args:
            task_queue: the task queue.
            path: only what is changed there and below, such as "shared.charge.retry".
            open_runs: as for `deploy`.

        Raises `ConfigurationError` when nothing is changed at `path`.
        """
        self._runs.home.check("client.reset_deployment()")
        return await self._runs.deployments.reset(task_queue, path, open_runs=open_runs)

    async def deployment(self, task_queue: str, version: str | None = None) -> Deployment:
        """What is in force for a task queue: changes, what live workers serve, and the document.

        Args:
            task_queue: the task queue.
            version: of the generated descriptor whose document is wanted, where several builds are
                at work; that with most workflows unless given.

        Raises `ConfigurationError` when no worker has generated a descriptor for the task queue, or
        none of that version.
        """
        self._runs.home.check("client.deployment()")
        return await self._runs.deployments.shown(task_queue, version)

    async def _begin(
        self, caller: str, call: Call[Any] | str, args: tuple[Any, ...], given: _Given
    ) -> Handle[Any]:
        """Start a workflow; `caller` was called, for messages."""
        options: WorkflowOptions | None = None
        jid, definition = given.id, None
        if isinstance(call, str):
            workflow = check_name("call", call, caller)
            text = encode_positional(args)
        else:
            taken = _workflow_call(call, args, caller)
            definition = taken.definition
            workflow, options = definition.name, taken.options
            text = definition.signature.encode_arguments(taken.args, dict(taken.kwargs))
            jid = jid if jid is not None else taken.id
        self._runs.home.check(caller, _A_CHILD)
        queue = given.task_queue
        if queue is None:
            queue = (options.task_queue if options else None) or "default"
        rank = given.priority
        if rank is None:
            rank = options.priority if options else 0
        check_one_of("if_running", given.if_running, caller, _IF_RUNNING)
        check_one_of("if_ended", given.if_ended, caller, _IF_ENDED)
        check_priority(rank, caller)
        check_queue("task_queue", queue, caller)
        if jid is not None:
            check_id("id", jid, caller)
        chosen = StartOptions(
            queue, rank, given.if_running, given.if_ended, encoded_state(given.state, caller)
        )
        if definition is None:
            await self._runs.declared.check_arguments(queue, workflow, text)
        run_id, jid = await self._start(workflow, text, jid, chosen)
        return Handle(self._runs, jid, run_id, definition)

    async def _start(
        self, workflow: str, text: str, id: str | None, chosen: StartOptions
    ) -> tuple[int, str]:
        jid = new_id() if id is None else id
        start = Start(
            new_request(), jid, chosen.task_queue, workflow, text, chosen.priority,
            "fresh" if id is None else _POLICIES[chosen.if_ended], self._runs.waiters.channel,
            chosen.state,
        )  # fmt: skip
        started = await self._runs.start(start)
        if started.run_id is None:
            raise InternalError("a start came back without its run")
        attach = chosen.if_running == "attach" if started.open else chosen.if_ended == "attach"
        if not started.started and attach and started.workflow != workflow:
            raise WorkflowAlreadyStarted(
                f"the id {jid!r} is that of a run of the workflow {started.workflow!r}, and a run"
                f" of {workflow!r} was asked for: only one of the same workflow is attached to;"
                " choose another id",
                id=jid,
                run_id=started.run_id,
            )
        if not started.started and not attach:
            how = "is open" if started.open else "has ended"
            raise WorkflowAlreadyStarted(
                f"a run with the id {jid!r} {how} already: choose another id, or say "
                f"{'if_running' if started.open else 'if_ended'}='attach' to get its handle",
                id=jid,
                run_id=started.run_id,
            )
        return started.run_id, jid


@carrier
class _Given:
    """What a start was asked to be, as it was given."""

    id: str | None
    task_queue: str | None
    priority: int | None
    if_running: IfRunning
    if_ended: IfEnded
    state: InitialState


def _workflow_call(call: Any, args: tuple[Any, ...], caller: str) -> WorkflowCall[Any]:
    example = caller.replace("()", "(fulfil(order))")
    if args:
        raise ConfigurationError(f"arguments go into the call: {example}, or follow a name")
    if not isinstance(call, WorkflowCall):
        given = "an activity's call" if isinstance(call, Call) else repr(call)
        raise ConfigurationError(
            f"{caller} takes the call of a workflow, such as {example}, not {given}"
        )
    return call.take()


def encode_positional(args: tuple[Any, ...]) -> str:
    """Arguments of a workflow that is known by name only, as a JSON list; its worker binds them.

    Raises `PayloadError` for what JSON cannot hold: such a workflow's values are given as JSON has
    them.
    """
    return _ANY.encode(list(args))


_ANY = Adapter(
    list[Any],
    owner="a workflow by its name",
    path="args",
    advice="give what JSON can hold, such as a dict, or use its call, client.start(fulfil(order))",
)
