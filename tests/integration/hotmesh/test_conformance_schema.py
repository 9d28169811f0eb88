# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Schemas: data is checked where a graph says `validate: true`, and nowhere else; nothing is lost."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import pytest

from durable.errors import DescriptorError, JobFailed, PayloadError, SchemaMismatch
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
      input:
        schema: {type: object, required: [a], properties: {a: {type: number}, id: {type: string}, items: {type: array, items: {type: integer}}}}
        validate: true
      output:
        schema: {type: object, required: [sum], properties: {sum: {type: integer}}}
        validate: true
      activities:
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        w1:
          type: worker
          topic: work
          input:
            schema: {properties: {a: {maximum: 100}}}
            validate: true
            maps: {a: '{t1.output.data.a}'}
          output:
            schema: {required: [b], properties: {b: {type: integer}}}
            validate: true
            500: {schema: {required: [why]}, validate: true}
          job: {maps: {sum: '{$self.output.data.b}'}}
        caught: {type: hook, job: {maps: {sum: 0, seen: '{w1.output.data}', code: '{w1.output.metadata.code}'}}}
      transitions:
        t1: [{to: w1}]
        w1: [{to: caught, conditions: {code: 422}}]
"""
UNCAUGHT = GRAPH.replace("        w1: [{to: caught, conditions: {code: 422}}]\n", "").replace(
    GRAPH[GRAPH.index("        caught:") : GRAPH.index("      transitions:")], ""
)


async def _b(message: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"b": message["data"]["a"]}}


async def test_what_fits_goes_through(begin: Begin) -> None:
    """Input, an activity's input and output, and the job's output all fit: the job ends well."""
    mesh = await begin(GRAPH, work=_b)
    assert (await mesh.pubsub("t", {"id": "j", "a": 5}, timeout=100))["data"] == {"sum": 5}


@pytest.mark.parametrize(
    ("data", "path", "said"),
    [
        ({}, "$", "'a' is a required property"),
        ({"a": "x"}, "$.a", "'x' is not of type 'number'"),
        ({"a": 1, "items": [1, "two"]}, "$.items[1]", "'two' is not of type 'integer'"),
    ],
)
async def test_a_start_that_does_not_fit_is_refused(
    begin: Begin, database: Database, data: dict[str, Any], path: str, said: str
) -> None:
    """`pub` raises with the path and what is wrong, and no job is there."""
    mesh = await begin(GRAPH, work=_b)
    with pytest.raises(SchemaMismatch, match="the input of graph 't' does not fit") as refused:
        await mesh.pub("t", data)
    assert (refused.value.path, refused.value.code) == (path, 422)
    assert said in str(refused.value)
    assert isinstance(refused.value, PayloadError)
    assert await database.fetchval(f'select count(*) from "{database.schema}".jobs') == 0


async def test_an_answer_that_does_not_fit_is_an_error_that_can_be_caught(begin: Begin) -> None:
    """A transition with code 422 takes it, and sees the data as the worker sent it."""
    mesh = await begin(GRAPH, work=echo)
    out = await mesh.pubsub("t", {"id": "j", "a": 5}, timeout=100)
    assert out["data"] == {"sum": 0, "seen": {"a": 5}, "code": 422}


async def test_an_uncaught_mismatch_fails_the_job_and_keeps_the_data(begin: Begin) -> None:
    """The job's error has code 422 and the path; the export still shows what the worker answered."""
    mesh = await begin(UNCAUGHT, work=echo)
    with pytest.raises(
        JobFailed, match="the output of activity 'w1' of graph 't' does not fit"
    ) as failed:
        await mesh.pubsub("t", {"a": 5, "id": "j"}, timeout=100)
    assert (failed.value.code, failed.value.details) == (422, {"path": "$"})
    raw = await mesh.get_raw("j")
    assert raw["w1,0,0/output/data/a"] == 5


async def test_an_input_that_does_not_fit_is_never_sent(begin: Begin) -> None:
    """The worker is not called; the activity answers with 422 instead."""
    called: list[Any] = []

    async def work(message: dict[str, Any]) -> None:
        called.append(message)

    mesh = await begin(GRAPH, work=work)
    out = await mesh.pubsub("t", {"id": "j", "a": 101}, timeout=100)
    assert out["data"]["code"] == 422
    assert called == []


async def test_answers_have_schemas_by_code(begin: Begin) -> None:
    """An error of code 500 is checked by its own schema; one that fits stays the error that it was."""
    why: dict[str, Any] = {"why": "because"}

    async def work(_message: dict[str, Any]) -> dict[str, Any]:
        return {"data": why, "code": 500}

    mesh = await begin(GRAPH, work=work)
    with pytest.raises(JobFailed) as failed:
        await mesh.pubsub("t", {"id": "j", "a": 1}, timeout=100)
    assert failed.value.code == 500
    why.clear()
    assert (await mesh.pubsub("t", {"id": "k", "a": 1}, timeout=100))["data"]["code"] == 422


@pytest.mark.parametrize("how", ["end", "persist", "threshold"])
async def test_a_job_whose_output_does_not_fit_fails(begin: Begin, how: str) -> None:
    """At its end, when it is declared done, when it is cut short: code 422, and its data is kept."""
    extra = {"end": "", "persist": ", persist: true", "threshold": ""}[how]
    after = "        last: {type: hook, statusThreshold: 5}\n" if how == "threshold" else ""
    graph = f"""
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 300
      output: {{schema: {{properties: {{n: {{type: string}}}}}}, validate: true}}
      activities:
        t1: {{type: trigger, stats: {{id: '{{$self.input.data.id}}'}}, job: {{maps: {{n: '{{$self.output.data.n}}'}}}}}}
        p: {{type: hook{extra}}}
        open: {{type: hook, hook: {{topic: x}}}}
{after}      transitions:
        t1: [{{to: p}}{", {to: open}" if how == "persist" else ""}]
        {"p: [{to: last}]" if how == "threshold" else "p: []"}
"""
    if how != "persist":
        graph = graph.replace("        open: {type: hook, hook: {topic: x}}\n", "")
    mesh = await begin(graph)
    assert (await mesh.pubsub("t", {"n": "ok", "id": "good"}, timeout=100))["data"] == {"n": "ok"}
    with pytest.raises(
        JobFailed, match=r"the output of graph 't' does not fit its schema at \$.n"
    ) as failed:
        await mesh.pubsub("t", {"n": 7, "id": "bad"}, timeout=100)
    assert failed.value.code == 422
    assert (await mesh.get_state("t", "bad"))["data"] == {"n": 7}


async def test_a_child_that_cannot_begin_is_its_parents_error(begin: Begin) -> None:
    """An await whose data does not fit the child's input is answered with 422."""
    parent = """
    - subscribes: parent
      activities:
        p1: {type: trigger}
        a1: {type: await, topic: t, input: {maps: {a: '{p1.output.data.a}', id: child}}}
        seen: {type: hook, job: {maps: {code: '{a1.output.metadata.code}'}}}
      transitions: {p1: [{to: a1}], a1: [{to: seen, conditions: {code: [200, 422]}}]}
"""
    mesh = await begin(GRAPH.rstrip() + parent, work=_b)
    assert (await mesh.pubsub("parent", {"a": "x"}, timeout=100))["data"] == {"code": 422}
    assert (await mesh.pubsub("parent", {"a": 1}, timeout=100))["data"] == {"code": 200}


HOOK = """
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
          hook: {topic: done, schema: {required: [by]}, validate: true}
          escalation: {role: boss}
          job: {maps: {by: '{$self.hook.data.by}'}}
        bad: {type: hook, job: {maps: {code: '{h1.hook.metadata.code}', got: '{h1.hook.data}'}}}
      transitions: {t1: [{to: h1}], h1: [{to: bad, conditions: {code: 422}}]}
"""


async def _ended(mesh: HotMesh, jid: str) -> bool:
    return await mesh.get_status(jid) == 0


async def test_what_is_signalled_is_checked(begin: Begin) -> None:
    """A payload that does not fit is the hook's answer 422; a timer's or a cancellation's is not checked."""
    mesh = await begin(HOOK)
    await mesh.pub("t", {"id": "j"})
    await mesh.hook("done", {"who": "ann"})
    await eventually(lambda: _ended(mesh, "j"))
    assert (await mesh.get_state("t", "j"))["data"] == {"code": 422, "got": {"who": "ann"}}
    await mesh.pub("t", {"id": "k", "patience": 0.02})
    await eventually(lambda: _ended(mesh, "k"))
    assert (await mesh.get_state("t", "k"))["data"] == {}


async def test_a_resolvers_payload_is_refused_at_the_door(begin: Begin) -> None:
    """`resolve` raises, and the escalation still waits; with a payload that fits the job goes on."""
    mesh = await begin(HOOK)
    await mesh.pub("t", {"id": "j"})
    (row,) = await mesh.escalations.list()
    with pytest.raises(SchemaMismatch, match="'by' is a required property"):
        await mesh.escalations.resolve(row["id"], {"who": "ann"})
    assert await mesh.escalations.count(status="pending") == 1
    await mesh.escalations.resolve(row["id"], {"by": "ann"})
    assert (await mesh.get_state("t", "j"))["data"] == {"by": "ann"}


async def test_without_asking_nothing_is_checked(begin: Begin) -> None:
    """The same schemas without `validate` are documentation."""
    mesh = await begin(GRAPH.replace("validate: true", "validate: false"), work=echo)
    assert (await mesh.pubsub("t", {"id": "j", "a": "anything"}, timeout=100))["metadata"][
        "js"
    ] == 0


@pytest.mark.parametrize(
    ("was", "now", "finding"),
    [
        (
            "schema: {type: object, required: [a],",
            "schema: {type: objekt, required: [a],",
            "it is not a JSON Schema: 'objekt' is not valid",
        ),
        (
            "schema: {required: [b],",
            "schema: {$ref: '#/$defs/b',",
            "'#/\\$defs/b' leads nowhere within this schema",
        ),
        (
            "schema: {required: [b],",
            "schema: {$ref: 'https://example.com/b.json',",
            "nothing is fetched",
        ),
        (
            "schema: {required: [b],",
            "schema: {$schema: 'urn:mine',",
            "there is no dialect 'urn:mine'",
        ),
        (
            "schema: {required: [b],",
            r"schema: {$defs: {x: {pattern: '(a)\1'}}, required: [b],",
            r"line 2\d.*\$defs\.x\.pattern.*cannot be searched for: .*backreference",
        ),
        (
            "            schema: {properties: {a: {maximum: 100}}}\n",
            "",
            "there is no `schema` here",
        ),
        (
            "job: {maps: {sum: '{$self.output.data.b}'}}",
            "job: {validate: true, schema: {}, maps: {sum: 1}}",
            "checked by the graph's `output`",
        ),
        (
            "t1: {type: trigger,",
            "t1: {type: trigger, output: {schema: {}, validate: true},",
            "checked by the graph's `input`",
        ),
        ("validate: true\n            500", "validate: yes please\n            500", "validate"),
    ],
)
async def test_a_schema_that_cannot_be_checked_by_is_refused(
    begin: Begin, was: str, now: str, finding: str
) -> None:
    """Deploy says what is wrong with a schema, a reference in it, or the place where it stands."""
    mesh = await begin(None)
    assert was in GRAPH
    with pytest.raises(DescriptorError, match=finding):
        await mesh.deploy(GRAPH.replace(was, now))


def test_without_the_package_a_graph_that_asks_is_refused_and_others_are_not() -> None:
    """Where jsonschema is not installed, deploying says what to install, and only to who asks."""
    program = f"""
    import sys
    sys.modules["jsonschema"] = None
    import importlib.util
    found = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *more: None if name == "jsonschema" else found(name, *more)
    from durable.descriptor.document import load
    from durable.errors import DescriptorError
    graph = {GRAPH!r}
    load(graph.replace("validate: true", "validate: false"))
    try:
        load(graph)
    except DescriptorError as error:
        print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pip install 'durable-postgres[schema]'" in done.stdout
    assert "line 10, app.graphs[0].input.validate" in done.stdout
