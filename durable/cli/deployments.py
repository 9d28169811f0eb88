"""The command that changes the descriptor of a live task queue, shows it, and goes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from durable.cli.command import Session, connected
from durable.errors import ConfigurationError
from durable.protocol.retry import RetryPolicy
from durable.telemetry.terminal import shown

if TYPE_CHECKING:
    from durable.client.deployments import Change, Deployment


@connected
async def deploy(  # noqa: PLR0913 - options of the command
    session: Session,
    *,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="An edited descriptor of functions, as YAML."),
    ] = None,
    queue: Annotated[
        str | None, typer.Option(help="The task queue, for --show, --document and --reset.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="List what is changed, by whom.")] = False,
    document: Annotated[
        bool, typer.Option("--document", help="Print the descriptor in force, to be edited.")
    ] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Take changes back.")] = False,
    build: Annotated[
        str | None, typer.Option(help="With --document: of this version, where several are live.")
    ] = None,
    path: Annotated[
        str, typer.Option(help='With --reset: only there and below, such as "shared.charge".')
    ] = "",
    open_runs: Annotated[
        bool, typer.Option("--open-runs", help="Steps that open runs schedule follow it, too.")
    ] = False,
    author: Annotated[str | None, typer.Option(help="Who deploys; the user if absent.")] = None,
) -> None:
    """Change retry policies, timeouts, queues of a live fleet by an edited descriptor."""
    wanted = [asked for asked in (show, document, reset) if asked]
    if len(wanted) + (file is not None) != 1:
        raise ConfigurationError(
            "give the FILE that is to be deployed, or one of --show, --document and --reset with"
            " --queue"
        )
    if path and not reset:
        raise ConfigurationError("--path goes with --reset")
    if build is not None and not document:
        raise ConfigurationError("--build goes with --document")
    client = session.client
    if file is not None:
        if queue is not None:
            raise ConfigurationError("the FILE names its task queue, as app.id: leave --queue out")
        found = await client.deploy(file, open_runs=open_runs, author=author)
    elif reset:
        found = await client.reset_deployment(_named(queue), path, open_runs=open_runs)
    else:
        found = await client.deployment(_named(queue), build)
    if document:
        _print_document(session, found)
    else:
        session.out.answer(_as_data(found), as_text(found))


def _named(queue: str | None) -> str:
    return "default" if queue is None else queue


def _print_document(session: Session, found: Deployment) -> None:
    session.out.answer({"document": found.document}, found.document.rstrip("\n"))


def _as_data(found: Deployment) -> dict[str, object]:
    return {
        "task_queue": found.task_queue, "deployment": found.number, "changes": found.changes,
        "builds": found.builds, "taken_back": found.taken_back,
    }  # fmt: skip


def as_text(found: Deployment) -> str:
    """What is in force, for people.

    Example:
        >>> from durable.client.deployments import Deployment
        >>> print(as_text(Deployment("orders", 0, (), (), "", "")))
        task queue orders, deployment 0: nothing is changed of what its functions generate
        no live worker serves it
    """
    head = f"task queue {shown(found.task_queue)}, deployment {found.number}"
    if not found.changes:
        lines = [f"{head}: nothing is changed of what its functions generate"]
    else:
        lines = [f"{head}:"]
        for change in found.changes:
            made = f"{change.made_at:%Y-%m-%d %H:%M:%S}"
            lines.append(
                f"  {shown(change.path)}: {_difference(change)}"
                f"  (deployment {change.deployment}, {shown(change.author)}, {made} UTC)"
            )
            lines += [f"    attention: {warning}" for warning in _warnings(change)]
    lines += [f"  taken back by this: {shown(path)}" for path in found.taken_back]
    for build in found.builds:
        workers = "1 worker" if build.workers == 1 else f"{build.workers} workers"
        lines.append(f"build {build.version}: {workers}")
        lines += [f"  not registered by it: {shown(path)}" for path in build.inert]
        lines += [
            f"  it says {_value(said)} for {shown(path)}; the change holds"
            for path, said in build.contested.items()
        ]
    if not found.builds:
        lines.append("no live worker serves it")
    return "\n".join(lines)


def _difference(change: Change) -> str:
    if change.suspends:
        return "taken out"
    field = change.path.rpartition(".")[2]
    return f"{_value(change.generated, field)} → {_value(change.value, field)}"


def _warnings(change: Change) -> Iterator[str]:
    """What may surprise whoever deploys a change."""
    if change.suspends:
        yield "runs that call it are suspended, until it is led somewhere again"
    if change.unserved:
        yield (
            "the app has no active version: graphs fail until one is activated"
            if "..graph." in change.path
            else "no live worker serves it: calls wait until one does"
        )
    if change.path.endswith("maximumAttempts") and change.generated == 1 and change.value != 1:
        yield "what was run at most once may be run again"


def _value(value: object, field: str = "") -> str:
    """A value; in the place of none, the default that holds."""
    from durable.descriptor.commands import RETRY  # noqa: PLC0415 - no other command needs it

    if value is not None:
        return shown(json.dumps(value, ensure_ascii=False))
    if field in RETRY and (usual := getattr(RetryPolicy(), RETRY[field])):
        return f"default ({usual})"
    return "unset"
