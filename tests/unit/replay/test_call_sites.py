"""Commands name the user's line, not asyncio's, not ours, not the worker's."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from durable.protocol.commands import StartActivity, StartChild, StartTimer
from durable.replay.call_sites import call_site, text
from tests.unit.replay.driving import SUB, WORK, here, live

INNER = 11  # the sleep within wait_for: the same line as its limit


async def program() -> Any:
    """Steps of all kinds, in all manners."""
    await here().activity(WORK, ("a",), {})  # 1
    await here().child(SUB, ("a",), {})  # 2
    await asyncio.sleep(5)  # 3
    await here().sleep(5)  # 4
    async with asyncio.timeout(5):  # 5
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(5, str)  # 6
    await asyncio.create_task(asyncio.sleep(5))  # 7
    await asyncio.gather(asyncio.sleep(4))  # 8
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(3))  # 9
    await helper()


async def helper() -> None:
    """The innermost user line counts."""
    await asyncio.wait_for(asyncio.sleep(0.5), 1)  # 10, the limit
    await asyncio.sleep(9)  # 12


def test_each_step_has_the_line_of_its_call() -> None:
    """A bare asyncio call in a task of its own has the line that made the task."""
    steps = [
        c for c in live(program).commands
        if isinstance(c, StartActivity | StartChild | StartTimer) and c.number != INNER
    ]  # fmt: skip
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    marked = [
        f"{__file__}:{number}" for number, line in enumerate(lines, 1) if re.search(r"  # \d", line)
    ]
    assert [step.site for step in steps] == marked


def test_outside_of_a_drain_the_caller_is_the_site() -> None:
    """Walking up the stack meets this file first."""
    name, line = call_site()
    assert name == __file__
    assert text((name, line)) == f"{__file__}:{line}"
    assert text(("", 0)) == ""
