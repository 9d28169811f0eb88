"""The command that changes the descriptor of a live task queue, shows it, and goes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from durable.cli.command import Session, connected
from durable.protocol.retry import RetryPolicy
from durable.telemetry.terminal import shown

if TYPE_CHECKING:
    from durable.client.deployments import Change, Deployment


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """The options of `durable deploy`."""

    queue: Annotated[
        str | None, typer.Option(help="The task queue, for --show, --document and --reset.")
    ] = None
    show: Annotated[bool, typer.Option("--show", help="List what is changed, by whom.")] = False
    document: Annotated[
        bool, typer.Option("--document", help="Print the descriptor in force, to be edited.")
    ] = False
    reset: Annotated[bool, typer.Option("--reset", help="Take changes back.")] = False
    build: Annotated[
        str | None, typer.Option(help="With --document: of this version, where several are live.")
    ] = None
    path: Annotated[
        str, typer.Option(help='With --reset: only there and below, such as "shared.charge".')
    ] = ""
    open_runs: Annotated[
        bool, typer.Option("--open-runs", help="Steps that open runs schedule follow it, too.")
    ] = False
    author: Annotated[str | None, typer.Option(help="Who deploys; the user if absent.")] = None

    def check(self, file: Path | None) -> None:
        """Raise a usage error for options that do not go together."""
        if [file is not None, self.show, self.document, self.reset].count(True) != 1:
            raise typer.BadParameter(
                "give the FILE that is to be deployed, or one of --show, --document and --reset"
                " with --queue"
            )
        if self.reset and self.queue is None:
            raise typer.BadParameter("--reset needs --queue: say whose changes are taken back")
        if self.path and not self.reset:
            raise typer.BadParameter("--path goes with --reset")
        if self.build is not None and not self.document:
            raise typer.BadParameter("--build goes with --document")
        if file is not None and self.queue is not None:
            raise typer.BadParameter("the FILE names its task queue, as app.id: leave --queue out")


@connected
async def deploy(
    session: Session,
    options: DeployOptions,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="An edited descriptor of functions, as YAML."),
    ] = None,
) -> None:
    """Change retry policies, timeouts, queues of a live fleet by an edited descriptor."""
    options.check(file)
    client, queue = session.client, options.queue or "default"
    if file is not None:
        found = await client.deploy(file, open_runs=options.open_runs, author=options.author)
    elif options.reset:
        found = await client.reset_deployment(queue, options.path, open_runs=options.open_runs)
    else:
        found = await client.deployment(queue, options.build)
    if options.document:
        session.out.answer({"document": found.document}, found.document.rstrip("\n"))
    else:
        session.out.answer(_as_data(found), as_text(found))


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
