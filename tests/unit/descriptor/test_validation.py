"""Loud validation: every mistake is found at once, with its line and path."""

from __future__ import annotations

import pytest

from durable.descriptor.document import Document, dump, load
from durable.descriptor.model import App
from durable.descriptor.plan import compile_graph
from durable.descriptor.validation import findings_of
from durable.descriptor.yaml_reader import read
from durable.errors import DescriptorError
from tests.unit.descriptor.sources import GENERATED, HANDWRITTEN, SHARED, graph

T = "t1: {type: trigger}\n"


def problems(source: str) -> list[str]:
    with pytest.raises(DescriptorError) as caught:
        load(source)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("source", [GENERATED, HANDWRITTEN, SHARED])
def test_good_descriptors_pass(source):
    """What the compiler generates, and a tour of all features, has no findings."""
    assert findings_of(load(source)) == []


SHAPE = [
    (T, "frobnicate: 1", "line 8, app.graphs[0].frobnicate: unknown field"),
    (T, "activites: {}", "activites: unknown field; did you mean `activities`?"),
    ("t1: {type: trigger, titel: x}", "", "t1.titel: unknown field; did you mean `title`?"),
    ("t1: {type: triggr}", "", "t1: its `type` is not known; there are trigger, worker,"),
    ("t1: {title: x}", "", "t1: its `type` is missing"),
    ("t1: 5", "", "t1: it must be a mapping"),
    ("'t 1': {type: trigger}", "", "no name may have"),
    ("$t: {type: trigger}", "", "no name may have"),
    (T + "w: {type: worker}", "transitions: {t1: [{to: w}]}", "w.topic: this field is required"),
    (T, "transitions: {t1: {to: x}}", "transitions.t1: it must be a list"),
    (T, "transitions: {t1: [{too: x}]}", "t1[0].to: this field is required"),
    (T, "transitions: {t1: [{to: t1, conditions: {code: x}}]}", "code: it must be a whole"),
    (T, "transitions: {t1: [{to: t1, conditions: {code: 20}}]}", "greater than or equal to 100"),
    (T, "transitions: {t1: [{to: t1, conditions: {code: []}}]}", "code: it must not be empty"),
    (T, "transitions: {t1: [{to: t1, conditions: {gate: xor}}]}", "gate: input should be 'and' or"),
    (
        T,
        "transitions: {t1: [{to: t1, conditions: {match: [{expected: 1}]}}]}",
        "[0].actual: this field",
    ),
    (
        T + "w: {type: worker, topic: a, reentrant: 'yes'}",
        "transitions: {t1: [{to: w}]}",
        "true or false",
    ),
    (T + "w: {type: worker, topic: a, retry: {maximumAttempts: 0}}", "", "number of 1 or more"),
    (
        T + "w: {type: worker, topic: a, retry: {maximumInterval: soon}}",
        "",
        "'soon' is no duration",
    ),
    (T + "w: {type: worker, topic: a, retry: {maximumAttempts: 2.5}}", "", "a whole number"),
    (T + "w: {type: worker, topic: a, retry: {backoffCoefficient: 0.5}}", "", "between 1 and"),
    (T + "w: {type: worker, topic: a, retry: {maximum_attempts: 5}}", "", "`maximumAttempts`?"),
    (T + "w: {type: worker, topic: a, retry: {'404': []}}", "", "retry.404: this field is"),
    (T + "w: {type: worker, topic: a, retry: {'404': [-1, x]}}", "", "greater than or equal to 0"),
    (T + "w: {type: worker, topic: a, retry: {'404': [2, y]}}", "", "input should be 'x'"),
    (T + "s: {type: signal, subtype: some, topic: x}", "", "input should be 'one' or 'all'"),
    ("t1: {type: trigger, stats: {granularity: 7m}}", "", "granularity: input should be '5m'"),
    (
        "t1: {type: trigger, stats: {measures: [{measure: mode, target: 1}]}}",
        "",
        "should be 'count'",
    ),
    ("t1: {type: trigger, stats: {measures: [{measure: sum}]}}", "", "target: this field is"),
    ("t1: {type: trigger, stats: {parent: x}}", "", "`parent` has no effect"),
    ("t1: {type: trigger, stats: {adjacent: x}}", "", "`adjacent` has no effect"),
    ("t1: {type: trigger, statusThresholdType: stop}", "", "`statusThresholdType` has no effect"),
    ("t1: {type: trigger, persistent: true}", "", "`persistent` is a field of the graph"),
    ("t1: {type: trigger, escalation: {role: x}}", "", "escalation: unknown field"),
    (T + "h: {type: hook, entity: x}", "", "entity: unknown field"),
    (T + "h: {type: hook, escalation: {rule: x}}", "", "rule: unknown field; did you mean `role`?"),
    (T + "h: {type: hook, telemetry: [x]}", "", "it must be a mapping"),
]


@pytest.mark.parametrize(("activities", "rest", "expected"), SHAPE)
def test_the_shape_is_strict(activities, rest, expected):
    """Unknown, missing and mistyped fields are errors, with a hint where one can be given."""
    lines = problems(graph(activities, rest))
    assert any(expected in line for line in lines), lines
    assert all(line.startswith("line ") for line in lines)


TO_A = "transitions: {t1: [{to: a}]}"
TO_H = "transitions: {t1: [{to: h}]}"
TO_S = "transitions: {t1: [{to: h}, {to: s}]}"
INDEXED = (
    "t1: {type: trigger, stats: {key: k, measures: [{measure: index,"
    " target: '{t1.output.data.parent}'}]}}\n"
)
USES = {
    "graph.persistent": (T, "persistent: true"),
    "*.emit": (T + "h: {type: hook, emit: '{t1.output.data.done}'}", TO_H),
    "*.persist": (T + "h: {type: hook, persist: true}", TO_H),
    "*.statusThreshold": (T + "h: {type: hook, statusThreshold: 1}", TO_H),
    "*.telemetry": ("t1: {type: trigger, telemetry: {who: '{$self.input.data.who}'}}", ""),
    "*.job.maps.[]": ("t1: {type: trigger, job: {maps: {'x[25]': '{$self.output.data}'}}}", ""),
    "trigger.entity": ("t1: {type: trigger, entity: '{$self.input.data.kind}'}", ""),
    "trigger.stats.key": ("t1: {type: trigger, stats: {key: orders}}", ""),
    "trigger.stats.granularity": (
        "t1: {type: trigger, stats: {key: orders, granularity: 15m}}", ""),
    "trigger.stats.measures": (
        "t1: {type: trigger, stats: {key: k, measures: [{measure: sum, target: '{$job.data.a}'}]}}",
        ""),
    "worker.retry.byCode": (
        T + "w: {type: worker, topic: a, retry: {503: [3, x]}}", "transitions: {t1: [{to: w}]}"),
    "hook.escalation": (
        T + "h: {type: hook, hook: {topic: x}, escalation: {role: a, metadata: {id: 1}}}",
        TO_H),
    "signal.subtype=all": (
        INDEXED + "h: {type: hook, hook: {topic: x}}\n"
        "s: {type: signal, subtype: all, topic: x, key_name: parent, scrub: true,"
        " key_value: '{$job.metadata.jid}', resolver: {maps: {data: {a: 1}}}}",
        TO_S),
}  # fmt: skip


def built(row: str) -> App:
    data, _ = read(graph(*USES[row]))
    return Document.model_validate(data).app


@pytest.mark.parametrize("row", USES)
def test_what_the_language_has_is_accepted(row):
    """Such a document has no findings, compiles, and is written as it was."""
    app = built(row)
    assert findings_of(app) == []
    compile_graph(app, app.graphs[0])
    assert load(dump(app)) == app


@pytest.mark.parametrize(
    "fields",
    ["emit: false", "persist: false", "statusThreshold: 0", "output: {maps: {'x[25]': 1}}"],
)
def test_saying_the_default_is_no_use_of_it(fields):
    """A field that says what holds anyway is accepted."""
    load(graph(f"t1: {{type: trigger, {fields}}}"))


ONTO_H = "transitions: {t1: [{to: h}]}\nhooks: {%s: [{to: h, conditions: {%s}}]}"
ONTO_A = "transitions: {t1: [{to: a, conditions: {match: [%s]}}]}"
MEANING = [
    ("w: {type: worker, topic: a}", "", "activities: a graph has one trigger; this has 0"),
    ("t1: {type: trigger}\nt2: {type: trigger}", "", "this has 2: t1, t2"),
    (T + "w: {type: worker, topic: a}", "", "activities.w: no transition leads to it"),
    (T + "a: {type: hook}\nb: {type: hook}", "transitions: {a: [{to: b}], b: [{to: a}]}",
     "activities.a: no transition leads to it"),
    (T, "transitions: {t1: [{to: gone}]}", "t1[0].to: it leads nowhere"),
    (T, "transitions: {gone: [{to: t1}]}", "transitions.gone: there is no activity 'gone'"),
    (T + "a: {type: hook}", "transitions: {t1: [{to: a}], a: [{to: t1}]}",
    "entered by starting a job"),
    (T + "a: {type: hook}\nb: {type: hook}\nc: {type: hook}",
     "transitions: {t1: [{to: a}, {to: b}], a: [{to: c}], b: [{to: c}], c: [{to: a}]}",
     "c: transitions lead in a circle"),
    (T + "a: {type: hook}", "transitions: {t1: [{to: a}], a: [{to: a}]}", "lead in a circle"),
    (T + "a: {type: hook}\nc: {type: cycle, ancestor: a}\nb: {type: hook}",
     "transitions: {t1: [{to: a}], a: [{to: c}], c: [{to: b}]}",
     "its transitions are never followed"),
    (T + "i: {type: interrupt}\nb: {type: hook}", "transitions: {t1: [{to: i}], i: [{to: b}]}",
     "nothing follows"),
    (T + "c: {type: cycle, ancestor: gone}", "transitions: {t1: [{to: c}]}",
    "ancestor: there is no activity"),
    (T + "a: {type: hook}\nc: {type: cycle, ancestor: a}", "transitions: {t1: [{to: c}, {to: a}]}",
     "'a' does not lie above 'c'"),
    (T + "c: {type: cycle, ancestor: t1}", "transitions: {t1: [{to: c}]}",
    "only a hook, a worker or"),
    (T + "x.output.y: {type: hook}", "transitions: {t1: [{to: x.output.y}]}",
    "cannot contain .input"),
    (T, "hooks: {h: [{to: gone, conditions: {match: [{expected: 1, actual: 1}]}}]}",
    "no activity 'gone'"),
    (T, "hooks: {h: [{to: t1, conditions: {match: [{expected: 1, actual: 1}]}}]}",
    "'t1' is not a hook"),
    (T + "h: {type: hook}", "transitions: {t1: [{to: h}]}\nhooks: {h: [{to: h}]}", "needs a match"),
    (T + "h: {type: hook}", "transitions: {t1: [{to: h}]}\nhooks: {h: []}", "it has no rule"),
    (T + "h: {type: hook, hook: {topic: one}}",
     ONTO_H % ("two", "match: [{expected: 1, actual: 1}]"),
     "waits at another topic"),
    (T + "h: {type: hook, hook: {topic: one}}\ni: {type: hook, hook: {topic: one}}",
     "transitions: {t1: [{to: h}, {to: i}]}", "several hooks wait at 'one'"),
    (T + "h: {type: hook}",
     ONTO_H % ("x", "match: [{expected: '{$job.metadata.jid}', actual: '{$job.data.id}'}]"),
     "before its job is known"),
    (T + "h: {type: hook}",
     ONTO_H % ("x", "match: [{expected: a, actual: '{t1.output.data.id}'}]"),
     "resolved in the signal"),
    (T + "h: {type: hook}",
     ONTO_H % ("x", "gate: or"),
     "gate: input should be 'and'"),
    (T + "a: {type: await, topic: nowhere}", "transitions: {t1: [{to: a}]}",
    "no graph of this app subscribes"),
    (T + "s: {type: signal, topic: nowhere}", "transitions: {t1: [{to: s}]}",
    "no hook of this app waits"),
    (T + "w: {type: worker, topic: 5}", "transitions: {t1: [{to: w}]}",
    "a topic is text, a reference"),
    (T + "w: {type: worker, topic: ''}", "transitions: {t1: [{to: w}]}",
    "a topic is text, a reference"),
    (T + "h: {type: hook, sleep: soon}", TO_H, "'soon' is no duration"),
    (T + "h: {type: hook, sleep: [1]}", TO_H, "seconds or a duration"),
    (T + "h: {type: hook, sleep: true}", TO_H, "seconds or a duration"),
    (T, "expire: never", "expire: 'never' is no duration"),
    (T + "a: {type: await, topic: t, app: 5}", TO_A, "a.app: app=5: give text"),
    (T + "a: {type: await, topic: t, app: ''}", TO_A, "a.app: app='': give text"),
    (T + "a: {type: await, topic: t, app: [a]}", TO_A, "a.app: app=['a']: give text"),
    (T + 'a: {type: await, topic: t, app: "a\\u0001"}', TO_A, "without control characters"),
    (T + "a: {type: await, topic: t, app: far away}", TO_A, "has no blanks or braces"),
    (T + "a: {type: await, topic: t, await: 'no'}", "transitions: {t1: [{to: a}]}",
    "true, false, a reference"),
    (T + "i: {type: interrupt, code: '410'}", "transitions: {t1: [{to: i}]}",
    "it must be a whole number"),
    (T + "h: {type: hook, hook: {topic: x}}\ns: {type: signal, topic: x, status: done}",
     TO_S, "one of success, pending, error"),
    ("t1: {type: trigger, job: {maps: {'x[25]': 1}}}", "", "x[25]: a wildcard's value is an"),
    ("t1: {type: trigger, job: {maps: {'x[-]': plain}}}", "", "x[-]: a wildcard's value is an"),
    ("t1: {type: trigger, job: {maps: {'x[*]': {}}}}", "", "x[*]: a wildcard ends with a number"),
    ("t1: {type: trigger, job: {maps: {'x[0]': {}}}}", "", "x[0]: a wildcard ends with a number"),
    ("t1: {type: trigger, job: {maps: {x: 1, 'x[5]': {}}}}", "", "x[5]: 'x' writes to 'x' too"),
    ("t1: {type: trigger, job: {maps: {'x[_]': '{gone.output.data}'}}}", "", "no activity 'gone'"),
    ("t1: {type: trigger, emit: 1}", "", "emit: it must be true, false, a reference"),
    ("t1: {type: trigger, persist: 'no'}", "", "persist: it must be true, false, a reference"),
    (T, "persistent: 1", "persistent: it must be true, false, a reference"),
    ("t1: {type: trigger, statusThreshold: -1}", "", "it must be a whole number from 0 on"),
    ("t1: {type: trigger, statusThreshold: 1.5}", "", "it must be a whole number from 0 on"),
    ("t1: {type: trigger, telemetry: {a: '{gone.output.data}'}}", "", "no activity 'gone'"),
    ("t1: {type: trigger, entity: '{gone.output.data}'}", "", "no activity 'gone'"),
    ("t1: {type: trigger, stats: {key: '{gone.output.data}'}}", "", "no activity 'gone'"),
    ("t1: {type: trigger, stats: {granularity: 5m}}", "", "stats: what is measured needs a `key`"),
    ("t1: {type: trigger, stats: {key: k, measures: [{measure: sum, target: '{@x.y}'}]}}", "",
     "measures[0].target: {@x.y}: unknown domain"),
    ("t1: {type: trigger, stats: {key: k, measures: [{measure: sum, target: 5}]}}", "",
     "measures[0].target: a measure is named by its target"),
    ("t1: {type: trigger, stats: {key: k, measures: [{measure: sum, target: '{$job.data}'}]}}", "",
     "measures[0].target: a measure is named by its target"),
    (INDEXED.replace("}]", "}, {measure: index, target: '{$job.data.parent}'}]"), "",
     "measures[1]: index of 'parent' is measured already"),
    (T + "h: {type: hook, hook: {topic: x}}\n"
     "s: {type: signal, subtype: all, topic: x, key_name: a, key_value: 1}",
     TO_S, "s.topic: the trigger of graph 't', whose hook waits here, has no stats.key"),
    (INDEXED + "h: {type: hook, hook: {topic: x}}\n"
     "s: {type: signal, subtype: all, topic: x, key_name: a, key_value: 1}",
     TO_S, "s.key_name: the trigger of graph 't' has no measure of kind index of 'a'"),
    (T + "h: {type: hook, escalation: {description: x}}", TO_H,
     "an escalation has a role, a type"),
    (T + "h: {type: hook, escalation: {role: '{gone.output.data}'}}", TO_H,
     "escalation.role: {gone.output.data}: there is no activity"),
    (T + "h: {type: hook, hook: {topic: x}}\ns: {type: signal, subtype: all, topic: x, code: 202}",
     TO_S, "s.code: `code` belongs to a signal to one"),
    (T + "h: {type: hook, hook: {topic: x}}\ns: {type: signal, subtype: all, topic: x}",
     TO_S, "s.key_name: a signal to all needs `key_name`"),
    (T + "h: {type: hook, hook: {topic: x}}\ns: {type: signal, topic: x, key_value: 1}",
     TO_S, "s.key_value: `key_value` belongs to a signal to all"),
    (T + "a: {type: hook}",
     ONTO_A % "{expected: '{$job.data.x}', actual: 1}",
     "taken literally; put the reference into `actual`"),
    (T + "a: {type: hook}",
     ONTO_A % "{expected: [1], actual: 1}",
     "it can never be equal"),
]  # fmt: skip


@pytest.mark.parametrize(("activities", "rest", "expected"), MEANING)
def test_the_meaning_is_checked(activities, rest, expected):
    """What could not work when it runs is found before it is deployed, at its line."""
    lines = problems(graph(activities, rest))
    assert any(expected in line for line in lines), lines
    assert all(line.startswith("line ") for line in lines)


ABOVE = "transitions: {t1: [{to: a}], a: [{to: w}]}"
REFERENCES = [
    ("{nobody.output.data.x}", "there is no activity 'nobody'"),
    ("{b.output.data.x}", "'b' does not lie above 'w'"),
    ("{t1.hook.data.x}", "'t1' is not a hook"),
    ("{t1.input.data.x}", "beyond the trigger itself its input is {t1.output.data"),
    ("{a.input.data.x}", "only a trigger's input"),
    ("{$self.hook.data.x}", "'w' is not a hook"),
    ("{$app.data.x}", "is not known"),
    ("{w.outputs.data.x}", "is not a reference"),
    ("{@string.frob}", "no function 'frob'"),
    ("{$item.x}", "inside @reduce only"),
]


@pytest.mark.parametrize(("reference", "expected"), REFERENCES)
@pytest.mark.parametrize(
    "pattern", ["'%s'", "{deep: [1, '%s']}", "{'@pipe': [[1, '%s'], ['{@math.add}']]}"]
)
def test_references_must_have_a_value(reference, expected, pattern):
    """A reference that nothing could resolve is found wherever it stands, with its exact line."""
    source = graph(
        T + "a: {type: hook}\nw:\n  type: worker\n  topic: x\n  input:\n    maps:\n      ok: 1\n"
        f"      bad: {pattern % reference}\nb: {{type: hook}}",
        "transitions: {t1: [{to: a}, {to: b}], a: [{to: w}]}",
    )
    lines = problems(source)
    assert len(lines) == 1
    assert expected in lines[0]
    assert lines[0].startswith("line 15, app.graphs[0].activities.w.input.maps.bad")


@pytest.mark.parametrize(
    "value",
    [
        "{a.output.data.x}", "{a.hook.data.x}", "{t1.output.data}", "{$self.output.data.x}",
        "{$job.data.x}",
        "{$job.metadata.jid}", "{a.output.metadata.err}", "{not a reference", "{}", "plain",
    ],
)  # fmt: skip
def test_references_upwards_are_fine(value):
    """An activity sees itself, whatever lies above it, and the job."""
    load(
        graph(
            T
            + f"a: {{type: hook}}\nw: {{type: worker, topic: x, job: {{maps: {{v: '{value}'}}}}}}",
            ABOVE,
        )
    )


def test_a_transition_sees_what_its_source_sees():
    """In a transition `$self` is the activity that has just answered."""
    source = graph(T + "a: {type: hook}", ONTO_A % "{expected: 1, actual: '%s'}")
    load(source % "{$self.output.data.x}")
    assert "does not lie above 't1'" in problems(source % "{a.output.data.x}")[0]


def test_topics_are_unique_in_an_app():
    """Two graphs cannot subscribe to one topic, nor have hooks on one topic."""
    source = graph(
        T + "h: {type: hook, hook: {topic: x}}",
        TO_H,
        "- subscribes: t\n"
        "  activities: {t2: {type: trigger}, h: {type: hook, hook: {topic: x}}}\n"
        "  transitions: {t2: [{to: h}]}",
    )
    lines = problems(source)
    assert [line.partition(": ")[2] for line in lines] == [
        "graph 0 subscribes to 't' too; topics are unique",
        "graph 0 has hooks on 'x' too; topics are unique",
    ]
    assert lines[0].startswith("line 10, app.graphs[1].subscribes")


def test_ids_need_be_unique_in_their_graph_only():
    """Graphs are worlds of their own: the same ids may appear in another."""
    load(graph(T, "", "- subscribes: u\n  activities: {t1: {type: trigger}}"))


def test_a_duplicate_id_is_found():
    """A second activity of the same name is a duplicate key, at its line."""
    assert "line 8, column 9: the key 't1' is there twice" in problems(graph(T + T))[0]


def test_all_findings_come_at_once_in_order():
    """Six mistakes of six sorts give six lines, ordered by the lines of the document."""
    lines = problems(
        graph(
            T + "lost: {type: hook}\nc: {type: cycle, ancestor: lost}\n"
            "w: {type: worker, topic: '{gone.output.data.x}', job: {maps: {x: '{@math.foo}'}}}",
            "transitions: {t1: [{to: w}, {to: c}, {to: nowhere}]}\nhooks: {h: [{to: w}]}",
        )
    )
    numbers = [int(line.split()[1].rstrip(",")) for line in lines]
    assert numbers == sorted(numbers) == [8, 9, 10, 10, 11, 12, 12]


def test_an_activity_may_have_the_name_of_a_kind():
    """Paths of findings are right when an id, a kind and a field have the same name."""
    lines = problems(graph("hook: {type: hook, hook: {topic: x, bad: 1}, slep: 2}"))
    assert [line.split(": ")[0] for line in lines] == [
        "line 7, app.graphs[0].activities.hook.hook.bad",
        "line 7, app.graphs[0].activities.hook.slep",
    ]


def test_plain_data_is_validated_without_lines():
    """A document that was not read from text is checked the same way; findings have paths only."""
    data = {
        "id": "x",
        "version": "1",
        "graphs": [{"subscribes": "t", "activities": {"w": {"type": "hook"}}}],
    }
    with pytest.raises(
        DescriptorError, match=r"^app\.graphs\[0\]\.activities: a graph has one trigger"
    ):
        load({"app": data})
