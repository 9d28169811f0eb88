"""Loud validation: every mistake is found at once, with its line and path."""

from __future__ import annotations

import pytest

from durable.descriptor.document import load
from durable.descriptor.model import NOT_YET, App
from durable.descriptor.validate import findings_of, validate
from durable.errors import DescriptorError
from tests.unit.descriptor.sources import GENERATED, HANDWRITTEN, graph

T = "t1: {type: trigger}\n"


def complaints(source: str) -> list[str]:
    with pytest.raises(DescriptorError) as caught:
        load(source)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("source", [GENERATED, HANDWRITTEN])
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
    (T + "w: {type: worker, topic: a, retry: {maximumAttempts: 0}}", "", "it is 1 or more"),
    (
        T + "w: {type: worker, topic: a, retry: {maximumInterval: soon}}",
        "",
        "'soon' is no duration",
    ),
    (T + "w: {type: worker, topic: a, retry: {maximumAttempts: 2.5}}", "", "a whole number"),
    (T + "w: {type: worker, topic: a, retry: {backoffCoefficient: 0.5}}", "", "at least 1"),
    (T + "w: {type: worker, topic: a, retry: {maximum_attempts: 5}}", "", "`maximumAttempts`?"),
    (
        T + "w: {type: worker, topic: a, retry: {'404': [2]}}",
        "",
        "retries by code are not supported",
    ),
    (T + "s: {type: signal, subtype: all, topic: x}", "", "signal to all is not supported yet"),
]


@pytest.mark.parametrize(("activities", "rest", "expected"), SHAPE)
def test_the_shape_is_strict(activities, rest, expected):
    """Unknown, missing and mistyped fields are errors, with a hint where one can be given."""
    lines = complaints(graph(activities, rest))
    assert any(expected in line for line in lines), lines
    assert all(line.startswith("line ") for line in lines)


@pytest.mark.parametrize("name", sorted(NOT_YET))
def test_known_fields_that_come_later_are_refused(name):
    """A field of the ancestor's language that is not honoured yet is never ignored."""
    for activities in (
        f"t1: {{type: trigger, {name}: x}}",
        f"t1: {{type: trigger, stats: {{{name}: x}}}}",
    ):
        lines = complaints(graph(activities))
        assert f"`{name}` is not supported yet by this version" in lines[0]


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
     "transitions: {t1: [{to: a}, {to: b}], a: [{to: c}], b: [{to: c}]}",
     "c: it is entered from a, b; an activity has one parent"),
    (T + "a: {type: hook}", "transitions: {t1: [{to: a}], a: [{to: a}]}", "entered from t1, a"),
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
    "'t1' is no hook"),
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
    (T + "h: {type: hook, sleep: soon}", "transitions: {t1: [{to: h}]}", "'soon' is no duration"),
    (T + "h: {type: hook, sleep: [1]}", "transitions: {t1: [{to: h}]}", "seconds or a duration"),
    (T + "h: {type: hook, sleep: true}", "transitions: {t1: [{to: h}]}", "seconds or a duration"),
    (T, "expire: never", "expire: 'never' is no duration"),
    (T + "a: {type: await, topic: t, await: 'no'}", "transitions: {t1: [{to: a}]}",
    "true, false, a reference"),
    (T + "i: {type: interrupt, code: '410'}", "transitions: {t1: [{to: i}]}",
    "it must be a whole number"),
    (T + "h: {type: hook, hook: {topic: x}}\ns: {type: signal, topic: x, status: done}",
     "transitions: {t1: [{to: h}, {to: s}]}", "one of success, pending, error"),
    ("t1: {type: trigger, job: {maps: {'x[25]': {a: 1}}}}", "",
    "x[25]: wildcard keys are not supported yet"),
    ("t1: {type: trigger, job: {maps: {'x[-]': '{$self.output.data.y}'}}}", "", "wildcard keys"),
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
    lines = complaints(graph(activities, rest))
    assert any(expected in line for line in lines), lines
    assert all(line.startswith("line ") for line in lines)


ABOVE = "transitions: {t1: [{to: a}], a: [{to: w}]}"
REFERENCES = [
    ("{nobody.output.data.x}", "there is no activity 'nobody'"),
    ("{b.output.data.x}", "'b' does not lie above 'w'"),
    ("{t1.hook.data.x}", "'t1' is no hook"),
    ("{t1.input.data.x}", "beyond the trigger itself its input is {t1.output.data"),
    ("{a.input.data.x}", "only a trigger's input"),
    ("{$self.hook.data.x}", "'w' is no hook"),
    ("{$app.data.x}", "is not known"),
    ("{w.outputs.data.x}", "is no reference"),
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
    lines = complaints(source)
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
    assert "does not lie above 't1'" in complaints(source % "{a.output.data.x}")[0]


def test_topics_are_unique_in_an_app():
    """Two graphs cannot subscribe to one topic, nor have hooks on one topic."""
    source = graph(
        T + "h: {type: hook, hook: {topic: x}}",
        "transitions: {t1: [{to: h}]}",
        "- subscribes: t\n"
        "  activities: {t2: {type: trigger}, h: {type: hook, hook: {topic: x}}}\n"
        "  transitions: {t2: [{to: h}]}",
    )
    lines = complaints(source)
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
    assert "line 8, column 9: the key 't1' is there twice" in complaints(graph(T + T))[0]


def test_all_findings_come_at_once_in_order():
    """Six mistakes of six sorts give six lines, ordered by the lines of the document."""
    lines = complaints(
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
    lines = complaints(graph("hook: {type: hook, hook: {topic: x, bad: 1}, slep: 2}"))
    assert [line.split(": ")[0] for line in lines] == [
        "line 7, app.graphs[0].activities.hook.hook.bad",
        "line 7, app.graphs[0].activities.hook.slep",
    ]


def test_a_built_app_is_validated_without_lines():
    """An app that was not read from text is checked the same way; its findings have paths only."""
    data = {
        "id": "x",
        "version": "1",
        "graphs": [{"subscribes": "t", "activities": {"w": {"type": "hook"}}}],
    }
    app = App.model_validate(data)
    with pytest.raises(
        DescriptorError, match=r"^app\.graphs\[0\]\.activities: a graph has one trigger"
    ):
        validate(app)
