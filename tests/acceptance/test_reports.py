"""What the log says of failures: an attempt, a run, a step that nobody took, a callback."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import durable
from durable.client.client import Client
from durable.worker.worker import Worker
from tests.waiting import eventually

POLICY = durable.RetryPolicy(maximum_attempts=2, initial_interval=0.05, backoff_coefficient=1)


@durable.activity(retry=POLICY)
async def breaks() -> None:
    """Always raises."""
    raise OSError("no route to host")


@durable.activity(retry=POLICY)
async def finds_none() -> None:
    """Raises what Python makes another error of, outside of this file."""
    next(iter(()))


@durable.activity(retry=POLICY)
def breaks_on_a_thread() -> None:
    """Always raises."""
    raise OSError("no route to host")


@durable.activity(retry=durable.RetryPolicy(maximum_attempts=1), start_to_close_timeout=0.05)
async def dawdles() -> None:
    """Takes longer than it may."""
    await eventually(_never)


async def _never() -> bool:
    return False


@durable.activity(task_queue="nobody", schedule_to_start_timeout=0.05)
async def unserved() -> None:
    """No worker takes it."""


@durable.workflow
async def runs_into(which: str) -> str:
    """Calls one of them, and lets what it raises through."""
    await {
        "breaks": breaks, "thread": breaks_on_a_thread, "none": finds_none, "dawdles": dawdles,
        "unserved": unserved,
    }[which]()  # fmt: skip
    return "done"


def _of(caplog: pytest.LogCaptureFixture, name: str) -> list[Any]:
    return [record for record in caplog.records if record.name == name]


@pytest.mark.parametrize(
    ("which", "activity", "attempts", "words"),
    [
        ("breaks", "breaks", [1, 2], "OSError: no route to host"),
        ("thread", "breaks_on_a_thread", [1, 2], "OSError: no route to host"),
        (
            "none",
            "finds_none",
            [1, 2],
            f'StopIteration (File "{__file__}", line 27, in finds_none)',
        ),
        ("dawdles", "dawdles", [1], "start_to_close timeout of 0.05 s"),
        ("unserved", "unserved", [0], "schedule_to_start timeout of 0.05 s"),
    ],
)
async def test_failed_attempts_warn_and_failed_runs_are_errors(
    client: Client,
    caplog: pytest.LogCaptureFixture,
    which: str,
    activity: str,
    attempts: list[int],
    words: str,
) -> None:
    """Each failed attempt warns once, with the next try's time; the failed run is an error."""
    activities = [breaks, breaks_on_a_thread, finds_none, dawdles]
    async with Worker(client, workflows=[runs_into], activities=activities):
        handle = await client.start(runs_into(which), id="order-7")
        with pytest.raises(durable.WorkflowFailed):
            await handle.result(timeout=60)
    warned = _of(caplog, "durable.activity")
    assert [record.attempt for record in warned] == attempts
    for record in warned:
        assert record.levelno == logging.WARNING
        assert words in record.getMessage()
        assert (record.workflow_id, record.run_id) == ("order-7", await handle.run_id())
        assert (record.workflow, record.activity, record.step) == ("runs_into", activity, 1)
    if len(attempts) > 1:
        assert "next try at 2" in warned[0].getMessage()
        assert __file__ in warned[0].getMessage()
        assert "there is no other attempt" in warned[-1].getMessage()
    (failed,) = _of(caplog, "durable.workflow")
    assert failed.levelno == logging.ERROR
    assert (failed.workflow_id, failed.run_id) == ("order-7", await handle.run_id())
    assert "'order-7' failed: " in failed.getMessage()


async def test_an_attempt_that_has_a_row_warns_too(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Attempts that another worker runs than holds the run, and later ones, warn like the first."""
    here = Worker(client, workflows=[calls_far])
    there = Worker(client, activities=[breaks], task_queue="far")
    async with here, there:
        with pytest.raises(durable.WorkflowFailed):
            await client.execute(calls_far(), id="far-1")
    assert [record.attempt for record in _of(caplog, "durable.activity")] == [1, 2]


@durable.workflow
async def calls_far() -> None:
    """An activity of another task queue."""
    await breaks.options(task_queue="far")()


async def test_a_callback_of_a_graph_that_fails_warns(
    dsn: str, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each failed attempt of a callback warns once, with when the next one is, or that none is."""

    async def callback(_message: dict[str, Any]) -> dict[str, Any]:
        raise OSError("no route to host")

    worker = {"topic": "op", "callback": callback, "retry": POLICY}
    mesh = await durable.HotMesh.init(
        app_id="calc", namespace=namespace, engine={"connection": dsn}, workers=[worker]
    )
    async with mesh:
        await mesh.deploy(GRAPH)
        await mesh.activate("1")
        with pytest.raises(durable.JobFailed):
            await mesh.pubsub("calculate", {}, timeout=60)
    warned = [record for record in caplog.records if "no route to host" in record.getMessage()]
    assert {record.levelno for record in warned} == {logging.WARNING}
    assert [getattr(record, "attempt", None) for record in warned] == [1, 2]
    assert "no route to host; next try in 0.05 s" in warned[0].getMessage()
    assert "there is no other" in warned[1].getMessage()


GRAPH = """
app:
  id: calc
  version: '1'
  graphs:
    - subscribes: calculate
      activities:
        t: {type: trigger}
        w: {type: worker, topic: op}
      transitions:
        t: [{to: w}]
"""
