"""The command that deletes what ended long ago."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from durable.cli.command import Session, connected, duration
from durable.protocol.retention import Outcome, Pruned


@connected
async def prune(
    session: Session,
    older_than: Annotated[
        str | None,
        typer.Option(help='Ended so long ago, such as "30d"; as the retention says if absent.'),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="[completed|failed]", help="What stays; repeatable.")
    ] = None,
    streams: Annotated[  # noqa: FBT002 - an option of the command
        bool,
        typer.Option(help="Also failed attempts and dead letters of runs that stay, and signals"),
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,  # noqa: FBT002
) -> None:
    """Delete ended runs, histories and messages, in batches. Workers do so too, once a minute."""
    with session.out.progress() as show:
        pruned = await session.client.prune(
            older_than=None if older_than is None else duration(older_than),
            keep=cast("list[Outcome]", keep or []),
            streams=streams,
            dry_run=dry_run,
            tell=lambda so_far: show(f"{_said(so_far)} so far"),
        )
    verb = "would prune" if dry_run else "pruned"
    session.out.answer({"pruned": pruned, "dry_run": dry_run}, f"{verb} {_said(pruned)}")


def _said(pruned: Pruned) -> str:
    return (
        f"{pruned.runs} runs, {pruned.jobs} jobs of graphs, {pruned.messages} messages,"
        f" {pruned.signals} signals"
    )
