"""Edits of generated descriptors: laid over one, found between two, and what they leave alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from durable.descriptor.commands import graph_activity, on_command
from durable.descriptor.differences import EditedDocument, differences, plain_of, written
from durable.descriptor.edits import SHARED, TRANSITION, Edit, destination, lay_over
from durable.errors import DescriptorError


def _way(name: str) -> dict[str, Any]:
    actual = "{$self.output.data.command}"
    match = [{"expected": name, "actual": actual}]
    return {"to": name, "conditions": {"code": 202, "match": match}}


def app() -> dict[str, Any]:
    """An app as functions generate it."""
    charge = {
        "type": "worker", "topic": "charge", "retry": {"maximumAttempts": 5},
        "startToCloseTimeout": "300s",
    }  # fmt: skip
    return {
        "id": "orders",
        "version": "51c0ffee51c0ffee",
        "shared": {
            "activities": {"charge": charge, "refund": {"type": "worker", "topic": "refund"}},
            "transitions": [_way("charge"), _way("refund")],
        },
        "graphs": [
            {
                "subscribes": "fulfil",
                "version": "7c1d09e27c1d09e2",
                "activities": {
                    ".start": {"type": "trigger"},
                    "fulfil": {"type": "worker", "topic": "fulfil", "reentrant": True},
                    ".activity": {
                        "type": "worker", "topic": "{fulfil.output.data.topic}",
                        "taskQueue": "{fulfil.output.data.taskQueue}",
                    },
                    ".timer": {"type": "hook", "sleep": "{fulfil.output.data.seconds}"},
                },
                "transitions": {
                    ".start": [{"to": "fulfil"}],
                    "fulfil": [_way(".activity"), _way(".timer")],
                },
            }
        ],
    }  # fmt: skip


def _edited(change: str) -> dict[str, Any]:
    edited = copy.deepcopy(app())
    shared, graph = edited["shared"], edited["graphs"][0]
    charge = shared["activities"]["charge"]
    match change:
        case "retry":
            charge["retry"] = {"maximumAttempts": 2, "backoffCoefficient": 4}
        case "queue":
            charge["taskQueue"] = "gpu"
        case "no timeout":
            del charge["startToCloseTimeout"]
        case "one workflow":
            graph["activities"]["charge"] = {**charge, "priority": 7}
        case "no way":
            del shared["transitions"][0]
        case "no activity":
            del shared["activities"]["refund"], shared["transitions"][1]
        case "dot node":
            graph["activities"][".activity"]["taskQueue"] = "elsewhere"
        case "no timers":
            del graph["transitions"]["fulfil"][1]
    return edited


CHANGES = {
    "retry": ["shared.charge.retry.backoffCoefficient", "shared.charge.retry.maximumAttempts"],
    "queue": ["shared.charge.taskQueue"],
    "no timeout": ["shared.charge.startToCloseTimeout"],
    "one workflow": ["fulfil.charge.priority"],
    "no way": ["shared.charge.transition"],
    "no activity": ["shared.refund"],
    "dot node": ["fulfil..activity.taskQueue"],
    "no timers": ["fulfil..timer.transition"],
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_found_between_two_makes_the_one_of_the_other(change: str) -> None:
    """The differences of an edited descriptor, laid over the generated one, give the edited one."""
    generated, wanted = app(), _edited(change)
    edits, findings = differences(generated, wanted)
    assert not findings
    assert sorted(e.path for e in edits) == CHANGES[change]
    laid = lay_over(generated, edits)
    assert laid.app == wanted
    assert not laid.inert
    assert not laid.contested
    assert generated == app()


def test_the_same_duration_in_other_words_is_no_change() -> None:
    """Five minutes and 300s are one timeout."""
    wanted = app()
    wanted["shared"]["activities"]["charge"]["startToCloseTimeout"] = "5 minutes"
    assert differences(app(), wanted) == ([], [])


NEW = {"type": "worker", "topic": "new"}
ONLY_CODE = [
    ("graphs.0", "input", {"schema": {}}, "app.graphs.0.input"),
    ("graphs.0", "subscribes", "other", "app.graphs.0"),
    ("shared.activities", "new", NEW, "app.shared.activities.new"),
    ("shared.activities.charge", "settings", {"a": 1}, "app.shared.activities.charge.settings"),
    ("graphs.0.activities.fulfil", "priority", 3, "app.graphs.0.activities.fulfil.priority"),
    ("graphs.0", "activities", {}, "app.graphs.0.activities"),
    ("shared.transitions", 2, _way("other"), "app.shared.transitions.2"),
    ("graphs.0", "publishes", "done", "app.graphs.0.publishes"),
]


@pytest.mark.parametrize(("part", "key", "value", "where"), ONLY_CODE)
def test_what_only_code_can_change_is_refused_where_it_stands(
    part: str, key: Any, value: Any, where: str
) -> None:
    """An edit of what follows from the functions is a finding with its path."""
    wanted: Any = app()
    here = wanted
    for step in part.split("."):
        here = here[int(step) if isinstance(here, list) else step]
    if isinstance(here, list):
        here.append(value)
    else:
        here[key] = value
    _, findings = differences(app(), wanted)
    assert where in [".".join(map(str, f.path)) for f in findings]


def _found(document: dict[str, Any]) -> str:
    """What is wrong with a document that is to be deployed; "" for nothing."""
    try:
        EditedDocument.read({"app": document}).edits(plain_of(_stored()))
    except DescriptorError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("retry", "finding"),
    [
        (None, "retry: null is not a value"),
        ({}, "retry: an empty policy"),
        ({"initialInterval": None, "maximumAttempts": 2}, "retry.initialInterval: null is not"),
        ({"nonRetryable": None}, "retry.nonRetryable: null is not a value"),
        ({"nonRetryable": ["Declined", "no such:class"]}, "'no such:class' names no class"),
        ({"nonRetryable": ["orders:"]}, "'orders:' names no class"),
        ({"nonRetryable": ["or.ders:f.<locals>.No", "decimal.Inexact", "card declined"]}, ""),
        ({"nonRetryable": []}, ""),
    ],
)
def test_a_policy_says_what_it_sets(retry: Any, finding: str) -> None:
    """Nothing in its place is refused, and so is a class that cannot be one."""
    wanted = app()
    wanted["shared"]["activities"]["charge"]["retry"] = retry
    assert (finding in _found(wanted)) if finding else (_found(wanted) == "")
    if finding:
        assert _found(wanted).startswith("app.shared.activities.charge.retry")


@pytest.mark.parametrize("field", ["taskQueue", "startToCloseTimeout", "priority"])
def test_null_is_not_a_value(field: str) -> None:
    """A field goes back to its default by being left out."""
    wanted = app()
    wanted["shared"]["activities"]["charge"][field] = None
    assert f"app.shared.activities.charge.{field}: null is not a value" in _found(wanted)
    wanted = app()
    wanted["graphs"][0]["activities"][".activity"][field] = None
    assert f"app.graphs[0].activities..activity.{field}: null" in _found(wanted)


@pytest.mark.parametrize(
    ("shared", "missing"),
    [
        (..., "`activities` and `transitions` are missing"),
        (None, "`activities` and `transitions` are missing"),
        ({}, "`activities` and `transitions` are missing"),
        ({"transitions": []}, "`activities` are missing"),
        ({"activities": app()["shared"]["activities"]}, "`transitions` are missing"),
        ({"activities": {}, "transitions": []}, ""),
    ],
)
def test_what_is_shared_is_taken_out_one_by_one(shared: Any, missing: str) -> None:
    """A document that lost the whole section is refused; one that was emptied is printed so."""
    wanted = {**app(), "shared": shared}
    if shared is ...:
        del wanted["shared"]
    assert (f"app.shared: {missing}" in _found(wanted)) if missing else (_found(wanted) == "")


@pytest.mark.parametrize("part", ["activity", "transition"])
def test_signals_cannot_be_taken_out(part: str) -> None:
    """They arrive whatever the graph says, so an edit of them would have no effect."""
    generated = app()
    graph = generated["graphs"][0]
    graph["activities"][".signal"] = {"type": "hook", "hook": {"topic": "fulfil.signal"}}
    graph["transitions"]["fulfil"].append(_way(".signal"))
    wanted = copy.deepcopy(generated)
    del wanted["graphs"][0]["transitions"]["fulfil"][-1]
    if part == "activity":
        del wanted["graphs"][0]["activities"][".signal"]
    edits, findings = differences(generated, wanted)
    assert not edits
    assert len(findings) == 1
    assert ".signal" in findings[0].message


def _stored(*edits: Edit) -> str:
    return written({**lay_over(app(), edits).app, "version": "51c0ffee51c0ffee"}, 0)


def test_a_graph_that_an_earlier_release_stored_has_what_was_added_since() -> None:
    """Neither a document nor a stored version without `.graph` takes it out."""
    text = _stored()
    assert ".graph" not in text
    stored = plain_of(text)
    graph = stored["graphs"][0]
    assert graph["activities"][".graph"] == graph_activity("fulfil")
    assert graph["transitions"]["fulfil"][-1] == on_command(".graph", ".graph")
    newer = written({**stored, "version": "51c0ffee51c0ffee"}, 0)
    assert plain_of(newer) == stored
    for document, base in ((text, newer), (newer, text), (text, text)):
        assert EditedDocument.read(document).edits(plain_of(base)) == []


def test_graphs_are_edited_as_what_else_a_function_asks_for() -> None:
    """Their app is the task queue; without a transition none is begun."""
    stored = {**plain_of(_stored()), "version": "51c0ffee51c0ffee"}
    document = yaml.safe_load(written(stored, 0))
    graph = document["app"]["graphs"][0]
    graph["activities"][".graph"]["taskQueue"] = "new"
    del graph["transitions"]["fulfil"][-1]
    found = EditedDocument.read(document).edits(plain_of(_stored()))
    assert [(e.path, e.value) for e in found] == [
        ("fulfil..graph.taskQueue", "new"), ("fulfil..graph.transition", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "called"),
    [
        (Edit(SHARED, "charge", "taskQueue", "gpu", None), ("gpu", "charge")),
        (Edit(SHARED, "charge", "taskQueue", None, "gpu"), ("orders", "charge")),
        (Edit(SHARED, "charge", "topic", "charge_v2", "charge"), ("orders", "charge_v2")),
        (Edit(SHARED, "charge", TRANSITION, "refund", "charge"), ("orders", "refund")),
        (Edit("fulfil", "charge", "taskQueue", "eu", None), ("eu", "charge")),
        (Edit("fulfil", ".activity", "taskQueue", "eu", None), ("eu", None)),
        (Edit(SHARED, "ship", "taskQueue", "eu", None), ("eu", "ship")),
        (Edit(SHARED, "ship", "topic", "send", "ship"), ("orders", "send")),
        (Edit(SHARED, "charge", TRANSITION, None, "charge"), None),
        (Edit(SHARED, "charge", "priority", 3, None), None),
        (Edit("fulfil", ".timer", TRANSITION, None, ".timer"), None),
    ],
)
def test_an_edit_says_where_calls_go_that_it_moves(edit: Edit, called: object) -> None:
    """By task queue and name, as far as the descriptor says them."""
    assert destination(lay_over(app(), [edit]).app, edit) == called


def test_an_edit_that_no_longer_applies_is_inert_and_the_others_hold() -> None:
    """A build without the activity of an edit is left as it is, and the edit is named."""
    gone = Edit(SHARED, "ship", "priority", 3, None)
    stays = Edit(SHARED, "charge", "priority", 3, None)
    other = Edit("cancel", "charge", "priority", 3, None)
    no_way = Edit(SHARED, "ship", TRANSITION, None, "ship")
    laid = lay_over(app(), [gone, stays, other, no_way])
    assert set(laid.inert) == {gone, other, no_way}
    assert laid.app["shared"]["activities"]["charge"]["priority"] == 3


def test_a_build_that_says_something_else_is_named_with_what_it_says() -> None:
    """An edit holds against a build that has changed the same field, and both values are shown."""
    edit = Edit(SHARED, "charge", "retry.maximumAttempts", 2, 3)
    laid = lay_over(app(), [edit])
    assert laid.contested == ((edit, 5),)
    assert laid.app["shared"]["activities"]["charge"]["retry"] == {"maximumAttempts": 2}


def test_edits_of_one_workflow_lie_over_those_of_all() -> None:
    """A graph's own edit takes the shared activity as it was edited, and changes one field."""
    for_all = Edit(SHARED, "charge", "taskQueue", "gpu", None)
    for_one = Edit("fulfil", "charge", "priority", 3, None)
    laid = lay_over(app(), [for_one, for_all])
    own = laid.app["graphs"][0]["activities"]["charge"]
    assert (own["taskQueue"], own["priority"]) == ("gpu", 3)
    assert "priority" not in laid.app["shared"]["activities"]["charge"]


def test_a_path_means_whole_names_though_they_contain_dots() -> None:
    """What is taken back below "shared.charge" leaves the activity "charge.card" alone."""
    edits = [Edit("", name, "priority", 1, 0) for name in ("charge", "charge.card")]
    assert [e.is_below("shared.charge") for e in edits] == [True, False]
    assert [e.is_below("shared.charge.card") for e in edits] == [False, True]
    assert all(e.is_below("shared") for e in edits)


def test_a_task_queue_has_the_length_that_an_index_can_hold() -> None:
    """A longer one is refused where it is deployed, rather than by each run that meets it."""
    edited = app()
    edited["shared"]["activities"]["charge"]["taskQueue"] = "q" * 1001
    with pytest.raises(DescriptorError, match=r"charge\.taskQueue: .*1,000 is the most"):
        EditedDocument.read({"app": edited})
