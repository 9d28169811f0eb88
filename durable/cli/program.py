"""The commands, put together."""

from __future__ import annotations

import sys
import traceback
from importlib import metadata
from typing import Annotated

import typer

from durable.cli.deployments import deploy
from durable.cli.development import dev
from durable.cli.documents import graph, migrate, yaml
from durable.cli.output import Output
from durable.cli.retention import prune
from durable.cli.runs import cancel, list_runs, result, resume, show, signal, start, terminate
from durable.cli.workers import worker

program = typer.Typer(
    name="durable",
    help="Durable functions on Postgres: develop, serve, start and look at workflows.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for _command in (dev, worker, start, result):
    program.command()(_command)
program.command("list")(list_runs)
for _command in (show, signal, cancel, terminate, resume, yaml, graph, deploy, migrate, prune):
    program.command()(_command)


def _version(asked: bool) -> None:  # noqa: FBT001 - typer's way
    if asked:
        Output().answer("", metadata.version("durable-postgres"))
        raise typer.Exit


@program.callback()
def _common(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command line of this process."""
    try:
        program()
    except Exception:  # noqa: BLE001 - whatever it is: its traceback goes to a terminal
        Output().crash(traceback.format_exc().rstrip("\n"))
        sys.exit(1)
