# ruff: noqa: E501 - graphs, statements, and what tests prove, are wider than code
"""Back pressure and throttles: engines and workers slow down, pause, and resume without losing a message."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from durable.errors import ConfigurationError
from durable.hotmesh.mesh import HotMesh
from durable.hotmesh.quorum.back_pressure import (
    EASE,
    EVERY,
    LAPSE,
    LEVELS,
    BackPressure,
    LoadMonitor,
    level_of,
    rest_of,
)
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually

ONE = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 300
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w1: {type: worker, topic: work, input: {maps: {id: '{t1.output.data.id}'}}, job: {maps: {n: '{$self.output.data.id}'}}}
        s1: {type: hook, sleep: 0.05}
        w2: {type: worker, topic: more}
      transitions: {t1: [{to: w1}, {to: s1}], w1: [{to: w2}]}
"""
HOOKED = (
    ONE.replace("        w2:", "        h1: {type: hook}\n        w2:").replace(
        "w1: [{to: w2}]", "w1: [{to: w2}, {to: h1}]"
    )
    + """      hooks:
        go:
          - to: h1
            conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}
"""
)
STORM = 6  # steps of which the average of a calm engine is above what it is told


def _storm(duress: BackPressure | LoadMonitor, milliseconds: float, steps: int = STORM) -> None:
    for _ in range(steps):
        duress.record({"response": EVERY}, milliseconds)


# --- the gauge, by counting ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "level", "rest"),
    [
        (0, 0, 0), (199.9, 0, 0), (200, 1, 100), (600, 1, 300), (1000, 2, 500), (3000, 2, 1250),
        (5000, 3, 2000), (12_500, 3, 3500), (20_000, 3, 5000), (1e9, 3, 5000),
    ],
)  # fmt: skip
def test_levels_and_rests(score: float, level: int, rest: float) -> None:
    """Each level begins where it is said to, and its rest grows from its least to its most."""
    assert level_of(score) == level
    assert rest_of(level, score) == pytest.approx(rest)


def test_the_average_follows_slowly_and_by_type() -> None:
    """One slow step is no duress; the average of a type takes 0.3 of each new step, less 2 ms a message; the worst type counts."""
    gauge = LoadMonitor()
    gauge.record({"response": 20}, 540)
    assert (gauge.averages, gauge.level) == ({"response": 150.0}, 0)
    gauge.record({"webhook": 20}, 140)
    assert gauge.averages == {"response": 150.0, "webhook": 30.0}
    gauge.record({"response": 20}, 540)
    assert gauge.averages["response"] == pytest.approx(255)
    assert (gauge.level, gauge.score) == (1, pytest.approx(255))


def test_it_is_evaluated_every_ten_messages() -> None:
    """Nine messages of slow steps change nothing; the tenth does."""
    gauge = LoadMonitor()
    looked = [gauge.record({"response": 1}, 3000) for _ in range(EVERY)]
    assert looked == [False] * (EVERY - 1) + [True]
    assert gauge.level == 2


def test_it_rises_at_once_and_falls_when_three_evaluations_agree() -> None:
    """Better twice, then worse: the level stays; three times better: it falls to what is found."""
    gauge = LoadMonitor()
    _storm(gauge, 8000, 10)
    assert LEVELS[gauge.level] == "severe"
    levels = []
    while gauge.level:
        gauge.record({"response": 1}, 0)
        levels.append((level_of(gauge.score), gauge.level))
    fell = next(n for n, (_, level) in enumerate(levels) if level < 3)
    assert [found < 3 for found, _ in levels[fell - EASE + 1 : fell + 1]] == [True] * EASE
    assert levels[fell - EASE][0] == 3
    _storm(gauge, 1500, 10)
    for _ in range(3):
        gauge.record({"response": 1}, 0)
        gauge.record({"response": 1}, 0)
        gauge.averages["response"] = 1500
        gauge.record({"response": 1}, 1500)
    assert LEVELS[gauge.level] == "moderate"


def test_others_hear_of_it_at_most_every_five_seconds_and_at_once_when_it_is_over() -> None:
    """By a clock of the test's own: the first message, none within five seconds, one after, one at the end."""
    now, said = [100.0], list[Mapping[str, Any]]()
    duress = BackPressure("me", said.append, lambda: now[0])
    _storm(duress, 3000, 20)
    assert [m["level"] for m in said] == ["mild"]
    now[0] += 5
    _storm(duress, 3000, 20)
    assert len(said) == 2
    assert said[1]["level"] == "moderate"
    assert said[1]["throttle_ms"] == pytest.approx(rest_of(2, said[1]["duress_score_ms"]), rel=0.01)
    _storm(duress, 0, 60)
    assert [m["level"] for m in said[2:]] == ["healthy"]
    assert duress.rest() == 0


def test_the_longest_rest_counts_and_what_is_old_does_not() -> None:
    """Reports of others are in force until they are taken back, or have not been renewed for long."""
    now = [100.0]
    duress = BackPressure("me", lambda _: None, lambda: now[0])
    for guid, rest in (("a", 300), ("b", 700), ("me", 9000)):
        duress.heard({"originator": guid, "throttle_ms": rest})
    assert duress.rest() == 0.7
    duress.heard({"originator": "b", "throttle_ms": 0})
    assert duress.rest() == 0.3
    now[0] += LAPSE
    assert duress.rest() == 0
    _storm(duress, 800)
    own = duress.rest()
    assert own > 0.1
    now[0] += LAPSE
    assert duress.rest() == 0, "an engine that had nothing to do since does not begin with a rest"


# --- on what really consumes ---------------------------------------------------------------------


def _rests(mesh: HotMesh) -> set[float]:
    return {loop.pace.delay for loop in mesh._parts.quorum._consumers.values()}


async def test_engines_and_workers_of_all_processes_rest_and_roll_call_shows_it(
    begin: Begin,
) -> None:
    """One engine feels it; its own consumers and those of another process rest as long, until it is over."""
    mesh, other = await begin(ONE, work=echo, more=echo), await begin(None, work=echo)
    heard: list[str] = []
    await other.sub_quorum(lambda _topic, message: heard.append(message["type"]))
    assert _rests(mesh) | _rests(other) == {0.0}
    _storm(mesh._parts.quorum.duress, 3000, 20)
    (rest,) = _rests(mesh)
    assert 0.5 <= rest <= 2

    async def known() -> bool:
        return min(_rests(other)) > 0

    await eventually(known)
    assert "duress" in heard
    profiles = {p["engine_id"]: p for p in await mesh.roll_call(30)}
    assert len(profiles) == 5
    mine = profiles[mesh.engine_id]
    assert mine["duress_level"] == "moderate"
    assert mine["duress_score_ms"] > 1000
    assert mine["duress_per_type"].keys() == {"response"}
    assert profiles[other.engine_id]["duress_level"] == "healthy"
    assert all(p["duress_throttle_ms"] > 0 for p in profiles.values())
    _storm(mesh._parts.quorum.duress, 0, 60)

    async def over() -> bool:
        return _rests(mesh) | _rests(other) == {0.0}

    await eventually(over)
    await mesh.pub("t", {"id": "j"})
    await eventually(lambda: _status(mesh, "j", 0))


async def test_work_goes_on_under_back_pressure_in_whole_batches(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every job is done once though each claim is followed by a rest, and far fewer rests than jobs are needed."""
    calls: Counter[str] = Counter()

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        calls[message["data"]["id"]] += 1
        return {"data": message["data"]}

    mesh = await begin(ONE, more=echo)
    other = await begin(None, work=work)
    for loop in (*mesh._parts.quorum._consumers.values(), *other._parts.quorum._consumers.values()):
        monkeypatch.setattr(loop.pace, "_back_pressure", lambda: 0.02)
    rests = 0
    pace = next(
        iter(loop.pace for loop in other._parts.quorum._consumers.values() if loop.topic == "work")
    )
    rest = pace.rest

    async def counted() -> None:
        nonlocal rests
        rests += 1
        await rest()

    monkeypatch.setattr(pace, "rest", counted)
    await asyncio.gather(*[mesh.pub("t", {"id": f"j{n}"}) for n in range(40)])

    async def done() -> bool:
        states = [await mesh.get_status(f"j{n}") for n in range(40)]
        return states == [0] * 40

    await eventually(done, within=150)
    assert calls == Counter({f"j{n}": 1 for n in range(40)})
    assert 0 < rests < 30


async def test_a_throttle_and_duress_ask_for_the_longer_of_both(begin: Begin) -> None:
    """A pause stays a pause, a longer throttle stays as it is, and 0 leaves what duress asks."""
    mesh = await begin(ONE, work=echo, more=echo)
    _storm(mesh._parts.quorum.duress, 400, 20)
    (rest,) = _rests(mesh)
    await mesh.throttle(throttle=5000)
    assert _rests(mesh) == {5.0}
    await mesh.throttle(throttle=-1)
    await mesh.pub("t", {"id": "j"})
    assert {p["throttle"] for p in await mesh.roll_call()} == {-1}
    await mesh.throttle(throttle=0)
    assert _rests(mesh) == {rest}
    with pytest.raises(ConfigurationError, match="'duress' cannot be sent"):
        await mesh.pub_quorum({"type": "duress"})


async def _status(mesh: HotMesh, jid: str, status: int) -> bool:
    return await mesh.get_status(jid) == status


async def _rows(database: Database) -> tuple[int, int]:
    """Messages that wait, and those that somebody holds."""
    row = await database.fetchrow(
        f"""select
            (select count(*) from "{database.schema}".engine_streams where expired_at is null)
            + (select count(*) from "{database.schema}".worker_streams where expired_at is null and reserved_by is null),
            (select count(*) from "{database.schema}".worker_streams where reserved_by is not null)"""
    )
    assert row is not None
    return int(row[0]), int(row[1])


async def test_an_emergency_stop_holds_everything_and_loses_nothing(
    begin: Begin, database: Database
) -> None:
    """Engines and workers of two processes stop amid work, timers and signals; after the resume all of it ends, once."""
    calls: Counter[str] = Counter()

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        calls[message["data"]["id"]] += 1
        return {"data": message["data"]}

    mesh = await begin(HOOKED, work=work, more=echo)
    other = await begin(None, work=work, more=echo)
    ids = [f"j{n}" for n in range(120)]

    async def pour(some: list[str]) -> None:
        for n, jid in enumerate(some):
            await (mesh, other)[n % 2].pub("t", {"id": jid})

    pouring = asyncio.create_task(pour(ids[:60]))

    async def under_way() -> bool:
        return sum(calls.values()) > 20

    await eventually(under_way)
    assert await other.throttle(throttle=-1)
    await pouring
    await pour(ids[60:])

    async def nothing_held() -> bool:
        return (await _rows(database))[1] == 0

    await eventually(nothing_held)
    await asyncio.gather(*(mesh.hook("go", {"id": jid}) for jid in ids))
    before = (await _rows(database), sum(calls.values()))
    assert before[0][0] > len(ids), "the signals wait, and much of the work"
    # Everybody is asked to look for work, and every claim that follows finds the pause.
    for _ in range(3):
        for loop in (
            *mesh._parts.quorum._consumers.values(),
            *other._parts.quorum._consumers.values(),
        ):
            loop.wake()
        profiles = await mesh.roll_call(30)
        for loop in (
            *mesh._parts.quorum._consumers.values(),
            *other._parts.quorum._consumers.values(),
        ):
            await loop.settled()
    assert {p["throttle"] for p in profiles} == {-1}
    assert (await _rows(database), sum(calls.values())) == before
    assert await mesh.throttle(throttle=0)

    async def done() -> bool:
        left = await database.fetchval(
            f"select count(*) from \"{database.schema}\".jobs where state <> 'completed'"
        )
        return left == 0

    await eventually(done, within=150)
    assert calls == Counter(dict.fromkeys(ids, 1))
    assert await _rows(database) == (0, 0)


async def test_profiles_say_what_has_been_done_and_where(begin: Begin) -> None:
    """Counts by code, errors, retry policy, depth, and the machine: as far as each consumer knows them."""

    async def work(message: dict[str, Any]) -> dict[str, Any] | None:
        if message["data"]["id"] == "bad":
            return {"data": {"message": "no"}, "code": 404}
        if message["data"]["id"] == "raises":
            raise ValueError("no")
        return None

    retry = {"maximumAttempts": 2, "initialInterval": 0.01}
    mesh = await begin(ONE, retry=retry, work=work, more=echo)
    for jid in ("good", "bad", "raises"):
        await mesh.pub("t", {"id": jid})

    async def ended() -> bool:
        return all([await mesh.get_status(jid) == 0 for jid in ("good", "bad", "raises")])

    await eventually(ended)
    profiles = {p.get("worker_topic"): p for p in await mesh.roll_call(30)}
    assert profiles["work"]["counts"] == {"200": 1, "404": 1, "500": 2}
    assert profiles["work"]["error_count"] == 3
    assert profiles["work"]["retry"]["maximumAttempts"] == 2
    assert profiles["more"]["counts"] == {"200": 1}
    engine = profiles[None]
    assert (engine["error_count"], engine["retry"]["maximumAttempts"]) == (0, 3)
    assert engine["counts"].get("200", 0) > 0
    assert {p["stream_depth"] for p in profiles.values()} == {0}
    for profile in profiles.values():
        system = profile["system"]
        assert len(system["CPULoad"]) == 3
        assert system["CPUs"] >= 1
        assert system["ProcessCPUSeconds"] > 0
        if system["TotalMemoryGB"] is not None:
            assert system["TotalMemoryGB"] >= system["UsedMemoryGB"] > 0
            assert 0 < system["ProcessMemoryGB"] < system["TotalMemoryGB"]
