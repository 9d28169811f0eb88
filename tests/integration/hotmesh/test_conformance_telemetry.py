# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""Telemetry: spans of legs, callbacks and starts, one trace for a job and what it awaits; nothing without a provider."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import StatusCode

from durable.engine.transitions import trace_legs
from durable.errors import JobFailed
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
        t1: {type: trigger, stats: {id: '{$self.input.data.id}'}, telemetry: {asked: '{$self.output.data.a}'}}
        w1:
          type: worker
          topic: work
          input: {maps: {a: '{t1.output.data.a}'}}
          telemetry: {sent: '{t1.output.data.a}', got: '{$self.output.data.a}', list: [1], fixed: true}
          job: {maps: {a: '{$self.output.data.a}'}}
        a1: {type: await, topic: child}
        h1: {type: hook, telemetry: {twice: {'@pipe': [['{$job.data.a}', 2], ['{@math.multiply}']]}}}
      transitions: {t1: [{to: w1}], w1: [{to: a1}, {to: h1}]}
    - subscribes: child
      activities: {c1: {type: trigger}, cw: {type: worker, topic: deep}}
      transitions: {c1: [{to: cw}]}
"""


class Traces:
    """What was exported."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """All spans that have ended, in that order."""
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        """The one span of this name."""
        (span,) = [s for s in self.spans if s.name == name]
        return span


def _provide(monkeypatch: pytest.MonkeyPatch, sampler: Sampler = ALWAYS_ON) -> tuple[Traces, Any]:
    """A provider for this test alone: the API knows but one for a process, and for ever."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return Traces(exporter), provider.get_tracer("test")


def _id(span: ReadableSpan) -> int:
    found = span.get_span_context()
    assert found is not None
    return found.span_id


async def _ended(mesh: HotMesh, jid: str) -> bool:
    return await mesh.get_status(jid) == 0


async def test_a_job_and_all_that_belongs_to_it_is_one_trace(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start is a child of the caller's span; legs, callbacks and the child job are children of the start."""
    traces, tracer = _provide(monkeypatch)
    mesh = await begin(GRAPH, work=echo)
    await begin(None, deep=echo)
    with tracer.start_as_current_span("caller") as caller:
        await mesh.pubsub("t", {"id": "j", "a": 7}, timeout=100)

    async def told() -> bool:
        return len(traces.spans) == 13

    await eventually(told)
    names = sorted(s.name for s in traces.spans)
    assert names == [
        "AWAIT/app/a1/1", "AWAIT/app/a1/2", "EXECUTE/child/cw/deep", "EXECUTE/t/w1/work",
        "HOOK/app/h1/1", "JOB/app/t/1", "TRIGGER/app/c1/1", "TRIGGER/app/t1/1", "WORKER/app/cw/1",
        "WORKER/app/cw/2", "WORKER/app/w1/1", "WORKER/app/w1/2", "caller",
    ]  # fmt: skip
    start = traces.named("JOB/app/t/1")
    assert start.parent is not None
    assert start.parent.span_id == caller.get_span_context().span_id
    assert start.attributes is not None
    assert start.attributes["app.job.jid"] == "j"
    for span in traces.spans:
        found = span.get_span_context()
        assert found is not None
        assert found.trace_id == caller.get_span_context().trace_id
        if span.name not in ("caller", start.name):
            assert span.parent is not None
            assert span.parent.span_id == _id(start), span.name


async def test_attributes_are_those_of_the_leg(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has no value in a leg is left out there; what is no scalar is left out; the second lasts as long as the wait."""
    traces, _ = _provide(monkeypatch)
    mesh = await begin(GRAPH, work=echo, deep=echo)
    await mesh.pubsub("t", {"id": "j", "a": 7}, timeout=100)

    def own(name: str) -> dict[str, Any]:
        return {
            key.removeprefix("app.activity.data."): value
            for key, value in (traces.named(name).attributes or {}).items()
            if key.startswith("app.activity.data.")
        }

    assert own("TRIGGER/app/t1/1") == {"asked": 7}
    assert own("WORKER/app/w1/1") == {"sent": 7, "fixed": True}
    assert own("WORKER/app/w1/2") == {"sent": 7, "got": 7, "fixed": True}
    assert own("HOOK/app/h1/1") == {"twice": 14}
    second = traces.named("WORKER/app/w1/2")
    assert second.attributes is not None
    assert {
        k: v for k, v in second.attributes.items() if not k.startswith("app.activity.data.")
    } == {
        "app.job.jid": "j",
        "app.job.tpc": "t",
        "app.job.app": "app",
        "app.job.vrs": "1",
        "app.activity.aid": "w1",
        "app.activity.atp": "worker",
        "app.activity.dad": ",0,0",
        "app.activity.leg": 2,
        "app.activity.code": 200,
    }
    call = traces.named("EXECUTE/t/w1/work")
    assert second.start_time is not None
    assert second.end_time is not None
    assert second.end_time > second.start_time
    assert call.attributes is not None
    assert call.attributes["app.stream.jid"] == "j"


async def test_a_callbacks_own_spans_are_in_the_trace(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a callback runs its span is the current one; the message names the trace too."""
    traces, tracer = _provide(monkeypatch)

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        with tracer.start_as_current_span("inner"):
            return {"data": {"a": 1, "trc": message["metadata"]["trc"]}}

    mesh = await begin(GRAPH, work=work, deep=echo)
    await mesh.pubsub(
        "t", {"id": "j", "a": 7}, {"metadata": {"trc": "a" * 32, "spn": "b" * 16}}, timeout=30
    )
    inner, call = traces.named("inner"), traces.named("EXECUTE/t/w1/work")
    assert inner.parent is not None
    assert inner.parent.span_id == _id(call)
    start = traces.named("JOB/app/t/1")
    assert start.parent is not None
    assert trace.format_trace_id(start.parent.trace_id) == "a" * 32
    assert trace.format_span_id(start.parent.span_id) == "b" * 16
    metadata = (await mesh.get_state("t", "j"))["metadata"]
    assert (metadata["trc"], metadata["spn"]) == ("a" * 32, trace.format_span_id(_id(start)))


async def test_errors_are_told(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The span of the leg that failed and that of the callback have status error; a refused start has too."""
    traces, _ = _provide(monkeypatch)

    async def work(_message: dict[str, Any]) -> None:
        error = ValueError("no luck")
        error.non_retryable = True  # type: ignore[attr-defined]
        raise error

    mesh = await begin(GRAPH, work=work)
    with pytest.raises(JobFailed):
        await mesh.pubsub("t", {"id": "j", "a": 7}, timeout=100)
    leg = traces.named("WORKER/app/w1/2")
    assert leg.status.status_code is StatusCode.ERROR
    assert leg.status.description == "no luck"
    assert traces.named("EXECUTE/t/w1/work").status.status_code is StatusCode.ERROR
    with pytest.raises(Exception, match="nothing"):
        await mesh.pub("nothing", {})
    assert traces.named("JOB/app/nothing/1").status.status_code is StatusCode.ERROR


async def test_a_trace_that_is_not_sampled_stays_so(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the start's sampler says no, nothing of the job is exported by anybody."""
    traces, _ = _provide(monkeypatch, ParentBased(ALWAYS_OFF))
    mesh = await begin(GRAPH, work=echo, deep=echo)
    out = await mesh.pubsub("t", {"id": "j", "a": 7}, timeout=100)
    assert out["metadata"]["trf"] == 0
    assert traces.spans == ()


async def test_what_cannot_be_evaluated_is_said_and_fails_nothing(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telemetry never decides what becomes of a job: with a provider it ends as without one."""
    traces, _ = _provide(monkeypatch)
    broken = GRAPH.replace(
        "asked: '{$self.output.data.a}'", "asked: {'@pipe': [['x'], ['{@json.parse}']]}"
    )
    mesh = await begin(broken, work=echo, deep=echo)
    assert (await mesh.pubsub("t", {"id": "j", "a": 7}, timeout=100))["metadata"]["js"] == 0
    attributes = traces.named("TRIGGER/app/t1/1").attributes
    assert attributes is not None
    assert "app.activity.telemetry.error" in attributes


async def test_without_a_provider_nothing_is_done(
    begin: Begin, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No expression of a `telemetry` is evaluated, nothing about a trace is stored or sent."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("telemetry was evaluated")

    monkeypatch.setattr(trace_legs, "_leg", refuse)
    messages: list[dict[str, Any]] = []

    async def work(message: dict[str, Any]) -> dict[str, Any]:
        messages.append(message)
        return {"data": message["data"]}

    mesh = await begin(GRAPH, work=work, deep=echo)
    await mesh.pub("t", {"id": "j", "a": 7})
    await eventually(lambda: _ended(mesh, "j"))
    assert not {"trc", "spn", "trf"} & messages[0]["metadata"].keys()
    rows = await database.fetch(f'select metadata from "{database.schema}".jobs')
    assert not any({"trc", "spn", "trf"} & json.loads(row["metadata"]).keys() for row in rows)


@pytest.mark.parametrize(("trc", "spn"), [("t", "s"), ("0" * 32, "b" * 16), ("a" * 32, "0" * 16)])
async def test_what_is_no_trace_is_no_parent(
    begin: Begin, monkeypatch: pytest.MonkeyPatch, trc: str, spn: str
) -> None:
    """Other texts under trc and spn are taken for none: the start begins a trace of its own."""
    traces, _ = _provide(monkeypatch)
    mesh = await begin(GRAPH, work=echo, deep=echo)
    await mesh.pubsub("t", {"id": "j", "a": 7}, {"metadata": {"trc": trc, "spn": spn}}, timeout=100)
    assert traces.named("JOB/app/t/1").parent is None
