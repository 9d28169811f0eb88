"""What the worker processes of these tests run: every activity leaves a line in a journal.

The journal is a file that is only ever appended to, so that what a killed process did is known.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import durable

JOURNAL = "DURABLE_FAULTS_JOURNAL"
BOOTED = "DURABLE_FAULTS_BOOTED"  # the wall clock's time when the monotonic one was 0

SOON = durable.RetryPolicy(maximum_attempts=6, initial_interval=0.05, backoff_coefficient=1)
ONCE = durable.RetryPolicy(maximum_attempts=1)

approval = durable.Signal("approval", int)
never = durable.Signal("never", int)


def note(word: str, label: str) -> None:
    """Append "word label pid time" to the journal; one write, so that lines do not mix.

    The time is the machine's, also where the process's wall clock has been made to step.
    """
    at = time.monotonic() + float(os.environ.get(BOOTED, "nan"))
    line = f"{word} {label} {os.getpid()} {at:.6f}\n".encode()
    descriptor = os.open(os.environ[JOURNAL], os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def worth(label: str) -> int:
    """What an activity answers for a label: results can be computed by whoever knows the labels."""
    return sum(label.encode())


@durable.activity(retry=SOON)
async def count(label: str, seconds: float = 0.0) -> int:
    """Count one house."""
    note("start", label)
    await asyncio.sleep(seconds)
    note("end", label)
    return worth(label)


@durable.activity(retry=SOON)
def count_on_thread(label: str) -> int:
    """Count one house, on a thread."""
    note("start", label)
    note("end", label)
    return worth(label)


@durable.activity(retry=SOON)
async def flaky(label: str) -> int:
    """Fail twice for each label, whichever process runs it, then succeed."""
    note("start", label)
    marks = Path(os.environ[JOURNAL] + ".d") / label.replace("/", "_")
    failures = marks.stat().st_size if marks.exists() else 0
    if failures < 2:
        with marks.open("ab") as file:
            file.write(b"x")
        raise ConnectionError(label)
    note("end", label)
    return worth(label)


@durable.activity(retry=ONCE)
async def charge(label: str, seconds: float = 0.0) -> int:
    """Take money: never twice."""
    note("start", label)
    await asyncio.sleep(seconds)
    note("end", label)
    return worth(label)


@durable.activity(retry=SOON)
async def block(label: str, seconds: float) -> int:
    """Block the worker's event loop, as no activity should."""
    note("start", label)
    time.sleep(seconds)  # noqa: ASYNC251 - the very thing that is tested
    note("end", label)
    return worth(label)


@durable.activity(retry=ONCE)
async def refuse(label: str) -> int:
    """Fail, once and for all."""
    note("start", label)
    raise PermissionError(label)


@durable.workflow
async def refused(key: str) -> str:
    """A step that fails for good; says what failed it."""
    try:
        return str(await refuse(f"{key}/refuse"))
    except durable.OutcomeUnknown as error:
        return type(error).__name__
    except durable.ActivityFailed as error:
        return type(error.cause).__name__


@durable.workflow
async def district(key: str, houses: int, seconds: float = 0.0) -> int:
    """Some houses in parallel, some one after the other, one on a thread."""
    total = sum(await asyncio.gather(*[count(f"{key}/p{n}", seconds) for n in range(houses)]))
    for n in range(houses):
        total += await count(f"{key}/s{n}", seconds)
    return total + await count_on_thread(f"{key}/t")


def district_worth(key: str, houses: int) -> int:
    """What `district` returns."""
    labels = [f"{key}/{kind}{n}" for kind in "ps" for n in range(houses)]
    return sum(worth(label) for label in [*labels, f"{key}/t"])


@durable.workflow
async def census(key: str, districts: int, houses: int, seconds: float = 0.0) -> list[int]:
    """A child per district, all at once; then a word of its own."""
    counted = await asyncio.gather(
        *[district(f"{key}/{n}", houses, seconds) for n in range(districts)]
    )
    return [*counted, await count(f"{key}/sum", seconds)]


def census_worth(key: str, districts: int, houses: int) -> list[int]:
    """What `census` returns."""
    return [
        *[district_worth(f"{key}/{n}", houses) for n in range(districts)],
        worth(f"{key}/sum"),
    ]


@durable.workflow
async def order(key: str) -> list[int]:
    """A flaky step, a wait that times out, a signal, a timer, a step that runs at most once."""
    reserved = await flaky(f"{key}/reserve")
    try:
        async with asyncio.timeout(0.2):
            await never.receive()
    except TimeoutError:
        early = await count(f"{key}/early")
    approved = await approval.receive()
    await durable.sleep(0.1)
    shipped, printed = await asyncio.gather(count(f"{key}/ship"), flaky(f"{key}/print"))
    return [reserved, early, approved, shipped, printed]


def order_worth(key: str, approved: int) -> list[int]:
    """What `order` returns."""
    reserved, early = worth(f"{key}/reserve"), worth(f"{key}/early")
    return [reserved, early, approved, worth(f"{key}/ship"), worth(f"{key}/print")]


@durable.workflow
async def once(key: str, seconds: float) -> str:
    """A step that runs at most once; says how it went."""
    try:
        return str(await charge(f"{key}/charge", seconds))
    except durable.ActivityFailed as error:
        return f"{type(error).__name__}: {error}"


def once_worths(key: str) -> list[str]:
    """What `once` may return: a worker that dies leaves its outcome unknown."""
    lost = (
        "OutcomeUnknown: the worker that ran this attempt was lost, and the attempt may not be "
        "repeated: whether it took effect is unknown"
    )
    return [str(worth(f"{key}/charge")), lost]


@durable.workflow
async def steps(key: str, number: int, seconds: float = 0.0) -> int:
    """Steps one after the other."""
    total = 0
    for n in range(number):
        total += await count(f"{key}/{n}", seconds)
    return total


def steps_worth(key: str, number: int) -> int:
    """What `steps` returns."""
    return sum(worth(f"{key}/{n}") for n in range(number))


@durable.workflow
async def nap(key: str, seconds: float) -> int:
    """A timer after a step."""
    label = await count(f"{key}/before")
    await durable.sleep(seconds)
    return label


@durable.workflow
async def blocked(key: str, seconds: float) -> list[int]:
    """A step that blocks the event loop, beside one that does not."""
    return [*await asyncio.gather(block(f"{key}/block", seconds), count(f"{key}/beside", 0.2))]


@durable.workflow
async def ledger(key: str, number: int) -> dict[str, Any]:
    """Keep account of steps and of an approval, in attributes and in the entity."""
    found, state = durable.attributes(), durable.entity()
    found.set(steps=0, open=True)
    for n in range(number):
        worth = await count(f"{key}/{n}", 0.01)
        found.incr("steps")
        found.incr("sum", worth)
        found.mult("half", 0.5)
        state.append("log", n)
        state.increment("sum", worth)
        state.merge({"last": {"label": f"{key}/{n}"}})
    found.set(approved=await approval.receive(), open=None)
    state.toggle("closed")
    return {
        "attributes": {name: found.get(name) for name in found if name != "begun"},
        "entity": state.get(),
    }


def ledger_worth(key: str, number: int, approved: int) -> dict[str, Any]:
    """What the ledger says in the end."""
    total = sum(worth(f"{key}/{n}") for n in range(number))
    return {
        "attributes": {
            "steps": number, "sum": total, "half": 0.5**number, "approved": approved,
        },
        "entity": {
            "log": ["begun", *range(number)], "sum": total,
            "last": {"label": f"{key}/{number - 1}"}, "closed": True,
        },
    }  # fmt: skip


WORKFLOWS = [census, district, order, once, refused, steps, blocked, ledger, nap]
ACTIVITIES = [count, count_on_thread, flaky, charge, refuse, block]
