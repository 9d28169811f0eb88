"""Graphs of functions: what is shared between them, and every mistake with its line and path."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable.descriptor.document import content_hash, load, load_stored
from durable.descriptor.plan import compile_graph
from durable.descriptor.shared import command_of, with_shared
from durable.errors import DescriptorError
from tests.unit.descriptor.sources import GENERATED, SHARED, graph

WAY = "conditions: {code: 202, match: [{expected: %s, actual: '{$self.output.data.command}'}]}"
CHARGE = "{to: charge, " + WAY % "charge" + "}"
TIMER = "{to: .timer, " + WAY % ".timer" + "}"
REFUND = "{type: worker, topic: refund.eu}"


def problems(source: str) -> list[str]:
    with pytest.raises(DescriptorError) as caught:
        load(source)
    return str(caught.value).splitlines()


def test_a_graph_has_what_its_app_shares():
    """Its plan has the shared activities, its own before them, and the way to each."""
    app = load(SHARED)
    plan = compile_graph(app, app.graphs[0])
    charge, refund = plan.nodes["charge"], plan.nodes["refund"]
    assert charge.retry is not None
    assert charge.retry.non_retryable == ("orders:CardDeclined",)
    assert refund.topic is not None
    assert refund.topic.evaluate(None) == "refund.eu"  # type: ignore[arg-type]
    assert plan.nodes[".activity"].retry is None
    assert plan.nodes["fulfil"].children == (
        ".activity", ".child", ".timer", ".signal", "charge", "refund",
    )  # fmt: skip


def test_a_transition_of_a_graph_stands_before_the_shared_one_of_its_command():
    """Other graphs go on by the shared one."""
    own = "- {to: refund, " + WAY % "charge" + "}"
    first = SHARED.index("          - {to: .activity")
    app = load(f"{SHARED[:first]}          {own}\n{SHARED[first:]}")
    found = with_shared(app, app.graphs[0]).transitions["fulfil"]
    assert [(command_of(t), t.to) for t in found][:1] == [("charge", "refund")]
    assert [command_of(t) for t in found].count("charge") == 1


def test_the_form_of_earlier_releases_is_read():
    """Activities in every graph, options as settings: loaded, and told what has no effect there."""
    old = GENERATED.replace(
        "topic: refund}", "topic: refund, settings: {taskQueue: gpu, priority: 2, mine: 1}}"
    )
    warned: list[str] = []
    app = load(old, warned.append)
    assert load_stored(old) == app
    assert sorted(line.partition(": ")[0] for line in warned) == [
        f"line 13, app.graphs[0].activities.refund.settings.{key}"
        for key in ("priority", "taskQueue")
    ]
    assert len(content_hash(app)) == 16


def test_a_way_that_was_taken_out_is_warned_of():
    """An activity may stand without a transition: runs with that command are suspended."""
    warned: list[str] = []
    load(SHARED.replace(f"          - {TIMER}\n", ""), warned.append)
    assert len(warned) == 1
    assert "activities..timer: no transition leads to it: a run with a command" in warned[0]


MISTAKES = [
    # transitions
    (CHARGE, "{to: charge}", "app.shared.transitions[0]: no command takes it: write conditions:"),
    (CHARGE, CHARGE.replace("202", "200"), "transitions[0]: no command takes it"),
    (CHARGE, CHARGE.replace("202", "[202, 200]"), "transitions[0]: no command takes it"),
    (CHARGE, CHARGE.replace("$self.output.data.command", "$job.data.x"), "no command takes it"),
    (CHARGE, CHARGE.replace("expected: charge", "expected: 1"), "no command takes it"),
    (TIMER, "{to: .timer}", "line 46, app.graphs[0].transitions.fulfil[2]: no command takes it"),
    (CHARGE, CHARGE.replace("to: charge", "to: gone"), "[0].to: it leads nowhere: there is no"),
    (CHARGE, CHARGE.replace("to: charge", "to: .timer"), "[0].to: it leads nowhere"),
    (TIMER, TIMER.replace("to: .timer", "to: gone"), "fulfil[2].to: it leads nowhere"),
    (TIMER, TIMER.replace("to: .timer", "to: charge"),
     "'charge' cannot carry out '.timer', which needs a hook with `sleep`"),
    (TIMER, TIMER.replace("to: .timer", "to: .signal"), "cannot carry out '.timer'"),
    (TIMER, TIMER.replace("expected: .timer", "expected: .child"), "'.timer' cannot carry out"),
    (TIMER, TIMER.replace("expected: .timer", "expected: pay"),
     "'.timer' cannot carry out 'pay', which needs an activity of type worker"),
    (TIMER, TIMER.replace("expected: .timer", "expected: .tmer"),
     "expected: there is no command '.tmer'; there are .activity, .child"),
    (TIMER, TIMER.replace(".timer", ".child", 1), "which needs a hook"),
    (TIMER, TIMER.replace("to: .timer", "to: fulfil"), "'fulfil' cannot carry out '.timer'"),
    (TIMER, "{to: .activity, " + WAY % ".activity" + "}",
     "fulfil[2]: the command '.activity' takes transition 0 already"),
    (".start: [{to: fulfil}]", ".start: [{to: refund}]", "the trigger leads to the function"),
    (".start: [{to: fulfil}]", ".start: [{to: fulfil, conditions: {code: 200}}]", ".start[0]: the"),
    (".start: [{to: fulfil}]", "", "activities.fulfil: no transition leads to it"),
    (".start: [{to: fulfil}]", ".start: [{to: fulfil}]\n        refund: [{to: .timer}]",
     "transitions.refund: when 'refund' has settled the function goes on"),
    (".start: [{to: fulfil}]", ".start: [{to: fulfil}]\n        gone: [{to: .timer}]",
     "transitions.gone: there is no activity"),
    # kinds
    (REFUND, "{type: signal, topic: fulfil.signal}", "refund.type: no command leads to an"),
    (REFUND, "{type: interrupt}", "refund.type: no command leads to an activity of type interrupt"),
    (REFUND, "{type: worker, topic: refund, reentrant: true}", "refund.reentrant: a graph has one"),
    ("      refund: {type: worker, topic: refund}", "      refund: {type: hook, sleep: 5}",
     "line 16, app.shared.activities.refund: what is shared is of type worker"),
    ("      refund: {type: worker, topic: refund}", "      .refund: {type: worker, topic: refund}",
     "shared.activities..refund: '.refund' refers to the function"),
    ("      refund: {type: worker", "      re.output.fund: {type: worker", "an id cannot contain"),
    # fields
    ("taskQueue: gpu", "taskqueue: gpu", "charge.taskqueue: unknown field; did you mean `taskQue"),
    ("priority: -3", "priority: 40000", "charge.priority: priority=40000: give an int between"),
    ("priority: -3", "priority: high", "charge.priority: priority='high': give an int between"),
    ("priority: -3", "priority: '{fulfil.output.data.priority}'", "it must be a literal value"),
    ("priority: -3", "priority: {'@pipe': [[1, 2], ['{@math.add}']]}", "it must be a literal"),
    ("taskQueue: gpu", "taskQueue: ' gpu'", "charge.taskQueue: taskQueue=' gpu': give text"),
    ("taskQueue: gpu", "taskQueue: 5", "charge.taskQueue: taskQueue=5: give text"),
    ("topic: charge", "topic: ''", "charge.topic: a topic is text"),
    ("topic: charge", "topic: 7", "charge.topic: a topic is text"),
    ("topic: charge", "topic: null", "charge.topic: a topic is text"),
    ("Timeout: 30s", "Timeout: soon", "startToCloseTimeout: 'soon' is no duration"),
    ("Timeout: 30s", "Timeout: 0", "startToCloseTimeout: it leaves no time; leave it out"),
    ("Timeout: 30s", "Timeout: -1", "startToCloseTimeout: it leaves no time"),
    ("Timeout: 30s", "Timeout: [1]", "startToCloseTimeout: it must be seconds or a duration"),
    ("heartbeatTimeout: 0.5", "heartbeatTimeout: true", "heartbeatTimeout: it must be seconds or"),
    ("heartbeatTimeout: 0.5", "sleep: 5", "charge.sleep: unknown field here; `sleep` is"),
    ("{maximumAttempts: 5,", "{maximumAttempts: 0,", "charge.retry: maximum_attempts=0"),
    ("{maximumAttempts: 5,", "{maximumAttempts: 2.5,", "retry.maximumAttempts: it must be a whole"),
    ("{maximumAttempts: 5,", "{maxAttempts: 5,", "retry.maxAttempts: unknown field; did you mean"),
    ("{maximumAttempts: 5,", "{maximumAttempts: null,",
     "null is not a number of attempts: leave it out for the default, 3, or write 2147483647 to"),
    ("{maximumAttempts: 5,", "{503: [3, x],", "retry.503: retries by code are for graphs written"),
    ("'{fulfil.output.data.retry}'", "often", ".activity.retry: it must be a mapping of names"),
    ("'{fulfil.output.data.retry}'", "'{$job.data.retry}'",
     ".activity.retry: it must be a literal value, or what the command carries"),
    ("'{fulfil.output.data.seconds}'", "'{$self.output.data.seconds}'", ".timer.sleep: it must be"),
    ("'{fulfil.output.data.seconds}'", "'{fulfil.output.dat}'", ".timer.sleep: "),
    (REFUND, "{type: worker, topic: refund, emit: true}",
     "refund.emit: it has no effect in a graph of functions"),
    (REFUND, "{type: worker, topic: refund, job: {maps: {a: 1}}}", "refund.job: it has no effect"),
    ("reentrant: true, priority: 3", "reentrant: true, taskQueue: q", "fulfil.taskQueue: it has"),
    ("      activities:\n        .start", "      expire: 5\n      activities:\n        .start",
     "graphs[0].expire: it has no effect in a graph of functions"),
    ("{topic: fulfil.signal}", "{topic: fulfil.signal, schema: {}, validate: true}",
     "hook.validate: functions check data by their own types"),
    (".signal: {", ".graph: {type: await, topic: calculate, priority: 1}\n        .signal: {",
     "activities..graph.priority: it has no effect in a graph of functions"),
    (TIMER, TIMER.replace(".timer", ".graph"), "it leads nowhere: there is no activity '.graph'"),
    (TIMER, TIMER.replace("expected: .timer", "expected: .graph"),
     "'.timer' cannot carry out '.graph', which needs an activity of type await"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "instead", "expected"), MISTAKES)
def test_a_mistake_is_found_at_its_place(said: str, instead: str, expected: str):
    """What a function could not carry out, or would leave aside, is refused with line and path."""
    assert said in SHARED
    lines = problems(SHARED.replace(said, instead, 1))
    assert any(expected in line for line in lines), lines
    assert all(line.startswith("line ") for line in lines)


@pytest.mark.parametrize(
    "field",
    ["taskQueue: q", "priority: 1", "startToCloseTimeout: 5", "retry: '{t1.output.data.retry}'"],
)
def test_what_engines_do_not_honour_is_refused(field: str):
    """Fields of functions' activities are refused in a graph that is written by hand."""
    source = graph(
        f"t1: {{type: trigger}}\nw: {{type: worker, topic: a, {field}}}",
        "transitions: {t1: [{to: w}]}",
    )
    (line,) = problems(source)
    assert line.startswith(f"line 8, app.graphs[0].activities.w.{field.partition(':')[0]}: ")


def test_what_is_shared_needs_functions():
    """Beside graphs written by hand it is refused; without any graph it stands alone."""
    shared = SHARED[SHARED.index("  shared:") : SHARED.index("  graphs:")]
    head = "app:\n  id: orders\n  version: '1'\n"
    assert load(f"{head}{shared}  graphs: []\n").graphs == ()
    (line,) = problems(
        f"{head}{shared}  graphs: [{{subscribes: t, activities: {{t1: {{type: trigger}}}}}}]\n"
    )
    assert line.startswith("line 4, app.shared: nothing has it")
    (line,) = problems(f"{head}  graphs: []\n")
    assert line == "line 4, app.graphs: it must not be empty"


def test_a_file_brings_in_what_is_shared(tmp_path: Path):
    """`$ref` works there as anywhere."""
    (tmp_path / "charge.yaml").write_text("{type: worker, topic: charge}")
    (tmp_path / "app.yaml").write_text(
        "app: {id: a, version: '1', shared: {activities: {charge: {$ref: ./charge.yaml}}},"
        " graphs: []}"
    )
    shared = load(tmp_path / "app.yaml").shared
    assert shared is not None
    assert shared.activities["charge"].type == "worker"
