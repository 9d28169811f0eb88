"""The compiled form: nodes, routes, hooks."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.descriptor.document import Document, load
from durable.descriptor.expressions.comparison import strict_equal
from durable.descriptor.expressions.context import Context, resolver
from durable.descriptor.expressions.expression import Expression, Literal
from durable.descriptor.expressions.pipe import compile_value
from durable.descriptor.model import Conditions, Match, Transition
from durable.descriptor.plan import Kind, Plan, compile_graph
from durable.descriptor.routes import compile_routes
from durable.descriptor.yaml_reader import read
from durable.errors import DescriptorError
from durable.protocol.retry import RetryPolicy
from tests.unit.descriptor.sources import GENERATED, HANDWRITTEN, graph


def plan_of(source: str, index: int = 0) -> Plan:
    app = load(source)
    return compile_graph(app, app.graphs[index])


GENERATED_PLAN = plan_of(GENERATED)
TOUR = plan_of(HANDWRITTEN)


def evaluate(
    expression: Expression | None, documents: dict[str, object], self_id: str = ""
) -> object:
    assert expression is not None
    return expression.evaluate(Context(resolver(documents, self_id)))


def test_a_generated_graph_compiles():
    """Each activity of the design's descriptor becomes the node that the engine expects."""
    plan = GENERATED_PLAN
    assert (plan.app_id, plan.app_version, plan.version) == ("orders", "51c0ffee", "7c1d09e2")
    assert (plan.subscribes, plan.publishes, plan.trigger, plan.expire) == (
        "fulfil",
        None,
        ".start",
        None,
    )
    assert {aid: node.kind for aid, node in plan.nodes.items()} == {
        ".start": Kind.TRIGGER, "fulfil": Kind.WORKER, "charge": Kind.WORKER, "refund": Kind.WORKER,
        ".activity": Kind.WORKER, ".child": Kind.AWAIT, ".timer": Kind.HOOK, ".signal": Kind.HOOK,
    }  # fmt: skip
    fulfil, charge = plan.nodes["fulfil"], plan.nodes["charge"]
    assert (fulfil.ancestors, fulfil.retry) == ((".start",), None)
    assert charge.ancestors == (".start", "fulfil")
    assert charge.retry == RetryPolicy(
        maximum_attempts=5, backoff_coefficient=2, maximum_interval="300s"
    )
    assert fulfil.children == ("charge", "refund", ".activity", ".child", ".timer", ".signal")
    data = {"fulfil": {"output": {"data": {"topic": "gpu", "seconds": 9}}}}
    assert evaluate(plan.nodes[".activity"].topic, data) == "gpu"
    assert evaluate(plan.nodes[".timer"].sleep, data) == 9
    assert evaluate(charge.topic, data) == "charge"
    assert evaluate(plan.nodes[".child"].awaits, data) is True
    assert plan.nodes[".signal"].hook_topic == "fulfil.signal"
    (hook,) = plan.hooks["fulfil.signal"]
    assert (hook.to, hook.expected, hook.actual) == (".signal", (), ())


@pytest.mark.parametrize(
    ("code", "command", "expected"),
    [
        (202, "charge", ("charge",)), (202, ".timer", (".timer",)), (202, "unknown", ()),
        (202, 5, ()),
        (202, None, ()), (200, "charge", ()), (500, "charge", ()),
    ],
)  # fmt: skip
def test_a_command_finds_its_activity(code, command, expected):
    """A turn's answer is routed by one lookup of its command, under its code only."""
    routes = GENERATED_PLAN.nodes["fulfil"].routes
    documents = {"fulfil": {"output": {"data": {"command": command}}}}
    context = Context(resolver(documents, "fulfil"))
    assert routes.select(code, lambda e: e.evaluate(context)) == expected


def test_equality_matches_share_one_evaluation():
    """A hundred transitions on one expression evaluate it once, not a hundred times."""
    transitions = tuple(
        Transition(
            to=f"a{n}",
            conditions=Conditions(match=(Match(expected=n, actual="{$self.output.data.n}"),)),
        )
        for n in range(100)
    )
    calls = []

    def answer(expression: Expression) -> object:
        calls.append(expression)
        return 42

    assert compile_routes(transitions, ()).select(200, answer) == ("a42",)
    assert len(calls) == 1


def test_all_that_match_fire():
    """Transitions with the same condition all fire, each activity once, in their order."""
    when = Conditions(match=(Match(expected="go", actual="{$self.output.data.x}"),))
    targets = ("b", "a", "b", "c")
    routes = compile_routes(tuple(Transition(to=to, conditions=when) for to in targets), ())
    assert routes.select(200, lambda _: "go") == ("b", "a", "c")
    assert routes.targets == ("b", "a", "c")


def test_the_tour_compiles():
    """All kinds and their options reach the node's named attributes."""
    nodes = TOUR.nodes
    data = {
        "t1": {"input": {"data": {"id": "j-1"}}, "output": {"data": {"a": "A", "n": 3, "id": "j-2",
        "queue": "q"}}},
        "p1": {"output": {"data": {"n": 4}}}, "a1": {"output": {"data": {"y": "Y"}}},
        "h1": {"hook": {"data": {"approved": True}}}, "$job": {"data": {"seed": "S"},
        "metadata": {"jid": "J"}},
    }  # fmt: skip
    assert evaluate(nodes["t1"].job_id, data, "t1") == "j-1"
    assert evaluate(nodes["t1"].job, data, "t1") == {"seed": "A", "count": 0}
    assert evaluate(nodes["a1"].input, data) == {"x": "A", "nested": {"deep": ["S", 1]}}
    assert evaluate(nodes["dyn"].sleep, data) == 6
    assert evaluate(nodes["h1"].job, data, "h1") == {"approved": True}
    assert evaluate(nodes["other"].awaits, data) is False
    assert evaluate(nodes["c1"].input, data) == {"n": 5}
    assert evaluate(nodes["stop"].reason, data) == "no longer needed"
    assert evaluate(nodes["stop"].code, data) == 410
    assert nodes["stop"].target is None
    assert evaluate(nodes["stop2"].target, data) == "j-2"
    assert (evaluate(nodes["stop2"].throw, data), evaluate(nodes["stop2"].descend, data)) == (
        False,
        True,
    )
    assert (nodes["c1"].cycles_to, nodes["p1"].revolves, nodes["w1"].revolves) == (
        "p1",
        True,
        False,
    )
    assert evaluate(TOUR.expire, data) == 120
    assert TOUR.publishes == "order.placed"
    assert TOUR.version == TOUR.app_version == "3"
    (key,) = TOUR.hooks["order.approve"]
    assert (key.to, nodes["h1"].hook_topic) == ("h1", "order.approve")
    assert [evaluate(e, data) for e in key.expected] == ["J"]
    assert [evaluate(e, {"h1": {"hook": {"data": {"id": "J"}}}}, "h1") for e in key.actual] == ["J"]
    signal = plan_of(HANDWRITTEN, 1).nodes["g1"]
    assert evaluate(signal.signal, {"t2": {"output": {"data": {"target": "J"}}}}) == {
        "id": "J",
        "approved": True,
    }
    assert (evaluate(signal.status, {}), evaluate(signal.code, {}), evaluate(signal.topic, {})) == (
        "pending", 202, "order.approve",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("source", "code", "data", "expected"),
    [
        ("t1", 200, {"t1": {"output": {"data": {"a": "hello"}}}}, ("a1", "p1")),
        ("t1", 200, {"t1": {"output": {"data": {"a": "bye"}}}}, ("p1",)),
        ("t1", 500, {}, ()),
        ("a1", 200, {}, ("h1",)), ("a1", 422, {}, ("fix",)), ("a1", 500, {}, ("any5xx",)),
        ("a1", 503, {}, ("any5xx",)), ("a1", 202, {}, ("h1", "other")), ("a1", 404, {}, ()),
        ("w1", 500, {"$job": {"data": {"x": 1}}}, ("stop2",)),
        ("w1", 500, {"$job": {"data": {"x": 2, "y": None}}}, ("stop2",)),
        ("w1", 500, {"$job": {"data": {"x": True}}}, ()),
        ("c1", 200, {}, ()),
    ],
)  # fmt: skip
def test_routes(source, code, data, expected):
    """Codes, gates and strict equality decide who follows; several may, in the document's order."""
    context = Context(resolver(data, source))
    routes = TOUR.nodes[source].routes
    found = routes.select(code, lambda e: e.evaluate(context), failed=code >= 400)
    assert found == expected


SCALARS = st.sampled_from([None, True, False, 0, 1, 1.0, 2, "", "1", "a"])
MATCHES = st.lists(st.tuples(SCALARS, st.sampled_from("xyz")), max_size=3)
RULES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([(200,), (202,), (200, 500)]),
                           st.sampled_from(["and", "or"]), MATCHES), max_size=6)  # fmt: skip


@given(
    RULES,
    st.sampled_from([200, 202, 500]),
    st.dictionaries(st.sampled_from("xyz"), SCALARS | st.just([1])),
)
def test_the_index_selects_what_a_plain_loop_would(rules, code, data):
    """Indexed routes agree with the definition: code in list, all (any) matches strictly equal."""
    transitions = tuple(
        Transition(to=to, conditions=Conditions(
            code=codes, gate=gate,
            match=tuple(Match(expected=e, actual=f"{{$job.data.{name}}}") for e, name in matches)))
        for to, codes, gate, matches in rules
    )  # fmt: skip
    context = Context(resolver({"$job": {"data": data}}))
    wanted = []
    for to, codes, gate, matches in rules:
        hits = [
            strict_equal(e, compile_value(f"{{$job.data.{n}}}").evaluate(context))
            for e, n in matches
        ]
        if code in codes and (not hits or (all(hits) if gate == "and" else any(hits))):
            wanted.append(to)
    chosen = compile_routes(transitions, ()).select(code, lambda e: e.evaluate(context))
    assert chosen == tuple(dict.fromkeys(wanted))


def test_a_plan_is_frozen():
    """Nobody can change a plan that others interpret."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        GENERATED_PLAN.trigger = "x"
    with pytest.raises(TypeError):
        GENERATED_PLAN.nodes["new"] = GENERATED_PLAN.nodes["charge"]
    assert isinstance(GENERATED_PLAN.nodes["charge"].topic, Literal)


def test_an_unknown_activity_is_named():
    """Asking a plan for what it does not have says which graph and version."""
    with pytest.raises(
        DescriptorError, match="graph 'fulfil', version 7c1d09e2, has no activity 'x'"
    ):
        GENERATED_PLAN.node("x")
    assert GENERATED_PLAN.node("charge").id == "charge"


RICH = graph(
    """\
t1:
  type: trigger
  entity: '{$self.input.data.kind}'
  statusThreshold: 2
  telemetry: {who: '{$self.output.data.who}'}
  job: {maps: {plain: 1, 'x[25]': '{$self.output.data.x}', 'm[-]': {a: 1}, 'u[_]': {}}}
  stats:
    id: '{$self.input.data.id}'
    key: {'@pipe': [['{$self.input.data.kind}'], ['{@string.toLowerCase}']]}
    measures:
      - {measure: sum, target: '{$self.input.data.amount}'}
      - {measure: index, target: '{$self.input.data.parent.id}'}
w: {type: worker, topic: a, emit: true, retry: {maximumAttempts: 9, 503: [3, x], 500: [0, x]}}
h:
  type: hook
  persist: '{$job.data.plain}'
  hook: {topic: go}
  escalation: {role: approver, priority: 2, metadata: {id: '{t1.output.data.id}'}, taskQueue: q}
s:
  type: signal
  subtype: all
  topic: go
  key_name: parent/id
  key_value: '{$job.metadata.jid}'
  scrub: true
  resolver: {maps: {data: {a: '{t1.output.data.who}'}}}""",
    "persistent: true\ntransitions: {t1: [{to: w}, {to: h}, {to: s}]}",
)


def test_fields_that_the_engine_will_execute_are_in_the_plan():
    """What validation still refuses is compiled already: deleting a row of its table is enough."""
    data, _ = read(RICH)
    app = Document.model_validate(data).app
    plan = compile_graph(app, app.graphs[0])
    documents = {
        "t1": {
            "input": {"data": {"kind": "ORDER", "amount": 5}},
            "output": {"data": {"who": "ada", "id": 7, "x": {"0": "a"}}},
        },
        "$job": {"data": {"plain": 1}, "metadata": {"jid": "j"}},
    }
    t1, w, h, s = (plan.nodes[aid] for aid in ["t1", "w", "h", "s"])
    assert evaluate(plan.persistent, documents) is True
    assert evaluate(t1.entity, documents, "t1") == "ORDER"
    assert evaluate(t1.status_threshold, documents) == 2
    assert evaluate(t1.telemetry, documents, "t1") == {"who": "ada"}
    assert evaluate(t1.job, documents, "t1") == {"plain": 1}
    assert [(x.key, x.kind.value, evaluate(x.value, documents, "t1")) for x in t1.wildcards] == [
        ("x", "slots", {"0": "a"}), ("m", "markers", {"a": 1}), ("u", "attributes", {}),
    ]  # fmt: skip
    assert t1.stats is not None
    assert (evaluate(t1.stats.key, documents, "t1"), t1.stats.minutes) == ("order", 5)
    sums, jobs = t1.stats.measures
    assert (*sums[:2], evaluate(sums[2], documents, "t1")) == ("sum", "amount", 5)
    assert jobs[:2] == ("index", "parent/id")
    assert evaluate(w.emit, documents) is True
    assert {code: policy.maximum_attempts for code, policy in w.retries.items()} == {503: 4, 500: 1}
    assert w.retry is not None
    assert (w.retry.maximum_attempts, h.retry, dict(h.retries)) == (9, None, {})
    assert evaluate(h.persist, documents) == 1
    assert evaluate(h.escalation, documents) == {
        "role": "approver", "priority": 2, "metadata": {"id": 7}, "taskQueue": "q",
    }  # fmt: skip
    assert (s.to_all, s.key_name, evaluate(s.key_value, documents)) == (True, "parent/id", "j")
    assert evaluate(s.resolver, documents) == {"data": {"a": "ada"}}
    assert evaluate(s.scrub, documents) is True


def test_what_is_not_said_is_not_in_the_plan():
    """Fields that a document leaves out stay None, so that the engine need not look at defaults."""
    node = GENERATED_PLAN.nodes["charge"]
    assert (node.emit, node.persist, node.status_threshold, node.telemetry, node.scrub) == (
        None,
    ) * 5
    assert (node.stats, node.wildcards, node.to_all, GENERATED_PLAN.persistent) == (
        None,
        (),
        False,
        None,
    )
