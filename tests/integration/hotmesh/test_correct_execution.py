# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Known ways in which an engine of this kind gives wrong results, each provoked and not found.

The numbers are those of the list of defects that `test_known_defects` checks for completeness.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from functools import partial
from typing import Any

import pytest

from durable.errors import DuplicateJob, JobFailed
from durable.postgres.database import Database
from tests.integration.hotmesh.conftest import Begin, ring
from tests.waiting import eventually

RETRY = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w1: {type: worker, topic: work, job: {maps: {v: '{$self.output.data.v}'}}}
      transitions: {t1: [{to: w1}]}
"""


def _fan(count: int) -> str:
    """A graph of so many branches, each of two workers, each with a key of its own in the job."""
    ids = range(count)
    return json.dumps(
        {
            "app": {
                "id": "app",
                "version": "1",
                "graphs": [
                    {
                        "subscribes": "t",
                        "activities": {
                            "t1": {"type": "trigger"},
                            **{f"a{n}": {"type": "worker", "topic": "work", "input": {"maps": {"v": n}}, "output": {}} for n in ids},
                            **{
                                f"b{n}": {
                                    "type": "worker", "topic": "work",
                                    "input": {"maps": {"v": f"{{a{n}.output.data.v}}"}},
                                    "job": {"maps": {f"k{n}": "{$self.output.data.v}"}},
                                }
                                for n in ids
                            },
                        },
                        "transitions": {"t1": [{"to": f"a{n}"} for n in ids], **{f"a{n}": [{"to": f"b{n}"}] for n in ids}},
                    }
                ],
            }
        }
    )  # fmt: skip


@pytest.mark.parametrize("count", [3, 10, 26, 120])
async def test_parallel_activities_run_once_and_keep_their_values(begin: Begin, count: int) -> None:
    """C1, C2: n instant branches on two engines are n executions, each with its own value; 25 is no limit."""
    calls: Counter[str] = Counter()

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        calls[message["metadata"]["aid"]] += 1
        return {"data": message["data"]}

    mesh = await begin(_fan(count), work=work)
    await begin(None, work=work)
    out = await mesh.pubsub("t", timeout=100)
    assert out["data"] == {f"k{n}": n for n in range(count)}
    assert out["metadata"]["js"] == 0
    assert len(calls) == 2 * count
    assert set(calls.values()) == {1}


REFUSING = """
create function "{schema}".refuse() returns trigger language plpgsql as $$ begin
    if new.message::text like '%poison%' then raise exception 'no such answer'; end if;
    if new.msg_type = 'response' then
        case nextval('"{schema}".answers')
            when 1 then raise exception 'disk full' using errcode = 'disk_full';
            when 2 then perform pg_terminate_backend(pg_backend_pid());
            else null;
        end case;
    end if;
    return new;
end $$;
create sequence "{schema}".answers;
create trigger refuse before insert on "{schema}".engine_streams
    for each row execute function "{schema}".refuse();
"""


async def _refuse(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(REFUSING.replace("{schema}", database.schema))


async def test_an_answer_that_cannot_be_published_is_not_lost(
    begin: Begin, database: Database
) -> None:
    """C4: no room, then a broken connection, when the answer is written: it is sent again, the callback is not run again."""
    calls: list[str] = []

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        calls.append(message["metadata"]["jid"])
        return {"data": {"v": 7}}

    await _refuse(database)
    mesh = await begin(RETRY, work=work)
    out = await mesh.pubsub("t", {"id": "j"}, timeout=100)
    assert (out["data"], calls) == ({"v": 7}, ["j"])


async def test_an_answer_that_is_refused_for_good_fails_its_job(
    begin: Begin, database: Database
) -> None:
    """C4: what the database will never take is not held for ever either: the job hears of it."""
    await _refuse(database)
    mesh = await begin(RETRY, work=_poison)
    with pytest.raises(JobFailed, match="no such answer"):
        await mesh.pubsub("t", {"id": "j"}, timeout=100)
    query = f'select count(*) from "{database.schema}".worker_streams where expired_at is null'
    assert await database.fetchval(query) == 0


async def _poison(_message: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"v": "poison"}}


TWO_RULES = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        one: {type: hook, job: {maps: {one: '{$self.hook.data.word}'}}}
        two: {type: hook, job: {maps: {two: '{$self.hook.data.word}'}}}
      transitions: {t1: [{to: one}, {to: two}]}
      hooks:
        say:
          - {to: one, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.one}'}]}}
          - to: two
            conditions:
              match:
                - {expected: '{$job.metadata.jid}', actual: '{$self.hook.data.two}'}
                - {expected: 2, actual: '{$self.hook.data.n}'}
"""


async def test_every_rule_of_a_topic_counts(begin: Begin) -> None:
    """C5: not the first rule and its first comparison alone: two hooks wait at one topic, each by its own."""
    mesh = await begin(TWO_RULES)
    await mesh.pub("t", {"id": "j"})
    await mesh.hook("say", {"two": "j", "n": 1, "word": "another n"})
    await mesh.hook("say", {"two": "j", "n": 2, "word": "second"})
    await eventually(lambda: _data_is(mesh, "j", {"two": "second"}))
    assert await mesh.get_status("j") == 1
    await mesh.hook("say", {"one": "j", "word": "first"})
    await eventually(lambda: _data_is(mesh, "j", {"one": "first", "two": "second"}))
    assert await mesh.get_status("j") == 0


async def _data_is(mesh: Any, jid: str, wanted: dict[str, Any]) -> bool:
    return bool((await mesh.get_state("t", jid))["data"] == wanted)


SAME_KEY = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        h1: {type: hook, job: {maps: {word: '{$self.hook.data.word}'}}}
      transitions: {t1: [{to: h1}]}
      hooks:
        say: [{to: h1, conditions: {match: [{expected: '{t1.output.data.key}', actual: '{$self.hook.data.key}'}]}}]
"""


async def test_waiters_of_one_key_stand_in_line(begin: Begin) -> None:
    """C6: a second waiter does not overwrite the first, nor a second signal the first: each has its own, in order."""
    mesh = await begin(SAME_KEY)
    for jid in ("j1", "j2"):
        await mesh.pub("t", {"id": jid, "key": "k"})
    for word in ("first", "second", "third", "fourth"):
        await mesh.hook("say", {"key": "k", "word": word})
    await eventually(lambda: _data_is(mesh, "j2", {"word": "second"}))
    assert await _data_is(mesh, "j1", {"word": "first"})
    for jid, word in (("j3", "third"), ("j4", "fourth")):
        out = await mesh.pubsub("t", {"id": jid, "key": "k"}, timeout=100)
        assert out["data"] == {"word": word}


PERSISTS = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 0.001
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        p1: {type: hook, persist: true, job: {maps: {done: true}}}
        h1: {type: hook, job: {maps: {word: '{$self.hook.data.word}'}}}
      transitions: {t1: [{to: h1}, {to: p1}]}
      hooks:
        say: [{to: h1, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}]
"""


async def test_an_id_belongs_to_one_running_job(begin: Begin, database: Database) -> None:
    """C6, C8: a job that counts as done and still waits keeps its id, though it has expired: a signal is never another's."""
    mesh = await begin(PERSISTS)
    await mesh.pubsub("t", {"id": "j"}, timeout=100)
    expired = f'select expires_at < statement_timestamp() from "{database.schema}".jobs'
    await eventually(lambda: database.fetchval(expired))
    with pytest.raises(DuplicateJob):
        await mesh.pub("t", {"id": "j"})
    await mesh.hook("say", {"id": "j", "word": "first"})
    await eventually(lambda: _data_is(mesh, "j", {"done": True, "word": "first"}))
    await mesh.pub("t", {"id": "j"})
    assert await mesh.get_status("j") == 1


@pytest.mark.parametrize("attempts", [3, 5])
async def test_a_policy_that_says_the_default_is_a_policy(
    begin: Begin, database: Database, attempts: int
) -> None:
    """C11: 3 (or 5) attempts, coefficient 10 and 120 s, written out, are so many attempts, 10 s and 100 s apart."""
    policy = (
        f"retry: {{maximumAttempts: {attempts}, backoffCoefficient: 10, maximumInterval: 120s}},"
    )
    tries: list[int] = []

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        tries.append(message["metadata"]["try"])
        raise OSError("no")

    mesh = await begin(RETRY.replace("topic: work,", f"topic: work, {policy}"), work=work)
    waiting = asyncio.create_task(mesh.pubsub("t", {"id": "j"}, timeout=100))
    delays: list[float] = []
    for number in range(1, attempts):
        delay = await eventually(partial(_due_in, database, number))
        delays.append(delay)
    with pytest.raises(JobFailed, match="no"):
        await waiting
    assert tries == list(range(attempts))
    wanted = [10, 100, 120, 120][: attempts - 1]
    assert delays == pytest.approx(wanted, abs=5)  # what the commit took lies between


async def _due_in(database: Database, attempt: int) -> float | None:
    """Its seconds of delay: that attempt is then made due at once; None before it is there."""
    found: float | None = await database.fetchval(
        f'update "{database.schema}".worker_streams w set visible_at = o.created_at'
        f' from (select * from "{database.schema}".worker_streams where retry_attempt = $1) o'
        " where w.id = o.id and w.retry_attempt = $1 and o.visible_at > statement_timestamp()"
        " returning extract(epoch from o.visible_at - (select max(expired_at)"
        f' from "{database.schema}".worker_streams where retry_attempt = $1 - 1))::float8',
        attempt,
    )
    return found


async def test_the_twelfth_delivery_is_as_good_as_the_first(
    begin: Begin, database: Database
) -> None:
    """C17: a step that broke eleven times is applied the twelfth time, once; nothing counts by a digit."""
    calls: list[str] = []

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        calls.append(message["metadata"]["jid"])
        return {"data": {"v": 1}}

    await database.fetch(f'create sequence "{database.schema}".steps')
    async with database.connection() as connection:
        await connection.execute(
            f'create function "{database.schema}".falter() returns trigger language plpgsql as $$ begin'
            f" if nextval('\"{database.schema}\".steps') < 12 then"
            " raise exception 'again' using errcode = 'deadlock_detected'; end if; return old; end $$;"
            f' create trigger falter after delete on "{database.schema}".engine_streams'
            f' for each row execute function "{database.schema}".falter()'
        )
    mesh = await begin(RETRY, work=work)
    out = await mesh.pubsub("t", {"id": "j"}, timeout=100)
    assert (out["data"], out["metadata"]["js"], calls) == ({"v": 1}, 0, ["j"])
    assert await database.fetchval(f"select nextval('\"{database.schema}\".steps')") == 13


SAID = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 100
      activities:
        t1: {type: trigger}
        a1: {type: await, topic: child, await: true, job: {maps: {v: '{$self.output.data.v}'}}}
        g1: {type: signal, subtype: one, topic: say, status: success, code: 200, signal: {maps: {id: '{$job.metadata.jid}'}}}
        h1: {type: hook, emit: false, persist: false, statusThreshold: 0, job: {maps: {heard: true}}}
      transitions: {t1: [{to: a1, conditions: {code: 200, gate: and}}, {to: h1}, {to: g1}]}
      hooks:
        say: [{to: h1, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}]
    - subscribes: child
      activities:
        t2: {type: trigger, job: {maps: {v: 5}}}
"""
DEFAULTS = (
    ", await: true", ", status: success, code: 200", ", emit: false, persist: false, statusThreshold: 0",
    ", conditions: {code: 200, gate: and}",
)  # fmt: skip


async def test_saying_the_default_changes_nothing(begin: Begin) -> None:
    """C18: a graph that spells its defaults out does what the one does that leaves them out."""
    unsaid = SAID
    for words in DEFAULTS:
        assert words in unsaid
        unsaid = unsaid.replace(words, "")
    documents = []
    for app_id, text in (("said", SAID), ("unsaid", unsaid)):
        mesh = await begin(text.replace("id: app", f"id: {app_id}"), app_id=app_id)
        out = await mesh.pubsub("t", timeout=100)
        assert out["data"] == {"v": 5, "heard": True}
        exported = await mesh.export(out["metadata"]["jid"])
        documents.append({k: sorted(v) for k, v in exported["process"].items()})
    assert documents[0] == documents[1]


DIMENSIONS = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w1: {type: worker, topic: work}
        h1: {type: hook, sleep: '{w1.output.data.sleep}'}
        heard: {type: worker, topic: heard, input: {maps: {n: '{h1.hook.data.n}', at: '{h1.hook.data.timestamp}', which: '{w1.output.data.which}'}}}
      transitions:
        t1: [{to: w1}]
        w1: [{to: h1, conditions: {code: [200, 202]}}]
        h1: [{to: heard}]
      hooks:
        say: [{to: h1, conditions: {match: [{expected: '{w1.output.data.which}', actual: '{$self.hook.data.which}'}]}}]
"""


async def test_a_signal_disarms_its_own_timer_only(begin: Begin, database: Database) -> None:
    """C21: one activity waits in three dimensions; who is signalled loses its timer, the others keep theirs."""
    heard: list[dict[str, Any]] = []

    async def note(message: dict[str, Any]) -> dict[str, Any]:
        heard.append(message["data"])
        return {"data": {}}

    mesh = await begin(DIMENSIONS, heard=note)
    await mesh.pub("t", {"id": "j"})
    address = {"jid": "j", "aid": "w1", "dad": ",0,0"}
    for which, sleep, code in (("a", 3600, 202), ("b", 3600, 202), ("c", 1800, 200)):
        data = {"which": which, "sleep": sleep}
        await mesh.add({"metadata": address, "data": data, "code": code})
    await eventually(lambda: _timers(database, 3))
    await ring(database, "j")  # the timer of "c"
    await mesh.hook("say", {"which": "a", "n": 1})
    await eventually(lambda: _called(heard, 2))
    assert [h["which"] for h in heard if h.get("n") == 1] == ["a"]
    assert [h["which"] for h in heard if "n" not in h and h["at"]] == ["c"]
    assert await _timers(database, 1)
    await eventually(lambda: _status_is(mesh, "j", 1))
    await mesh.hook("say", {"which": "b", "n": 2})
    await eventually(lambda: _timers(database, 0))
    await eventually(lambda: _called(heard, 3))
    await eventually(lambda: _status_is(mesh, "j", 0))


async def _status_is(mesh: Any, jid: str, status: int) -> bool:
    return bool(await mesh.get_status(jid) == status)


async def _timers(database: Database, count: int) -> bool:
    found = await database.fetchval(
        f"select count(*) from \"{database.schema}\".engine_streams where msg_type = 'timehook'"
    )
    return bool(found == count)


async def _called(heard: list[Any], count: int) -> bool:
    return len(heard) >= count
