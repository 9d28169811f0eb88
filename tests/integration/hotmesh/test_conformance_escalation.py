# ruff: noqa: E501 - graphs, statements, and what tests prove, are wider than code
"""Escalations: written with the wait, claimed by one, resolved once, closed by whatever ends the wait."""

from __future__ import annotations

import asyncio
import contextlib
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from durable.errors import (
    ConfigurationError,
    DescriptorError,
    EscalationConflict,
    EscalationError,
    EscalationNotFound,
    JobFailed,
)
from durable.hotmesh.mesh import HotMesh
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually

GRAPH = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 300
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        h1:
          type: hook
          sleep: '{t1.output.data.patience}'
          escalation:
            role: approver
            type: order-approval
            subtype: regional
            priority: '{t1.output.data.priority}'
            description: Approve it.
            metadata: {orderId: '{t1.output.data.order}', region: eu}
            envelope: {instructions: look twice}
          job:
            maps:
              by: '{$self.hook.data.by}'
              timed: '{$self.hook.data.timestamp}'
              cancelled: '{$self.hook.data.cancelled}'
              reason: '{$self.hook.data.reason}'
      transitions: {t1: [{to: h1}]}
      hooks:
        approve:
          - to: h1
            conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}
"""
PLAIN = GRAPH[: GRAPH.index("          escalation:")] + GRAPH[GRAPH.index("          job:") :]


async def _done(mesh: HotMesh, jid: str) -> bool:
    return await mesh.get_status(jid) <= 0


async def _one(mesh: HotMesh, jid: str = "j", **more: Any) -> dict[str, Any]:
    await mesh.pub("t", {"id": jid, "order": f"o-{jid}", **more})
    (row,) = await mesh.escalations.list(job_id=jid)
    return row


async def _data(mesh: HotMesh, jid: str = "j") -> dict[str, Any]:
    await eventually(lambda: _done(mesh, jid))
    data: dict[str, Any] = (await mesh.get_state("t", jid))["data"]
    return data


async def _lapse(database: Database) -> None:
    """Let every claim's time be over."""
    await database.fetch(
        f"update \"{database.schema}\".escalations set assigned_until = assigned_until - interval '2 days'"
    )


async def test_a_wait_writes_a_row_with_what_the_block_says(begin: Begin) -> None:
    """When the start returns, the row is there: pending, available, with every column as given."""
    mesh = await begin(GRAPH)
    row = await _one(mesh, priority=2)
    assert {
        key: row[key]
        for key in (
            "status", "available", "job_id", "graph", "topic", "aid", "role", "type", "subtype",
            "priority", "description", "metadata", "envelope", "assigned_to", "milestones",
        )
    } == {
        "status": "pending",
        "available": True,
        "job_id": "j",
        "graph": "t",
        "topic": "approve",
        "aid": "h1",
        "role": "approver",
        "type": "order-approval",
        "subtype": "regional",
        "priority": 2,
        "description": "Approve it.",
        "metadata": {"orderId": "o-j", "region": "eu"},
        "envelope": {"instructions": "look twice"},
        "assigned_to": None,
        "milestones": [],
    }  # fmt: skip
    assert await mesh.escalations.get(row["id"]) == row
    assert await mesh.escalations.get("17") is None
    assert row["expires_at"] is None


async def test_no_block_no_row(begin: Begin, database: Database) -> None:
    """The same graph without the block waits, and writes nothing."""
    mesh = await begin(PLAIN)
    await mesh.pub("t", {"id": "j"})
    assert await mesh.get_status("j") == 1
    assert await database.fetchval(f'select count(*) from "{database.schema}".escalations') == 0


async def test_a_block_that_says_nothing_writes_no_row(begin: Begin) -> None:
    """Role, type, priority and metadata all undefined: nobody could find it, so it is not written."""
    mesh = await begin(
        PLAIN.replace(
            "          job:",
            "          escalation: {role: '{t1.output.data.role}', description: x}\n          job:",
        )
    )
    await mesh.pub("t", {"id": "j"})
    await mesh.pub("t", {"id": "k", "role": "boss"})
    assert [row["job_id"] for row in await mesh.escalations.list()] == ["k"]


async def test_resolving_lets_the_job_go_on(begin: Begin, database: Database) -> None:
    """The hook's data is the payload, the job ends, the row is resolved; the timer and the wait are gone."""
    mesh = await begin(GRAPH)
    row = await _one(mesh, patience=3600)
    assert row["expires_at"] is not None
    closed = await mesh.escalations.resolve(row["id"], {"by": "ann"}, metadata={"seen": True})
    assert await mesh.get_status("j") == 0, "the job had ended when resolve returned"
    assert await _data(mesh) == {"by": "ann"}
    assert (closed["status"], closed["resolver_payload"]) == ("resolved", {"by": "ann"})
    assert closed["metadata"] == {"orderId": "o-j", "region": "eu", "seen": True}
    for table in ("hooks", "engine_streams"):
        assert await database.fetchval(f'select count(*) from "{database.schema}".{table}') == 0
    with pytest.raises(EscalationConflict, match="already-resolved") as conflict:
        await mesh.escalations.resolve(row["id"], {})
    assert conflict.value.reason == "already-resolved"
    assert conflict.value.failed == [{"id": row["id"], "reason": "already-resolved"}]


async def test_what_follows_a_resolution_is_done(begin: Begin) -> None:
    """Activities behind the hook run: what the resolving step dispatched is heard of."""
    behind = GRAPH.replace(
        "      transitions: {t1: [{to: h1}]}",
        "        w1: {type: worker, topic: work, input: {maps: {by: '{h1.hook.data.by}'}}, job: {maps: {done: '{$self.output.data.by}'}}}\n"
        "      transitions: {t1: [{to: h1}], h1: [{to: w1}]}",
    )
    mesh = await begin(behind, work=echo)
    row = await _one(mesh)
    await mesh.escalations.resolve(row["id"], {"by": "ann"})
    assert (await _data(mesh))["done"] == "ann"


@pytest.mark.parametrize(
    ("how", "status", "payload"),
    [
        ("signal", "resolved", {"id": "j", "by": "bob"}),
        ("interrupt", "cancelled", None),
        ("timeout", "expired", None),
        ("pending signal", "pending", None),
    ],
)
async def test_whatever_ends_the_wait_closes_it(
    begin: Begin, how: str, status: str, payload: dict[str, Any] | None
) -> None:
    """A signal resolves it with its payload, an interruption cancels it, the timer expires it; 202 leaves it."""
    mesh = await begin(GRAPH)
    row = await _one(mesh, patience=0.05 if how == "timeout" else 3600)
    if how == "interrupt":
        await mesh.interrupt("t", "j")
    elif how != "timeout":
        pending = how == "pending signal"
        await mesh.hook("approve", {"id": "j", "by": "bob"}, code=202 if pending else 200)

    async def closed() -> bool:
        now = await mesh.escalations.get(row["id"])
        assert now is not None
        answered = (await mesh.get_state("t", "j"))["data"].get("by") == "bob"
        return bool(now["status"] == status and (status != "pending" or answered))

    await eventually(closed)
    now = await mesh.escalations.get(row["id"])
    assert now is not None
    if payload is not None:
        assert now["resolver_payload"] == payload
    if how == "timeout":
        assert "timestamp" in now["resolver_payload"]
    assert (now["resolved_at"] is None) == (status == "pending")
    assert now["available"] == (status == "pending")
    if status != "pending":
        with pytest.raises(EscalationConflict, match=f"already-{status}"):
            await mesh.escalations.resolve(row["id"], {"by": "late"})
        with pytest.raises(EscalationConflict, match=f"already-{status}"):
            await mesh.escalations.claim(row["id"], "late")


async def test_cancelling_lets_the_hook_go_on_and_say_so(begin: Begin) -> None:
    """The hook's data tells that it was cancelled, and why."""
    mesh = await begin(GRAPH)
    row = await _one(mesh)
    closed = await mesh.escalations.cancel(row["id"], "not needed")
    assert closed["status"] == "cancelled"
    assert await _data(mesh) == {"cancelled": True, "reason": "not needed"}
    with pytest.raises(EscalationConflict, match="already-cancelled"):
        await mesh.escalations.cancel(row["id"])


async def test_resolvers_and_signals_race_and_one_wins(begin: Begin) -> None:
    """Of ten resolvers of each of ten waits, with a signal and a timer among them, one comes through."""
    mesh = await begin(GRAPH)
    other = await begin(None)
    rows = [await _one(mesh, f"j{i}", patience=0.02 * i) for i in range(10)]

    async def attempt(row: dict[str, Any], n: int) -> int | None:
        try:
            await (mesh, other)[n % 2].escalations.resolve(row["id"], {"by": n})
        except EscalationConflict:
            return None
        return n

    async def signal(row: dict[str, Any]) -> None:
        await mesh.hook("approve", {"id": row["job_id"], "by": "signal"})

    for row in rows:
        won, *_ = await asyncio.gather(
            asyncio.gather(*(attempt(row, n) for n in range(10))), signal(row)
        )
        winners = [n for n in won if n is not None]
        assert len(winners) <= 1
        data = await _data(mesh, row["job_id"])
        now = await mesh.escalations.get(row["id"])
        assert now is not None
        if winners:
            assert (data, now["resolver_payload"]) == ({"by": winners[0]}, {"by": winners[0]})
        elif now["status"] == "expired":
            assert set(data) == {"timed"}
        else:
            assert (now["status"], data) == ("resolved", {"by": "signal"})


async def test_a_claim_is_one_persons_and_lapses(begin: Begin, database: Database) -> None:
    """Of ten who claim at once one has it; they may prolong it; when it lapses, another may have it."""
    mesh = await begin(GRAPH)
    row = await _one(mesh)

    async def attempt(who: str) -> str | None:
        try:
            return str((await mesh.escalations.claim(row["id"], who, "1 hour"))["assigned_to"])
        except EscalationConflict as conflict:
            return None if conflict.reason == "claimed-by-other" else conflict.reason

    won = [who for who in await asyncio.gather(*(attempt(f"p{n}") for n in range(10))) if who]
    assert len(won) == 1
    first = await mesh.escalations.get(row["id"])
    prolonged = await mesh.escalations.claim(row["id"], won[0], "3 hours")
    assert first is not None
    assert not prolonged["available"]
    assert prolonged["claimed_at"] == first["claimed_at"]
    assert prolonged["assigned_until"] > first["assigned_until"]
    assert await mesh.escalations.list(available=True) == []
    await _lapse(database)
    (free,) = await mesh.escalations.list(available=True)
    assert free["available"]
    with pytest.raises(EscalationConflict, match="claim-expired"):
        await mesh.escalations.resolve(row["id"], {}, assignee=won[0])
    assert (await mesh.escalations.claim(row["id"], "later"))["assigned_to"] == "later"


async def test_a_claim_is_given_back_by_who_has_it(begin: Begin) -> None:
    """Somebody else's release is refused; without a name it ends whoever's; then there is none to end."""
    mesh = await begin(GRAPH)
    row = await _one(mesh)
    await mesh.escalations.claim(row["id"], "ann")
    with pytest.raises(EscalationConflict, match="claimed-by-other"):
        await mesh.escalations.release(row["id"], "bob")
    assert (await mesh.escalations.release(row["id"], "ann"))["available"]
    with pytest.raises(EscalationConflict, match="not-claimed"):
        await mesh.escalations.release(row["id"], "ann")
    await mesh.escalations.claim(row["id"], "bob")
    assert (await mesh.escalations.release(row["id"]))["assigned_to"] is None
    with pytest.raises(EscalationNotFound, match="escalations no such: not-found") as missing:
        await mesh.escalations.release("no such")
    assert missing.value.reason == "not-found"


async def test_who_is_not_there_is_named_as_they_were_asked_for(begin: Begin) -> None:
    """Ids that could be none are told apart, and statuses that there are not are refused."""
    mesh = await begin(GRAPH)
    row = await _one(mesh)
    with pytest.raises(EscalationNotFound, match="escalations a: not-found; b: not-found"):
        await mesh.escalations.resolve_all_or_none([{"id": i} for i in ("a", row["id"], "b")])
    with pytest.raises(EscalationNotFound, match="escalations x: not-found"):
        await mesh.escalations.cancel("x")
    with pytest.raises(ConfigurationError, match=r"no escalation has the status \['open'\]; known"):
        await mesh.escalations.list(status=["pending", "open"])
    assert await mesh.escalations.count(status="pending") == 1


async def test_an_assignee_resolves_only_what_they_hold(begin: Begin) -> None:
    """With `assignee` the claim is checked: none, another's, one's own; without, it is not."""
    mesh = await begin(GRAPH)
    row = await _one(mesh)
    with pytest.raises(EscalationConflict, match="not-claimed"):
        await mesh.escalations.resolve(row["id"], {"by": "ann"}, assignee="ann")
    await mesh.escalations.claim(row["id"], "bob")
    with pytest.raises(EscalationConflict, match="claimed-by-other"):
        await mesh.escalations.resolve(row["id"], {"by": "ann"}, assignee="ann")
    assert await mesh.get_status("j") == 1
    closed = await mesh.escalations.resolve(row["id"], {"by": "bob"}, assignee="bob")
    assert closed["resolved_by"] == "bob"
    other = await _one(mesh, "k")
    await mesh.escalations.claim(other["id"], "bob")
    assert (await mesh.escalations.resolve(other["id"], {"by": "boss"}))["status"] == "resolved"


async def test_passing_to_another_role_ends_the_claim(begin: Begin) -> None:
    """Of one or of several, or of none when one of them is closed."""
    mesh = await begin(GRAPH)
    rows = [await _one(mesh, f"j{n}") for n in range(3)]
    ids = [row["id"] for row in rows]
    await mesh.escalations.claim(ids[0], "ann")
    passed = await mesh.escalations.escalate_to_role(ids[0], "manager")
    assert (passed["role"], passed["assigned_to"], passed["available"]) == ("manager", None, True)
    await mesh.escalations.escalate_many_to_role(ids, "director")
    assert await mesh.escalations.count(role="director") == 3
    await mesh.escalations.cancel(ids[2])
    with pytest.raises(EscalationConflict, match="already-cancelled"):
        await mesh.escalations.escalate_many_to_role(ids, "board")
    assert await mesh.escalations.count(role=["board"]) == 0


async def test_lists_are_filtered_and_ordered(begin: Begin) -> None:
    """By any column, by what metadata contain, by availability; the urgent first, then the oldest."""
    mesh = await begin(GRAPH)
    for jid, priority in (("a", 3), ("b", 1), ("c", 3), ("d", 1)):
        await _one(mesh, jid, priority=priority)
    rows = await mesh.escalations.list()
    assert [row["job_id"] for row in rows] == ["b", "d", "a", "c"]
    assert [
        r["job_id"] for r in await mesh.escalations.list(newest_first=True, sort_by="created_at")
    ] == ["d", "c", "b", "a"]
    assert [r["job_id"] for r in await mesh.escalations.list(limit=1, offset=1)] == ["d"]
    await mesh.escalations.claim(rows[0]["id"], "ann")
    await mesh.escalations.resolve(rows[1]["id"], {"by": "x"})
    for filters, count in (
        ({}, 4),
        ({"role": "approver"}, 4),
        ({"role": ["nobody", "approver"], "status": "pending"}, 3),
        ({"role": "nobody"}, 0),
        ({"type": "order-approval", "subtype": "regional", "priority": [1]}, 2),
        ({"metadata": {"orderId": "o-a"}}, 1),
        ({"metadata": {"orderId": "o-a", "region": "us"}}, 0),
        ({"available": True}, 2),
        ({"available": False}, 2),
        ({"assigned_to": "ann"}, 1),
        ({"job_id": ["a", "c"], "topic": "approve"}, 2),
    ):
        assert await mesh.escalations.count(**filters) == count, filters
        assert len(await mesh.escalations.list(**filters)) == count, filters
    for wrong in ({"roll": "approver"}, {"sort_by": "role"}):
        with pytest.raises(ConfigurationError):
            await mesh.escalations.list(**wrong)


async def test_several_who_ask_for_the_next_get_different_ones(begin: Begin) -> None:
    """Ten ask at once for what is there: each of the six is one person's, and four get nothing."""
    mesh = await begin(GRAPH)
    for n in range(6):
        await _one(mesh, f"j{n}")
    take = mesh.escalations.claim_by_metadata
    taken = await asyncio.gather(*(take({"region": "eu"}, f"p{n}") for n in range(10)))
    assert len({row["id"] for row in taken if row}) == 6
    assert await take({"region": "eu"}, "late") is None
    assert await take({"region": "us"}, "late") is None
    await mesh.escalations.release(next(row["id"] for row in taken if row))
    assert await take({}, "late", roles=["other"]) is None
    assert await take({}, "late", roles=["approver"])


async def test_claiming_many_skips_what_cannot_be_claimed(begin: Begin) -> None:
    """The rest is claimed; each one that was passed over is named with the reason."""
    mesh = await begin(GRAPH)
    ids = [(await _one(mesh, f"j{n}"))["id"] for n in range(4)]
    await mesh.escalations.claim(ids[1], "bob")
    await mesh.escalations.cancel(ids[2])
    found = await mesh.escalations.claim_many([*ids, "12", "twelve"], "ann")
    assert [row["id"] for row in found["claimed"]] == [ids[0], ids[3]]
    assert found["skipped"] == [
        {"id": ids[1], "reason": "claimed-by-other"},
        {"id": ids[2], "reason": "already-cancelled"},
        {"id": "12", "reason": "not-found"},
        {"id": "twelve", "reason": "not-found"},
    ]


async def test_a_gang_is_resolved_whole_or_not_at_all(begin: Begin) -> None:
    """One that is blocked blocks all, and is named; else all go on, each with its own payload."""
    mesh = await begin(GRAPH)
    ids = [(await _one(mesh, f"j{n}"))["id"] for n in range(3)]
    await mesh.escalations.claim(ids[1], "bob")
    items = [{"id": one, "payload": {"by": n}} for n, one in enumerate(ids)]
    with pytest.raises(EscalationConflict) as conflict:
        await mesh.escalations.resolve_all_or_none(items, assignee="bob")
    assert conflict.value.failed == [
        {"id": ids[0], "reason": "not-claimed"},
        {"id": ids[2], "reason": "not-claimed"},
    ]
    assert [await mesh.get_status(f"j{n}") for n in range(3)] == [1, 1, 1]
    with pytest.raises(EscalationNotFound):
        await mesh.escalations.resolve_all_or_none([*items, {"id": "5"}])
    with pytest.raises(ConfigurationError, match="named twice"):
        await mesh.escalations.resolve_all_or_none([items[0], items[0]])
    assert await mesh.escalations.resolve_all_or_none([]) == []
    await mesh.escalations.resolve_all_or_none(items)
    assert [await _data(mesh, f"j{n}") for n in range(3)] == [{"by": n} for n in range(3)]


async def test_overlapping_gangs_have_one_winner(begin: Begin) -> None:
    """Two batches that share a member, in opposite orders: one succeeds, the other changes nothing."""
    mesh, other = await begin(GRAPH), await begin(None)
    for round_ in range(5):
        ids = [(await _one(mesh, f"j{round_}-{n}"))["id"] for n in range(3)]
        one = [{"id": i, "payload": {"by": "one"}} for i in ids[:2]]
        two = [{"id": i, "payload": {"by": "two"}} for i in reversed(ids[1:])]
        done = await asyncio.gather(
            mesh.escalations.resolve_all_or_none(one),
            other.escalations.resolve_all_or_none(two),
            return_exceptions=True,
        )
        lost = [d for d in done if isinstance(d, BaseException)]
        assert [type(d) for d in lost] == [EscalationConflict]
        resolved = await mesh.escalations.list(
            job_id=[f"j{round_}-{n}" for n in range(3)], status="resolved"
        )
        assert len(resolved) == 2


async def test_waits_of_one_job_are_told_apart(begin: Begin) -> None:
    """Two hooks of a job wait at once, and again after a cycle: each row is that wait's alone."""
    mesh = await begin(
        """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 300
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        p1: {type: hook, cycle: true}
        a: {type: hook, hook: {topic: a.done}, escalation: {role: a}, job: {maps: {a: '{$self.hook.data.x}'}}}
        b: {type: hook, hook: {topic: b.done}, escalation: {role: b}, job: {maps: {b: '{$self.hook.data.x}'}}}
        again: {type: cycle, ancestor: p1}
      transitions:
        t1: [{to: p1}]
        p1: [{to: a}, {to: b}]
        a: [{to: again, conditions: {match: [{expected: 1, actual: '{$self.hook.data.x}'}]}}]
"""
    )
    await mesh.pub("t", {"id": "j"})
    first = {row["role"]: row for row in await mesh.escalations.list()}
    assert set(first) == {"a", "b"}
    await mesh.escalations.resolve(first["a"]["id"], {"x": 1})

    async def around() -> bool:
        return await mesh.escalations.count(status="pending") == 3

    await eventually(around)
    waiting = await mesh.escalations.list(status="pending")
    assert sorted(row["role"] for row in waiting) == ["a", "b", "b"]
    items = [{"id": row["id"], "payload": {"x": n + 2}} for n, row in enumerate(waiting)]
    await mesh.escalations.resolve_all_or_none(items)
    assert await mesh.get_status("j") == 0


async def test_a_job_that_ends_takes_its_waits_along(begin: Begin) -> None:
    """A branch fails while another waits: the wait's escalation is cancelled in the same commit."""
    mesh = await begin(
        GRAPH.replace(
            "      transitions: {t1: [{to: h1}]}",
            "        w1: {type: worker, topic: work, retry: {maximumAttempts: 1}}\n"
            "      transitions: {t1: [{to: h1}, {to: w1}]}",
        ),
        work=_failing,
    )
    with pytest.raises(JobFailed):
        await mesh.pubsub("t", {"id": "j"}, timeout=100)
    (row,) = await mesh.escalations.list()
    assert row["status"] == "cancelled"


async def _failing(_message: dict[str, Any]) -> None:
    raise ValueError("no")


async def test_rows_can_be_changed_and_made_from_outside(begin: Begin) -> None:
    """Priority, description, metadata, milestones; one without a job is resolved like any other."""
    mesh = await begin(GRAPH)
    row = await _one(mesh)
    soon = datetime.now(UTC) + timedelta(hours=1)
    changed = await mesh.escalations.update(
        row["id"], priority=1, description="now", metadata={"vip": True}, expires_at=soon
    )
    assert (changed["priority"], changed["description"]) == (1, "now")
    assert changed["metadata"] == {"orderId": "o-j", "region": "eu", "vip": True}
    assert changed["expires_at"] == soon.isoformat()
    await mesh.escalations.append_milestones(row["id"], {"said": "called"})
    marked = await mesh.escalations.append_milestones(row["id"], {"said": "again"}, 3)
    assert marked["milestones"] == [{"said": "called"}, {"said": "again"}, 3]
    made = await mesh.escalations.create(role="clerk", type="paper", metadata={"n": 1})
    assert (made["job_id"], made["priority"], made["available"]) == (None, 5, True)
    await mesh.escalations.update_many_priority([row["id"], made["id"]], 9)
    assert await mesh.escalations.count(priority=9) == 2
    done = await mesh.escalations.resolve(made["id"], {"filed": True}, metadata={"m": 2})
    assert (done["status"], done["resolver_payload"]) == ("resolved", {"filed": True})
    assert done["metadata"] == {"n": 1, "m": 2}
    with pytest.raises(EscalationError, match="already-resolved"):
        await mesh.escalations.update(made["id"], priority=1)
    with pytest.raises(ConfigurationError, match="no columns"):
        await mesh.escalations.create(rolle="x")
    assert await mesh.escalations.list_distinct_types() == ("order-approval", "paper")
    stats = {(s["role"], s["type"]): s for s in await mesh.escalations.stats(period="1h")}
    assert stats["clerk", "paper"] == {
        "role": "clerk",
        "type": "paper",
        "pending": 0,
        "claimed": 0,
        "created": 1,
        "resolved": 1,
    }
    assert stats["approver", "order-approval"]["pending"] == 1


async def test_pruning_takes_old_closed_rows_only(begin: Begin, database: Database) -> None:
    """By age and status, in batches; what waits stays, however old it is."""
    mesh = await begin(GRAPH)
    for n in range(5):
        row = await _one(mesh, f"j{n}")
        if n:
            await (mesh.escalations.cancel if n == 1 else mesh.escalations.resolve)(row["id"])
    await database.fetch(
        f"""update "{database.schema}".escalations set created_at = created_at - interval '100 days',
            resolved_at = resolved_at - interval '100 days'"""
    )
    assert await mesh.escalations.prune("200 days") == 0
    assert await mesh.escalations.prune(statuses=["cancelled"]) == 1
    assert [await mesh.escalations.prune(limit=2) for _ in range(3)] == [2, 1, 0]
    assert [r["job_id"] for r in await mesh.escalations.list()] == ["j0"]
    for wrong in ({"statuses": ["pending"]}, {"limit": 0}):
        with pytest.raises(ConfigurationError):
            await mesh.escalations.prune(**wrong)


@pytest.mark.parametrize(
    ("block", "finding"),
    [
        ("{description: x}", "an escalation has a role, a type, a priority or metadata"),
        ("{rolle: x}", "rolle"),
        ("{priority: high}", "priority must be a whole number"),
        ("{role: 7}", "role must be text"),
        ("{role: x, expiresAt: whenever}", "expiresAt must be"),
        ("{role: '{t2.output.data.x}'}", "there is no activity 't2'"),
    ],
)
async def test_a_wrong_block_is_refused_at_the_door(begin: Begin, block: str, finding: str) -> None:
    """What can be told from the document is told by deploy."""
    mesh = await begin(None)
    document = PLAIN.replace("          job:", f"          escalation: {block}\n          job:")
    with pytest.raises(DescriptorError, match=finding):
        await mesh.deploy(document)


async def test_an_escalation_needs_a_hook_that_waits_for_a_signal(begin: Begin) -> None:
    """A hook that only sleeps or passes on cannot be resolved: deploy says so."""
    mesh = await begin(None)
    with pytest.raises(DescriptorError, match="waits for no signal"):
        await mesh.deploy(GRAPH[: GRAPH.index("      hooks:")])


async def test_a_value_of_the_wrong_kind_fails_the_job_and_says_where(begin: Begin) -> None:
    """What only the data can tell is the job's error, with activity and column."""
    mesh = await begin(GRAPH)
    with pytest.raises(
        JobFailed, match="hook 'h1': priority of its escalation must be a whole number"
    ):
        await mesh.pubsub("t", {"id": "j", "priority": "high"}, timeout=100)
    assert await mesh.escalations.count() == 0


async def test_people_and_engines_never_wait_in_a_circle(begin: Begin, database: Database) -> None:
    """Claims, passings-on, gangs, signals and timers on the same forty waits, in any order: no deadlock, each closed once."""
    meshes = [await begin(GRAPH), await begin(None), await begin(None)]
    rng = random.Random(7)
    rows = [await _one(meshes[0], f"j{n}", patience=rng.uniform(0.05, 0.6)) for n in range(40)]
    ids = [row["id"] for row in rows]

    async def act(mesh: HotMesh) -> None:
        for _ in range(15):
            some = rng.sample(ids, 6)
            with contextlib.suppress(EscalationError):
                match rng.randrange(4):
                    case 0:
                        await mesh.escalations.claim_many(some, "ann", "1s")
                    case 1:
                        await mesh.escalations.escalate_many_to_role(some, "boss")
                    case 2:
                        items = [{"id": one, "payload": {"by": "gang"}} for one in some[:3]]
                        await mesh.escalations.resolve_all_or_none(items)
                    case _:
                        jid = f"j{rng.randrange(40)}"
                        await mesh.hook("approve", {"id": jid, "by": "signal"})

    await asyncio.gather(*(act(mesh) for mesh in meshes for _ in range(4)))

    async def closed() -> bool:
        return await meshes[0].escalations.count(status="pending") == 0

    await eventually(closed, within=150)
    for row in await meshes[0].escalations.list():
        data = await _data(meshes[0], row["job_id"])
        wanted = {"timed"} if row["status"] == "expired" else {"by"}
        assert data.keys() == wanted
        if row["status"] == "resolved":
            assert row["resolver_payload"]["by"] == data["by"]
    assert (
        await database.fetchval(
            f'select count(*) from "{database.schema}".engine_streams where dead_lettered_at is not null'
            " and error->>'code' is distinct from '404'"  # a signal came after its job's end
        )
        == 0
    )


async def test_what_other_branches_do_meanwhile_is_kept(begin: Begin) -> None:
    """A wait is resolved while eight workers of its job answer: the job's data has all of it."""
    keys = [f"k{n}" for n in range(8)]
    workers = "".join(
        f"        {k}: {{type: worker, topic: work, job: {{maps: {{{k}: '{{$self.output.data.x}}'}}}}}}\n"
        for k in keys
    )
    to = ", ".join(f"{{to: {k}}}" for k in keys)
    wide = GRAPH.replace(
        "      transitions: {t1: [{to: h1}]}",
        f"{workers}      transitions: {{t1: [{{to: h1}}, {to}]}}",
    )

    async def work(_message: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"data": {"x": 1}}

    mesh, other = await begin(wide, work=work), await begin(None, work=work)

    async def one(jid: str) -> None:
        row = await _one(mesh, jid)
        await other.escalations.resolve(row["id"], {"by": jid})

    for round_ in range(4):
        ids = [f"j{round_}-{n}" for n in range(8)]
        await asyncio.gather(*(one(jid) for jid in ids))
        for jid in ids:
            assert await _data(mesh, jid) == {"by": jid, **dict.fromkeys(keys, 1)}
