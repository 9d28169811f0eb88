# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Which way a job takes: codes, retries by code, topics found at run time, private graphs."""

from __future__ import annotations

from typing import Any

import pytest

from durable.errors import ApplicationError, ConfigurationError, DescriptorError, JobFailed
from tests.integration.hotmesh.conftest import Begin, echo
from tests.waiting import eventually

STATUS = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: status
      activities:
        t1: {type: trigger}
        w1:
          type: worker
          topic: work
          input: {maps: {code: '{t1.output.data.code}'}}
        fine: {type: hook, job: {maps: {way: fine, code: '{w1.output.metadata.code}'}}}
        more: {type: hook, job: {maps: {way: more, code: '{w1.output.metadata.code}'}}}
        fix: {type: hook, job: {maps: {way: fix, code: '{w1.output.metadata.err.code}'}}}
        any5xx: {type: hook, job: {maps: {way: any5xx, code: '{w1.output.metadata.err.code}'}}}
      transitions:
        t1: [{to: w1}]
        w1:
          - {to: fine}
          - {to: more, conditions: {code: ['201', 203]}}
          - {to: fix, conditions: {code: 422}}
          - {to: any5xx, conditions: {code: [500, 503]}}
"""


async def say(message: dict[str, Any]) -> dict[str, Any]:
    """Answer with the code that was asked for."""
    code = message["data"]["code"]
    return {"code": code, "data": {"message": f"code {code}"}}


@pytest.mark.parametrize(
    ("code", "way"),
    [(200, "fine"), (201, "more"), (203, "more"), (422, "fix"), (500, "any5xx"), (503, "any5xx")],
)
async def test_each_code_of_a_list_leads_its_way(begin: Begin, code: int, way: str) -> None:
    """Success and errors follow the transitions that name their code, alone or in a list."""
    mesh = await begin(STATUS, work=say)
    out = await mesh.pubsub("status", {"code": code}, timeout=100)
    assert out["data"] == {"way": way, "code": code}
    assert out["metadata"]["js"] == 0


@pytest.mark.parametrize("code", [200, 204, 299, 404, 599])
async def test_a_way_without_conditions_takes_every_answer_that_is_no_error(
    begin: Begin, code: int
) -> None:
    """Whatever the code, unless it is an error: that needs a transition that names it, and is never taken for an answer."""

    async def answer(message: dict[str, Any]) -> dict[str, Any]:
        return {"code": code, "status": message["data"]["status"], "data": {"n": code}}

    text = STATUS.replace("{code: '{t1.output.data.code}'}", "{status: '{t1.output.data.status}'}")
    mesh = await begin(text, work=answer)
    out = await mesh.pubsub("status", {"status": "success"}, timeout=100)
    assert out["data"] == {"way": "fine", "code": code}
    with pytest.raises(JobFailed) as failed:
        await mesh.pubsub("status", {"status": "error"}, timeout=100)
    assert failed.value.code == code


async def test_a_way_without_conditions_takes_interim_answers(begin: Begin) -> None:
    """An answer with code 202 is followed like any other, and the activity stays open for more."""
    text = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        h: {type: hook}
        n: {type: hook, job: {maps: {'n[9]': {'@pipe': [['{h.hook.data.n}', true], ['{@object.create}']]}}}}
      transitions: {t1: [{to: h}], h: [{to: n}]}
      hooks: {x: [{to: h, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}]}
"""
    mesh = await begin(text)
    jid = await mesh.pub("t")
    await mesh.hook("x", {"id": jid, "n": "1"}, status="pending", code=202)
    await mesh.hook("x", {"id": jid, "n": "2"})

    async def done() -> bool:
        return await mesh.get_status(jid) == 0

    assert await eventually(done)
    assert (await mesh.get_state("t", jid))["data"] == {"n": {"1": True, "2": True}}


async def test_a_code_without_a_way_ends_the_job(begin: Begin) -> None:
    """A success that no transition names ends the branch; an error becomes the job's own."""
    mesh = await begin(
        STATUS.replace("{to: fine}", "{to: fine, conditions: {code: 200}}"), work=say
    )
    out = await mesh.pubsub("status", {"code": 204}, timeout=100)
    assert (out["data"], out["metadata"]["js"]) == ({}, 0)
    with pytest.raises(JobFailed, match="code 504") as failed:
        await mesh.pubsub("status", {"code": 504}, timeout=100)
    assert failed.value.code == 504


RETRIED = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        w1:
          type: worker
          topic: work
          input: {maps: {how: '{t1.output.data.how}', code: '{t1.output.data.code}'}}
          retry: {maximumAttempts: 2, initialInterval: 0, maximumInterval: 0, nonRetryable: [KeyError], 503: [4, x], 404: [0, x]}
      transitions: {t1: [{to: w1}]}
"""

TRIES = [
    ("raise", 503, 5),
    ("answer", 503, 5),
    ("raise", 404, 1),
    ("answer", 404, 1),
    ("raise", 500, 2),
    ("answer", 500, 1),
    ("never", 500, 1),
]


@pytest.mark.parametrize(("how", "code", "attempts"), TRIES)
async def test_retries_by_code(begin: Begin, how: str, code: int, attempts: int) -> None:
    """A code that `retry` names is tried again as often as it says, however the error came; others as ever."""
    tries: list[int] = []

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        tries.append(message["metadata"]["try"])
        if how == "never":
            raise KeyError("no")
        if how == "answer":
            return {"code": code, "data": {"message": "no"}}
        error = ApplicationError("no")
        error.code = code  # type: ignore[attr-defined]
        raise error

    mesh = await begin(RETRIED, work=work)
    with pytest.raises(JobFailed) as failed:
        await mesh.pubsub("t", {"how": how, "code": code}, timeout=100)
    assert failed.value.code == code
    assert tries == list(range(attempts))


TOPICS = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        w1:
          type: worker
          topic: {'@pipe': [[work., '{t1.output.data.kind}'], ['{@string.concat}']]}
          input: {maps: {n: 1}}
        a1: {type: await, topic: '{t1.output.data.child}', await: '{t1.output.data.wait}', input: {maps: {n: 2}}, job: {maps: {got: '{$self.output.data}'}}}
      transitions: {t1: [{to: w1}], w1: [{to: a1}]}
    - subscribes: .hidden
      activities:
        c1: {type: trigger, job: {maps: {doubled: {'@pipe': [['{$self.output.data.n}', 2], ['{@math.multiply}']]}}}}
"""


async def test_topics_are_found_at_run_time(begin: Begin) -> None:
    """The topics of worker and await may be computed; so may whether to wait; a private graph can be awaited."""
    mesh = await begin(TOPICS, work__fast=echo)
    out = await mesh.pubsub("t", {"kind": "fast", "child": ".hidden", "wait": True}, timeout=100)
    assert out["data"] == {"got": {"doubled": 4}}
    out = await mesh.pubsub("t", {"kind": "fast", "child": ".hidden", "wait": False}, timeout=100)
    assert set(out["data"]["got"]) == {"job_id", "jc", "ju"}
    child = out["data"]["got"]["job_id"]
    assert (await mesh.get_state(".hidden", child))["data"] == {"doubled": 4}


async def test_a_child_that_nothing_subscribes_to_is_an_error(begin: Begin) -> None:
    """A computed topic that leads nowhere is an error of the await, code 404."""
    mesh = await begin(TOPICS, work__fast=echo)
    with pytest.raises(JobFailed, match="subscribes to 'nowhere'") as failed:
        await mesh.pubsub("t", {"kind": "fast", "child": "nowhere", "wait": True}, timeout=100)
    assert failed.value.code == 404


async def test_a_private_graph_is_started_by_activities_only(begin: Begin) -> None:
    """From outside a topic that begins with a dot is refused."""
    mesh = await begin(TOPICS, work__fast=echo)
    with pytest.raises(ConfigurationError, match="is private"):
        await mesh.pub(".hidden", {"n": 1})


async def test_what_cannot_be_a_code_is_refused(begin: Begin) -> None:
    """A code list that is empty, or holds something else, is found at deploy."""
    mesh = await begin(None)
    for codes in ("[]", "[200, many]", "99"):
        with pytest.raises(DescriptorError, match="code"):
            await mesh.deploy(STATUS.replace("[500, 503]", codes))


async def test_topics_with_colons_are_whole(begin: Begin) -> None:
    """C22: topics that differ only before a colon are two topics."""
    text = """
app:
  id: app
  version: '1'
  graphs:
    - {subscribes: 'a:run', activities: {t1: {type: trigger, job: {maps: {is: a}}}}}
    - {subscribes: 'b:run', activities: {t2: {type: trigger, job: {maps: {is: b}}}}}
"""
    mesh = await begin(text)
    assert (await mesh.pubsub("a:run"))["data"] == {"is": "a"}
    assert (await mesh.pubsub("b:run"))["data"] == {"is": "b"}


async def test_a_status_that_was_asked_for_is_there_at_once(begin: Begin) -> None:
    """C23: a job is there with its first work, in one transaction; it is never half begun."""
    mesh = await begin(STATUS)
    jid = await mesh.pub("status", {"code": 200})
    assert await mesh.get_status(jid) == 1
    exported = await mesh.export(jid)
    assert exported["status"] == "1"
    await mesh.interrupt("status", jid)
    assert await eventually(lambda: mesh.get_status(jid)) == -999_999_999
