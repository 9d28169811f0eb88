"""Whatever goes wrong with a batch, everybody who waits gets an answer, and the right one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from durable.engine.steps import workflow_commits
from durable.postgres.errors import StatementFault
from durable.protocol.commits import Commit, Committed
from durable.runtime import batching
from tests.integration.test_committer import Scene, scene, step  # noqa: F401 - a fixture
from tests.waiting import eventually

MANY = 6


async def refuse(scene: Scene, run_id: int, code: str) -> None:  # noqa: F811
    """Have the server refuse facts of one run with an SQLSTATE."""
    await scene.direct.execute(
        "create or replace function refuse() returns trigger language plpgsql as $$ begin"
        f" if new.run_id = {run_id} then raise exception 'injected' using errcode = '{code}';"
        " end if; return new; end $$;"
        "create trigger refuse before insert on history for each row execute function refuse()"
    )


async def outcomes(futures: list[asyncio.Future[Committed]]) -> list[Any]:
    async with asyncio.timeout(90):
        return await asyncio.gather(*futures, return_exceptions=True)


@contextmanager
def parsing_fails(times: int) -> Iterator[None]:
    """The answers of the next batches arrive and cannot be read."""
    left = [times]
    real = workflow_commits.read_batch

    def read(commits: Any, rows: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise KeyError("a column that is not there")
        return real(commits, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow_commits, "read_batch", read)
        yield


@pytest.mark.parametrize("code", ["22P02", "23514", "54000"])
async def test_the_run_whose_commit_is_at_fault_is_refused_alone(
    scene: Scene,  # noqa: F811
    code: str,
) -> None:
    """Of a batch that Postgres refuses for one run, that one gets the error, all others pass."""
    runs = await scene.runs(MANY)
    await refuse(scene, runs[2], code)
    found = await outcomes(list(map(scene.committer().commit, map(step, runs))))
    assert isinstance(found[2], StatementFault)
    assert [c.passed for n, c in enumerate(found) if n != 2] == [True] * (MANY - 1)


async def test_an_error_after_the_commit_is_looked_up(scene: Scene) -> None:  # noqa: F811
    """What cannot be read of an answer has happened all the same: nothing is sent twice."""
    runs = await scene.runs(MANY)
    with parsing_fails(1):
        found = await outcomes(list(map(scene.committer().commit, map(step, runs))))
    assert [c.passed for c in found] == [True] * MANY
    for run_id in runs:
        assert len((await scene.rows(run_id))["history"]) == 1


async def test_a_commit_that_our_own_code_cannot_send_answers_everybody(
    scene: Scene,  # noqa: F811
) -> None:
    """A bug in one commit of a batch is that one's error; the lane goes on afterwards."""
    runs = await scene.runs(MANY + 1)
    committer = scene.committer()
    unsized: Commit = replace(step(runs[0]), facts=(None, None))  # type: ignore[arg-type]
    assert isinstance((await outcomes([committer.commit(unsized)]))[0], AttributeError)
    broken = replace(step(runs[1]), finish=unsized)  # type: ignore[arg-type]
    commits = [step(runs[0]), broken, *map(step, runs[2:MANY])]
    found = await outcomes([committer.commit(c) for c in commits])
    assert isinstance(found[1], AttributeError)
    assert [c.passed for n, c in enumerate(found) if n != 1] == [True] * (MANY - 1)
    assert (await outcomes([committer.commit(step(runs[-1]))]))[0].passed


@pytest.mark.parametrize("code", ["53100", "42501", "XX000", "26000"])
async def test_what_fails_alone_waits_off_its_lane(
    scene: Scene,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    code: str,
) -> None:
    """A passing error of one run: the others pass, its lane is free, and it passes in the end."""
    monkeypatch.setattr(batching, "OFF_LANE", (0.2, 0.2))
    runs = await scene.runs(MANY + 1)
    await refuse(scene, runs[2], code)
    committer = scene.committer()
    futures = [committer.commit(c) for c in map(step, runs[:MANY])]
    others = await outcomes([f for n, f in enumerate(futures) if n != 2])
    assert [c.passed for c in others] == [True] * (MANY - 1)
    assert (await outcomes([committer.commit(step(runs[-1]))]))[0].passed
    assert not futures[2].done()
    await scene.direct.execute("drop trigger refuse on history")
    assert (await outcomes([futures[2]]))[0].passed


async def test_a_lane_that_is_cancelled_leaves_nobody_waiting(scene: Scene) -> None:  # noqa: F811
    """Commits in flight and those behind them are cancelled with the lane's task."""
    runs = await scene.runs(MANY)
    await scene.direct.execute("begin; lock table history in exclusive mode")
    committer = scene.committer()
    futures = [committer.commit(c) for c in map(step, runs)]
    closing = asyncio.create_task(committer.close(0.1))
    async with asyncio.timeout(60):
        await asyncio.wait(futures)
    assert all(f.cancelled() for f in futures)
    await scene.direct.execute("rollback")
    await closing
    assert not await scene.direct.fetch("select from history where run_id = $1", runs[0])


async def test_a_batch_that_takes_too_long_is_sent_in_halves(scene: Scene) -> None:  # noqa: F811
    """Each half has twice the time: a slow server gets done what it could not do at once."""
    runs = await scene.runs(MANY)
    await scene.direct.execute(
        "create function slow() returns trigger language plpgsql as $$ begin"
        " perform pg_sleep(0.2); return new; end $$;"
        "create trigger slow before insert on history for each row execute function slow()"
    )
    committer = scene.committer()
    lane = committer._lanes[0].connection
    lane._usual = lane._given = 1.2  # 0.8 seconds for the server, which needs 1.2
    found = await outcomes(list(map(committer.commit, map(step, runs))))
    assert [c.passed for c in found] == [True] * MANY
    assert lane._given == 2.4  # one timeout, and no more


async def test_the_look_up_waits_for_what_is_at_work(scene: Scene) -> None:  # noqa: F811
    """A commit that its server has not finished is no commit that did not happen."""
    (run_id,) = await scene.runs(1)
    committer = scene.committer()
    statements, lane = committer._statements, committer._lanes[0].connection
    await scene.direct.execute(f"begin; update jobs set token = 77 where run_id = {run_id}")
    asked = asyncio.create_task(statements.outcomes(lane, committer.member, [run_id]))
    waiting = "select count(*) from pg_locks where not granted and locktype = 'transactionid'"
    await eventually(lambda: scene.direct.fetchval(waiting))
    assert not asked.done()
    await scene.direct.execute("commit")
    assert (await asked)[run_id].token == 77
