"""What is in an exception group is seen: by retries, `result()`, `durable show` and the log."""

from __future__ import annotations

import asyncio
import io
import traceback

import pytest

import durable
from durable.cli.run_reports import run_shown
from durable.cli.tables import laid_out
from durable.client.client import Client
from durable.worker.worker import Worker

tried: list[str] = []


class StolenError(Exception):
    """The user's own."""


async def part(number: int) -> None:
    """Fails within an activity's task group."""
    raise StolenError(f"card {number} stolen")


@durable.activity(
    retry=durable.RetryPolicy(maximum_attempts=4, initial_interval=0, non_retryable=(StolenError,))
)
async def grouped() -> None:
    """Fails as a group of what is not retried."""
    tried.append("grouped")
    async with asyncio.TaskGroup() as group:
        group.create_task(part(1))
        group.create_task(part(2))


@durable.activity(retry=durable.RetryPolicy(maximum_attempts=4, initial_interval=0))
async def caused() -> None:
    """Raised from what says that it is not to be tried again."""
    tried.append("caused")
    raise ValueError("payment failed") from durable.ApplicationError("stolen", non_retryable=True)


@durable.workflow
async def child() -> None:
    """Waits for both."""
    ended = await asyncio.gather(grouped(), caused(), return_exceptions=True)
    raise ExceptionGroup("both", [error for error in ended if isinstance(error, Exception)])


@durable.workflow
async def parent() -> None:
    """Has a group within a group."""
    async with asyncio.TaskGroup() as group:
        group.create_task(child())


async def test_groups_are_looked_into(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """One attempt each; and every text that people read names what failed, and where."""
    tried.clear()
    async with Worker(client, workflows=[parent, child], activities=[grouped, caused]):
        handle = await client.start(parent(), id="p")
        with pytest.raises(durable.WorkflowFailed) as caught:
            await handle.result(timeout=60)
        assert sorted(tried) == ["caused", "grouped"]
        with pytest.raises(durable.WorkflowFailed) as alone:
            await client.execute(child(), id="c")
    shown = laid_out(run_shown(await handle.describe(), await handle.history()), io.StringIO())
    printed = "".join(traceback.format_exception(caught.value))
    logged = "\n".join(record.getMessage() for record in caplog.records)
    for text in (shown, printed, logged, str(alone.value)):
        assert "StolenError: card 1 stolen" in text
        assert "StolenError: card 2 stolen" in text
        assert "ValueError: payment failed" in text
    for text in (shown, printed, logged):
        assert "raise StolenError(" in text
        assert "in part" in text
    cause = caught.value.cause
    assert isinstance(cause, ExceptionGroup)
    assert isinstance(cause.exceptions[0], durable.ChildFailed)
