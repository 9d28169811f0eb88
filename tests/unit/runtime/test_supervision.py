"""A background task that dies is begun again, or its host is told."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

import pytest

import durable
from durable.postgres.errors import AccessRefused, ConnectionLost
from durable.runtime import supervision
from durable.runtime.supervision import FAILURES_MAX, Tasks, backoff


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "backoff", lambda _failures, **_: 0.0)


def told() -> tuple[Tasks, list[tuple[str, BaseException]]]:
    broken: list[tuple[str, BaseException]] = []
    return Tasks("a host", lambda name, error: broken.append((name, error))), broken


async def test_what_passes_by_itself_is_waited_out_however_often_it_fails() -> None:
    """A refused login and a lost connection end no loop."""
    tasks, broken = told()
    errors = iter([AccessRefused("no login"), ConnectionLost("gone")] * FAILURES_MAX)

    async def loop() -> None:
        for error in errors:
            raise error

    await tasks.keep("poll", loop)
    assert broken == []


@pytest.mark.parametrize("how", ["keep", "once"])
async def test_a_bug_is_tried_again_and_then_ends_the_host(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each failure is logged, the last as critical, and the host is told which task, and why."""
    tasks, broken = told()

    async def loop() -> None:
        raise KeyError("bug")

    await getattr(tasks, how)("poll", loop)
    assert [(name, type(error)) for name, error in broken] == [("poll", KeyError)]
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.ERROR] * (FAILURES_MAX - 1) + [logging.CRITICAL]


async def test_what_concerns_one_run_has_somebody_of_its_own_to_tell() -> None:
    """`otherwise` hears of the last failure instead of the host."""
    tasks, broken = told()
    heard: list[str] = []

    async def action() -> None:
        raise KeyError("bug")

    await tasks.once("give back", action, otherwise=lambda name, _error: heard.append(name))
    assert (heard, broken) == (["give back"], [])


async def test_cancelled_tasks_end_and_nobody_is_told() -> None:
    """A stop is no failure."""
    tasks, broken = told()
    task = tasks.keep("poll", asyncio.Event().wait)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    tasks.cancel()
    assert await tasks.wait(1.0)
    assert task.cancelled()
    assert (len(tasks), broken) == (0, [])


WATCHED = {
    "cli/development.py": "the watch for changes: awaited where it was begun",
    "cli/event_loops.py": "what is waited for: awaited where it was begun",
    "engine/interpreter.py": "one step: awaited where it was begun",
    "hotmesh/host.py": "the end of a mesh that broke",
    "hotmesh/quorum_member.py": "messages about duress: what they raise is logged",
    "hotmesh/subscribers.py": "subscribers: awaited, and what they raise is logged",
    "hotmesh/worker_loop.py": "callbacks: whatever they raise is recorded",
    "postgres/listener.py": "below this room: begins anew by itself, and logs",
    "hotmesh/quorum/bus.py": "messages of others: logged; a call is repeated",
    "runtime/notifier.py": "one moment's notifications: logs what it could not send",
    "runtime/supervision.py": "this is the policy",
    "runtime/batching.py": "a lane: whatever ends it answers who waits, and the next begins",
    "store/membership.py": "a member's last work: tried until it is done",
    "hotmesh/virtual/calls.py": "a call: awaited by who called",
    "worker/attempts.py": "attempts: whatever they raise is their outcome",
    "worker/workflow_worker.py": "commits: answered whatever happens",
    "worker/started_worker.py": "the stop: awaited by all who call it",
}
PACKAGE = Path(durable.__file__).parent


def test_no_task_is_begun_that_nobody_watches() -> None:
    """Whoever makes a task by hand is known here, with who hears of its end."""
    made = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in ("replay", "decorators")
        and re.search(r"(create_task|ensure_future)\(", path.read_text())
    }
    assert made == set(WATCHED)


def test_pauses_double_with_jitter_up_to_half_a_minute() -> None:
    """Many hosts that failed at one moment do not come back at one moment."""
    assert len({backoff(5) for _ in range(20)}) > 10
    assert all(15.0 <= backoff(99) <= 30.0 for _ in range(20))
