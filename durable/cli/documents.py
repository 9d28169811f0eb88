"""Commands about descriptors and the schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from durable.cli.command import Session, creating, guarded
from durable.cli.output import Output
from durable.cli.workers import Queue

if TYPE_CHECKING:
    from durable.descriptor.model import App

Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A module, a path.py, or a descriptor's path.yaml.")
]


@guarded
def yaml(out: Output, source: Source, queue: Queue = None) -> None:
    """Print the descriptor that stands behind decorated functions, checked."""
    from durable.descriptor.document import dump, plain  # noqa: PLC0415 - loads YAML

    apps = _apps(source, queue)
    out.answer([{"app": plain(app)} for app in apps], "---\n".join(map(dump, apps)).rstrip("\n"))


@guarded
def graph(out: Output, source: Source, queue: Queue = None) -> None:
    """Draw the descriptor as a Mermaid flowchart."""
    from durable.authoring.compiler.mermaid import mermaid  # noqa: PLC0415 - loads the descriptor

    drawings = [mermaid(app) for app in _apps(source, queue)]
    out.answer([{"mermaid": drawing} for drawing in drawings], "\n".join(drawings).rstrip("\n"))


@creating
async def migrate(session: Session) -> None:
    """Create the schema, or bring it up to date; a worker does so too, where it may."""
    namespace = session.client.namespace
    text = f"the schema {namespace!r} is up to date"
    session.out.answer({"namespace": namespace, "up_to_date": True}, text)


def _apps(source: str, queue: str | None) -> list[App]:
    from durable.authoring.compiler.generate import generate  # noqa: PLC0415
    from durable.cli.user_modules import collect  # noqa: PLC0415 - loads what workflows are made with
    from durable.descriptor.document import load  # noqa: PLC0415

    if source.endswith((".yaml", ".yml")):
        return [load(Path(source))]
    return [
        load(
            generate(
                served.queue,
                [flow.definition for flow in served.workflows.values()],
                [step.definition for step in served.activities.values()],
            ).data
        )
        for served in collect(source, queue)
    ]
