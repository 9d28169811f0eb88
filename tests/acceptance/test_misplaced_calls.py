"""Calls of workflow code in activities: refused, with what to do, and not tried again."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker


@durable.workflow
async def whole() -> str:
    """A workflow that an activity awaits by mistake."""
    return "whole"


MISPLACED: dict[str, Callable[[], Any]] = {
    "sleep": lambda: durable.sleep(1),
    "info": durable.info,
    "now": durable.now,
    "uuid4": durable.uuid4,
    "entity": durable.entity,
    "whole": whole,
}


@durable.activity
async def misplaced(what: str) -> None:
    """Calls what belongs into workflow code, with the policy of the house."""
    found = MISPLACED[what]()
    if inspect.isawaitable(found):
        await found


@durable.workflow
async def tells(what: str) -> tuple[int, str]:
    """How many attempts there were, and what was said."""
    try:
        await misplaced(what)
    except durable.ActivityFailed as failed:
        return failed.attempts, str(failed.cause)
    return 0, ""


@pytest.mark.parametrize("what", MISPLACED)
async def test_what_belongs_into_workflow_code_fails_an_activity_at_once(
    client: Client, what: str
) -> None:
    """Trying again after 10 and 100 seconds would not mend the code; the error says what to do."""
    async with Worker(client, workflows=[tells, whole], activities=[misplaced]):
        attempts, said = await client.execute(tells(what), id=what)
    assert attempts == 1
    assert re.search("works only in the code of a running workflow: |outside of a workflow", said)
