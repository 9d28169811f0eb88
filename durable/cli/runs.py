"""Commands about runs: start them, look at them, talk to them, stop them."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from durable.cli.command import Session, connected, duration, json_value
from durable.errors import ConfigurationError, ResultTimeout, WorkflowEnded
from durable.protocol.searchable import Value
from durable.protocol.states import RunState
from durable.telemetry.terminal import shown

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

if TYPE_CHECKING:
    from durable.authoring.workflow import Workflow
    from durable.client.client import Client, IfRunning
    from durable.client.handle import Handle
    from durable.client.options import FilterOptions

PATIENCE = 1.0  # seconds of waiting before the command says that it waits

Id = Annotated[str, typer.Argument(metavar="ID", help="The run's id.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the run.")]


@connected
async def start(
    session: Session,
    workflow: Annotated[
        str, typer.Argument(help="MODULE:WORKFLOW, path.py:WORKFLOW, or a workflow's bare name.")
    ],
    args: Annotated[
        Any,
        typer.Option(
            parser=json_value, metavar="JSON", help="A list of arguments, or an object by name."
        ),
    ] = "[]",
    run: Annotated[
        str | None, typer.Option("--id", help="The run's id; a new one if absent.")
    ] = None,
    queue: Annotated[str | None, typer.Option(help="The task queue.")] = None,
    attach: Annotated[bool, typer.Option(help="Return an open run of this id.")] = False,  # noqa: FBT002
) -> None:
    """Start a workflow; it runs as soon as a worker serves its queue."""
    if_running: IfRunning = "attach" if attach else "raise"
    if ":" in workflow or workflow.endswith(".py"):
        from durable.cli.user_modules import workflow_of  # noqa: PLC0415 - only files need it

        call = _called(workflow_of(workflow), args)
        handle: Handle[Any] = await session.client.start(
            call, id=run, task_queue=queue, if_running=if_running
        )
    else:
        if not isinstance(args, list):
            raise ConfigurationError(
                "arguments by name need the function's signature: give a list, or MODULE:WORKFLOW"
            )
        handle = await session.client.start(
            workflow, *args, id=run, task_queue=queue, if_running=if_running
        )
    data = {"id": handle.id, "run_id": await handle.run_id()}
    next_one = f"next: durable result {shown(shlex.quote(handle.id))}"
    session.out.answer(data, f"started {shown(handle.id)}\n{next_one}")


@connected
async def result(
    session: Session,
    run: Id,
    timeout: Annotated[  # noqa: ASYNC109 - an option of the command
        str | None, typer.Option(help='How long to wait, such as "30s"; for ever if absent.')
    ] = None,
) -> None:
    """Wait for a run's end and print what it returned, as JSON."""
    handle = session.client.handle(run)
    if timeout is None:
        try:
            value = await handle.result(PATIENCE)
        except ResultTimeout:
            with session.out.progress() as show:
                show(f"waiting for {run}; Ctrl-C stops the waiting, not the run")
                value = await handle.result()
    else:
        value = await handle.result(duration(timeout))
    session.out.answer(value, session.out.dumped(value))


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The options of `durable list`."""

    workflow: Annotated[str | None, typer.Option(help="Only runs of this workflow.")] = None
    state: Annotated[
        list[str] | None,
        typer.Option(
            help="running, suspended, completed, failed, cancelled or terminated; may be repeated."
        ),
    ] = None
    queue: Annotated[str | None, typer.Option(help="Only this task queue.")] = None
    prefix: Annotated[str | None, typer.Option(help="Only ids that begin so.")] = None
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only runs with this attribute; may be repeated."),
    ] = None
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50


@connected
async def list_runs(session: Session, options: ListOptions) -> None:
    """List runs, the newest first."""
    chosen: FilterOptions = {
        "workflow": options.workflow,
        "state": cast("list[RunState]", options.state) or None,
        "task_queue": options.queue,
        "id_prefix": options.prefix,
        "attributes": conditions(options.where or ()),
    }
    runs = await session.client.list(limit=options.limit, **chosen)
    total = await session.client.count(**chosen)
    from durable.cli.run_reports import runs_shown  # noqa: PLC0415 - loads rich

    session.out.answer({"runs": runs, "total": total}, runs_shown(runs, total))


@connected
async def show(session: Session, run: Id) -> None:
    """Show a run: its state, what has happened, what is open, and what to do about it."""
    handle = session.client.handle(run)
    description, history = await handle.describe(), await handle.history()
    from durable.cli.run_reports import run_shown  # noqa: PLC0415 - loads rich

    parts = run_shown(description, history)
    session.out.answer({"run": description, "history": history}, parts)


@connected
async def signal(
    session: Session,
    run: Id,
    name: Annotated[str, typer.Argument(help="The signal's name.")],
    payload: Annotated[
        Any,
        typer.Argument(parser=json_value, metavar="[JSON]", help="Its payload; null if absent."),
    ] = "null",
) -> None:
    """Send a signal to a run; name and payload are checked by what its workers have deployed."""
    await session.client.handle(run).signal(name, payload)
    session.out.answer({"id": run, "signal": name}, f"signalled {name} to {run}")


@connected
async def cancel(session: Session, run: Id, reason: Reason = "") -> None:
    """Ask a run to stop: it may clean up first."""
    await _open(session.client, run)
    await session.client.handle(run).cancel(reason)
    word = shown(shlex.quote(run))
    session.out.answer(
        {"id": run, "asked": "cancel"},
        f"asked {shown(run)} to stop\n"
        f"next: durable show {word}, or durable terminate {word} if it will not",
    )


@connected
async def terminate(session: Session, run: Id, reason: Reason = "") -> None:
    """End a run at once: no more of its code is run."""
    await _open(session.client, run)
    await session.client.handle(run).terminate(reason)
    session.out.answer({"id": run, "state": "terminated"}, f"terminated {run}")


@connected
async def resume(session: Session, run: Id) -> None:
    """Let a suspended run be tried again, and signals that were put aside be delivered again."""
    status = await session.client.handle(run).status()
    if not await session.client.resume(run):
        raise ConfigurationError(
            f"the run {run!r} is {status}, not suspended, and has put no signal aside: nothing to"
            " resume"
        )
    session.out.answer(
        {"id": run, "state": "running"}, f"{run} will be tried again by the next worker"
    )


def conditions(where: Iterable[str]) -> dict[str, Value]:
    """Attributes as the command line has them: "tries=3" is a number, what is no JSON is text.

    Raises `ConfigurationError` for what is no NAME=VALUE.

    Example:
        >>> conditions(["customer=ann", "tries=3", 'zip="0123"'])
        {'customer': 'ann', 'tries': 3, 'zip': '0123'}
    """
    found: dict[str, Value] = {}
    for condition in where:
        name, sign, value = condition.partition("=")
        if not sign or not name:
            raise ConfigurationError(
                f"--where takes NAME=VALUE, such as customer=ann: {condition!r}"
            )
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


async def _open(client: Client, run: str) -> None:
    """Raise `WorkflowEnded` if there is nothing left to stop."""
    description = await client.handle(run).describe()
    if description.finished_at is not None:
        raise WorkflowEnded(f"the run {run!r} has ended already: {description.state}", id=run)


def _called(workflow: Workflow[..., Any], args: object) -> Any:
    """The call with JSON arguments turned into what the signature says."""
    definition = workflow.definition
    if isinstance(args, list):
        names = list(inspect.signature(definition.fn).parameters)
        if len(args) > len(names):
            raise ConfigurationError(
                f"{workflow.name} takes {len(names)} arguments, and {len(args)} were given"
            )
        args = dict(zip(names, args, strict=False))
    if not isinstance(args, dict):
        raise ConfigurationError("--args is a JSON list, or an object with arguments by name")
    parameters = inspect.signature(definition.fn).parameters.values()
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in _VARIADIC]
    if missing := [name for name in required if name not in args]:
        raise ConfigurationError(f"{workflow.name}() needs {', '.join(missing)}: give --args")
    positional, by_name = definition.signature.decode_arguments(json.dumps(args))
    return workflow(*positional, **by_name)
