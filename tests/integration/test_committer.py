"""The committer: fenced, all or nothing for each run, right about outcomes nobody heard of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from durable.engine.steps.committer import Committer
from durable.engine.steps.workflow_commits import CommitStatements, is_end, is_plain
from durable.errors import DatabaseError
from durable.postgres.address import Address
from durable.postgres.database import Database, Lane
from durable.postgres.listener import Listener
from durable.protocol.commands import Finish
from durable.protocol.commits import ChildStart, Commit, Committed, Intent
from durable.protocol.facts import Fact, FactKind
from durable.protocol.failures import Failure
from durable.protocol.ids import new_request
from durable.protocol.options import ActivityOptions
from durable.protocol.retry import RetryPolicy
from durable.runtime.notifier import Notifier
from durable.store.activities import metadata_of
from durable.store.announcer import Announcer
from durable.store.jobs import JobStore, Start
from durable.store.runs import RunStream
from tests.integration.proxy import Proxy
from tests.waiting import eventually

ME, OTHER = 1_000_001, 1_000_002
NOW = 1_700_000_000.25
commit_of = partial(Commit, hold=1)  # of a run that was claimed once
OPTIONS = ActivityOptions(
    retry=RetryPolicy(
        maximum_attempts=4, backoff_coefficient=2.5, maximum_interval=90, initial_interval=1
    ),
    start_to_close=7.5, priority=3,
)  # fmt: skip


class Scene:
    """A namespace with runs, and committers that write to it."""

    def __init__(self, database: Database, direct: asyncpg.Connection) -> None:
        self.database = database
        self.direct = direct
        self.jobs = JobStore(database)
        self.streams = RunStream(database)
        self._committers: list[Committer] = []

    def committer(self, dsn: str | None = None, lanes: int = 1) -> Committer:
        """A committer of the member `ME`."""
        announcer = Announcer(
            self.database.schema, Listener(self.database.address), Notifier(_nothing)
        )
        made = Committer(
            Address(dsn) if dsn else self.database.address,
            self.database.schema,
            ME,
            announcer,
            lanes,
        )
        self._committers.append(made)
        return made

    async def runs(self, count: int, member: int = ME) -> list[int]:
        """So many runs, held by `member`."""
        starts = [
            Start(new_request(), f"{member}-{n}", "q", "flow", "{}", 0, "allow", None)
            for n in range(count)
        ]
        started = await self.jobs.start(starts)
        claimed = await self.streams.claim(member, "q", ["flow"], count)
        assert len(claimed) == count
        return [s.run_id for s in started if s.run_id is not None]

    async def rows(self, run_id: int) -> dict[str, list[dict[str, Any]]]:
        """Every row of a run, without what differs from run to run and moment to moment."""
        found = {}
        for table, order in [
            ("jobs", "run_id"), ("history", "revision"), ("worker_streams", "id"),
            ("engine_streams", "id"),
        ]:  # fmt: skip
            rows = await self.direct.fetch(
                f"select * from {table} where run_id = $1 order by {order}", run_id
            )
            found[table] = [{k: v for k, v in row.items() if k not in _MOMENTARY} for row in rows]
        return found

    async def close(self) -> None:
        """Close the committers."""
        for committer in self._committers:
            await committer.close()


_MOMENTARY = {
    "run_id", "id", "jid", "token", "request_id", "created_at", "visible_at", "reserved_at",
    "expired_at", "dead_lettered_at", "finished_at", "seed",
}  # fmt: skip


async def _nothing(*_: object) -> None: ...


@pytest_asyncio.fixture
async def scene(database: Database) -> AsyncIterator[Scene]:
    """A migrated namespace."""
    direct = await asyncpg.connect(database.dsn, server_settings={"search_path": database.schema})
    made = Scene(database, direct)
    yield made
    await made.close()
    await direct.close()


def step(run_id: int, revision: int = 0, number: int = 1, data: str | None = '{"a":1}') -> Commit:
    """A plain step: one fact."""
    fact = Fact(FactKind.ACTIVITY, NOW, number, "charge", data, None, '{"order":"o"}')
    return commit_of(run_id, revision, (fact,), issued=0, status=2)


def everything(run_id: int, revision: int = 0, **more: Any) -> Commit:
    """A commit with facts, intents, children and what is pending."""
    failure = Failure("Oops", "failed before", details={"n": 1})
    return commit_of(
        run_id, revision,
        facts=(
            Fact(FactKind.STARTED, NOW, 0, "flow", '{"python":"3.11"}', None, "{}"),
            Fact(FactKind.ACTIVITY, NOW, 1, "charge", None, failure, "{}"),
        ),
        issued=4, pending='[{"number":2}]', status=4, version="v1",
        intents=(
            Intent(2, "charge", "q", "[2]", OPTIONS, held=True),
            Intent(3, "print", "elsewhere", "[3]", ActivityOptions(), delay=60),
            Intent(1, "charge", "q", "[1]", OPTIONS, failure=failure, dead=True),
        ),
        children=(ChildStart(4, "sub", f"child-of-{run_id}", "q", "{}", 5),),
        **more,
    )  # fmt: skip


def _life(run_id: int) -> list[Commit]:
    """A run of two steps, one of which failed, and its end."""
    facts = [
        step(0).facts[0],
        Fact(FactKind.ACTIVITY, NOW, 2, "charge", None, Failure("E", "m"), None),
    ]
    commits = [commit_of(run_id, n, (fact,), issued=3, status=2) for n, fact in enumerate(facts)]
    last = Fact(FactKind.FINISHED, NOW, name="completed", data='{"a":1}')
    end = commit_of(run_id, 2, (last,), issued=3, status=1, finish=Finish("completed", last.data))
    return [*commits, end]


async def test_alone_or_in_a_batch_a_commit_writes_the_same(scene: Scene) -> None:
    """A plain step or end that goes alone goes by a statement of its own: the rows are the same."""
    alone, first, second = await scene.runs(3)
    statements = CommitStatements(scene.database.schema, metadata_of)
    lane = Lane(scene.database.address)
    for commit, *pair in zip(*map(_life, (alone, first, second)), strict=True):
        assert is_plain(commit) or is_end(commit)
        one = await statements.send(lane, ME, 7, [commit])
        two = await statements.send(lane, ME, 7, pair)
        assert [c.passed for c in (*one.committed.values(), *two.committed.values())] == [True] * 3
    await lane.close()
    assert await scene.rows(alone) == await scene.rows(first)
    assert len((await scene.rows(alone))["history"]) == 3


async def test_a_batch_writes_all_that_a_commit_says(scene: Scene) -> None:
    """Facts, rows of attempts with policy and options, a child, the job's numbers."""
    (run_id,) = await scene.runs(1)
    committed = await scene.committer().commit(everything(run_id))
    assert committed.passed
    rows = await scene.rows(run_id)
    (job,) = rows["jobs"]
    assert (job["revision"], job["issued"], job["status"], job["graph_version"]) == (2, 4, 4, "v1")
    assert [(f["revision"], f["kind"], f["number"]) for f in rows["history"]] == [
        (1, "started", 0),
        (2, "activity", 1),
    ]
    activities = {a["dad"]: a for a in rows["worker_streams"] if a["msg_type"] == "activity"}
    assert (activities["2"]["reserved_by"], activities["3"]["reserved_by"]) == (ME, None)
    assert activities["3"]["stream_name"] == "elsewhere"
    policy = [
        activities["2"][k]
        for k in ("max_retry_attempts", "backoff_coefficient", "maximum_interval_seconds")
    ]
    assert [float(p) for p in policy] == [4, 2.5, 90]
    assert json.loads(activities["2"]["metadata"]) == {"start_to_close": 7.5}
    assert json.loads(activities["1"]["error"])["type"] == "Oops"
    assert set(committed.messages) == {2, 3}
    child = await scene.direct.fetchrow("select * from jobs where parent_run_id = $1", run_id)
    assert (child["jid"], child["parent_number"], child["priority"]) == (f"child-of-{run_id}", 4, 5)


async def _prepared(scene: Scene, spoil: str, run_id: int) -> Commit:
    """A commit for `run_id` that carries the result of an attempt, with one fence against it."""
    commit = everything(run_id)
    first = await scene.committer().commit(commit)
    message = first.messages[2]
    result = commit_of(
        run_id, 2 if spoil != "revision" else 1, (Fact(FactKind.ACTIVITY, NOW, 2, "charge", "1"),),
        issued=5, settled=(message,),
        intents=(Intent(5, "charge", "q", "[5]", OPTIONS, held=True),), pending="[]", status=3,
    )  # fmt: skip
    spoilers = {
        "holder": f"update worker_streams set reserved_by = {OTHER} where id = {run_id}",
        "ended": f"delete from worker_streams where id = {run_id}",
        "message": f"update worker_streams set reserved_by = {OTHER} where id = {message}",
        "expired": f"update worker_streams set expired_at = now() where id = {message}",
        "settled": f"delete from worker_streams where id = {message}",
    }
    if spoil in spoilers:
        await scene.direct.execute(spoilers[spoil])
    return result


@pytest.mark.parametrize("fence", ["revision", "holder", "ended", "message", "expired", "settled"])
async def test_a_refused_run_writes_nothing_and_the_others_of_its_batch_pass(
    scene: Scene, fence: str
) -> None:
    """Each fence holds back everything of one run, and nothing of another."""
    runs = await scene.runs(3)
    commits = [
        await _prepared(scene, fence if n == 1 else "", run_id) for n, run_id in enumerate(runs)
    ]
    before = await scene.rows(runs[1])
    committer = scene.committer()
    answers = await asyncio.gather(*[committer.commit(c) for c in commits])
    assert [a.passed for a in answers] == [True, False, True]
    assert await scene.rows(runs[1]) == before
    for run_id in (runs[0], runs[2]):
        assert len((await scene.rows(run_id))["history"]) == 3


async def test_a_plain_step_is_fenced_too(scene: Scene) -> None:
    """The scalar statement knows revision and holder."""
    mine, stale = await scene.runs(2)
    (others,) = await scene.runs(1, OTHER)
    committer = scene.committer()
    assert (await committer.commit(step(mine))).passed
    assert not (await committer.commit(step(stale, revision=5))).passed
    assert not (await committer.commit(step(others))).passed
    assert (await scene.rows(others))["history"] == []


@pytest.mark.parametrize("kind", ["step", "end", "batch"])
async def test_a_commit_of_an_earlier_claim_is_refused(scene: Scene, kind: str) -> None:
    """Given back and claimed again by the same member: what the first claim sends is void."""
    (run_id,) = await scene.runs(1)
    await scene.streams.give_back(ME, {run_id: 0.0})
    (again,) = await scene.streams.claim(ME, "q", ["flow"], 1)
    assert again.hold == 2
    made = {
        "step": step(run_id),
        "end": commit_of(run_id, 0, step(run_id).facts, status=1, finish=Finish("completed", "1")),
        "batch": everything(run_id),
    }[kind]
    committer = scene.committer()
    before = await scene.rows(run_id)
    assert not (await committer.commit(replace(made, hold=1))).passed
    assert await scene.rows(run_id) == before
    assert (await committer.commit(replace(made, hold=2))).passed


async def test_a_run_with_a_commit_under_way_is_not_claimed(scene: Scene) -> None:
    """Whoever folds a run has all that was written for it; the claim looks again later."""
    (run_id,) = await scene.runs(1)
    await scene.streams.give_back(ME, {run_id: 0.0})
    async with scene.direct.transaction():
        await scene.direct.execute("select from jobs where run_id = $1 for update", run_id)
        assert await scene.streams.claim(OTHER, "q", ["flow"], 1) == []
    assert len(await scene.streams.claim(OTHER, "q", ["flow"], 1)) == 1


@pytest.mark.parametrize("what", ["step", "end"])
async def test_state_is_written_with_its_commit_or_not_at_all(scene: Scene, what: str) -> None:
    """What changes attributes or the entity goes as a batch; refused, it leaves what was there."""
    (run_id,) = await scene.runs(1)
    facts = step(run_id).facts
    finish = Finish("completed", "1") if what == "end" else None
    made = commit_of(
        run_id, 0, facts, status=1, finish=finish, attributes='{"a":1}', entity='{"b":[]}'
    )
    assert not is_plain(made)
    assert not is_end(made)
    committer = scene.committer()
    refused = await committer.commit(replace(made, expected=3))
    assert not refused.passed
    (job,) = (await scene.rows(run_id))["jobs"]
    assert (job["attributes"], job["document"]) == (None, None)
    assert (await committer.commit(replace(made, finish=None))).passed
    (job,) = (await scene.rows(run_id))["jobs"]
    assert (job["attributes"], job["document"]) == ('{"a": 1}', '{"b": []}')
    only = replace(made, expected=1, attributes=None, entity='{"b": [1]}')
    assert (await committer.commit(only)).passed
    (job,) = (await scene.rows(run_id))["jobs"]
    assert (job["attributes"], job["document"]) == ('{"a": 1}', '{"b": [1]}')


async def test_locked_runs_come_back_in_a_later_batch(scene: Scene) -> None:
    """Somebody has a job row: its commit waits, the others go on; neither is lost."""
    free, locked = await scene.runs(2)
    committer = scene.committer()
    async with scene.direct.transaction():
        await scene.direct.execute("select from jobs where run_id = $1 for update", locked)
        waiting = committer.commit(everything(locked))
        assert (await asyncio.wait_for(committer.commit(everything(free)), 60)).passed
        assert not waiting.done()
    assert (await asyncio.wait_for(waiting, 60)).passed


async def test_a_payload_that_postgres_refuses_takes_no_other_down(scene: Scene) -> None:
    """The batch is halved until the bad one stands alone; its caller gets the error."""
    runs = await scene.runs(21)
    committer = scene.committer()
    first = committer.commit(step(runs[0]))
    waiting = [
        committer.commit(step(run_id, data="{" if n == 7 else "{}"))
        for n, run_id in enumerate(runs[1:])
    ]
    answers = await asyncio.gather(first, *waiting, return_exceptions=True)
    bad = [n for n, a in enumerate(answers) if isinstance(a, BaseException)]
    assert bad == [8]
    assert isinstance(answers[8], DatabaseError)
    assert all(a.passed for n, a in enumerate(answers) if n != 8 and isinstance(a, Committed))
    assert await scene.direct.fetchval("select count(*) from history") == 20


async def test_a_finish_ends_everything_of_the_run(scene: Scene) -> None:
    """The wake row goes, attempts are dropped, unread rows stay visible, the parent is told."""
    (run_id,) = await scene.runs(1)
    committer = scene.committer()
    await committer.commit(everything(run_id))
    await scene.direct.execute(
        """insert into engine_streams (stream_name, workflow_name, run_id, msg_type, topic,
        created_at, visible_at)
        values ('q', 'flow', $1, 'signal', 'late', now(), now())""", run_id,
    )  # fmt: skip
    child = await scene.direct.fetchval("select run_id from jobs where parent_run_id = $1", run_id)
    end = commit_of(
        run_id, 2, (Fact(FactKind.FINISHED, NOW, name="completed", data="1"),), status=0,
        finish=Finish("completed", "1"),
    )  # fmt: skip
    assert (await committer.commit(end)).passed
    state = await scene.direct.fetchrow(
        "select state, output, status, finished_at from jobs where run_id = $1", run_id
    )
    assert (state["state"], state["output"], state["status"]) == ("completed", "1", 0)
    assert state["finished_at"] is not None
    open_rows = "select count(*) from worker_streams where run_id = $1 and expired_at is null"
    assert await scene.direct.fetchval(open_rows, run_id) == 0
    unread = "select count(*) from engine_streams where run_id = $1 and expired_at is not null"
    assert await scene.direct.fetchval(unread, run_id) == 1
    asked = "select msg_type from engine_streams where run_id = $1"
    assert await scene.direct.fetchval(asked, child) == "cancel"


# --- outcomes that nobody heard of ----------------------------------------------------------

_BLOCKED = """select pid from pg_locks
    where not granted and pid <> pg_backend_pid() and locktype <> 'advisory'"""


@asynccontextmanager
async def _in_flight(scene: Scene, lock: str, *args: Any) -> AsyncIterator[Callable[[], Any]]:
    """A row is locked in the block; `blocked()` gives the backend that waits for it."""
    transaction = scene.direct.transaction()
    await transaction.start()
    await scene.direct.execute(lock, *args)

    async def blocked() -> int:
        return await eventually(lambda: scene.direct.fetchval(_BLOCKED))

    yield blocked
    await transaction.rollback()


async def test_a_commit_whose_answer_is_lost_has_passed(scene: Scene) -> None:
    """Own token in the row: it happened, and is not sent again."""
    (run_id,) = await scene.runs(1)
    async with Proxy(scene.database.dsn) as proxy:
        committer = scene.committer(proxy.dsn)
        async with _in_flight(
            scene, "select from jobs where run_id = $1 for update", run_id
        ) as blocked:
            future = committer.commit(step(run_id))
            await blocked()
            proxy.swallowing = True
        await eventually(lambda: scene.direct.fetchval("select count(*) from history"))
        proxy.swallowing = False
        proxy.cut()
        assert (await asyncio.wait_for(future, 60)).passed
        assert (await committer.commit(step(run_id, revision=1, number=2))).passed
    assert [f["number"] for f in (await scene.rows(run_id))["history"]] == [1, 2]


async def test_a_commit_that_died_with_its_connection_is_sent_again(scene: Scene) -> None:
    """Old revision in the row: it did not happen."""
    (run_id,) = await scene.runs(1)
    committer = scene.committer()
    async with _in_flight(
        scene, "select from jobs where run_id = $1 for update", run_id
    ) as blocked:
        future = committer.commit(step(run_id))
        await scene.direct.execute("select pg_terminate_backend($1)", await blocked())
    assert (await asyncio.wait_for(future, 60)).passed
    assert len((await scene.rows(run_id))["history"]) == 1


async def test_a_lost_answer_with_the_ids_of_intents_is_found_in_the_rows(scene: Scene) -> None:
    """It happened, once; the ids of what it wrote went with the answer, and are read again."""
    (run_id,) = await scene.runs(1)
    async with Proxy(scene.database.dsn) as proxy:
        committer = scene.committer(proxy.dsn)
        message = (await committer.commit(everything(run_id))).messages[2]
        lock = "select from worker_streams where id = $1 for update"
        async with _in_flight(scene, lock, message) as blocked:
            facts = (Fact(FactKind.ACTIVITY, NOW, 2, "charge", "1"),)
            intents = (Intent(5, "charge", "q", "[5]", OPTIONS, held=True),)
            future = committer.commit(
                commit_of(run_id, 2, facts, 5, "[]", settled=(message,), intents=intents)
            )
            await blocked()
            proxy.swallowing = True
        await eventually(lambda: scene.direct.fetchval("select count(*) = 3 from history"))
        proxy.swallowing = False
        proxy.cut()
        committed = await asyncio.wait_for(future, 60)
    assert committed.passed
    assert len((await scene.rows(run_id))["history"]) == 3
    held = (
        "select dad::int, id from worker_streams"
        " where run_id = $1 and reserved_by = $2 and dad is not null"
    )
    assert committed.messages == dict(await scene.direct.fetch(held, run_id, ME))
    assert list(committed.messages) == [5]


async def test_a_lost_answer_after_somebody_elses_commit_is_a_refusal(scene: Scene) -> None:
    """Neither own token nor old revision: another holder went on, and this one is told so."""
    (run_id,) = await scene.runs(1)
    committer = scene.committer()
    transaction = scene.direct.transaction()
    await transaction.start()
    await scene.direct.execute("update jobs set revision = 9, token = 1 where run_id = $1", run_id)
    future = committer.commit(step(run_id))
    pid = await eventually(lambda: scene.direct.fetchval(_BLOCKED))
    await scene.direct.execute("select pg_terminate_backend($1)", pid)
    await transaction.commit()
    assert not (await asyncio.wait_for(future, 60)).passed
    assert (await scene.rows(run_id))["history"] == []
