"""Command plans: what the graph says of each command, and what the call says over it."""

from __future__ import annotations

from typing import Any

import pytest

from durable.descriptor.command_plan import CommandPlan, compile_commands
from durable.descriptor.commands import graph_activity
from durable.descriptor.edits import SHARED, TRANSITION, Edit, lay_over
from durable.errors import DescriptorError
from durable.protocol.commands import StartActivity, StartChild, StartGraph, StartTimer
from durable.protocol.options import ActivityOptions, WorkflowOptions
from durable.protocol.retry import RetryPolicy


def _way(name: str) -> dict[str, Any]:
    match = [{"expected": name, "actual": "{$self.output.data.command}"}]
    return {"to": name, "conditions": {"code": 202, "match": match}}


CHARGE: dict[str, Any] = {
    "type": "worker", "topic": "charge", "taskQueue": "gpu", "priority": 3,
    "retry": {
        "maximumAttempts": 5, "backoffCoefficient": 2, "maximumInterval": "5 minutes",
        "initialInterval": 0.5, "nonRetryable": ["orders:Declined"],
    },
    "startToCloseTimeout": "30s", "scheduleToCloseTimeout": "300s",
    "scheduleToStartTimeout": 60, "heartbeatTimeout": "10s",
}  # fmt: skip
DECLARED = ActivityOptions(
    "gpu", RetryPolicy(5, 2, "5 minutes", 0.5, ("orders:Declined",)), 30.0, 300.0, 60.0, 10.0, 3
)
APP: dict[str, Any] = {
    "id": "orders",
    "version": "51c0ffee51c0ffee",
    "shared": {"activities": {"charge": CHARGE}, "transitions": [_way("charge")]},
    "graphs": [
        {
            "subscribes": "fulfil",
            "version": "7c1d09e27c1d09e2",
            "activities": {
                ".start": {"type": "trigger"},
                "fulfil": {"type": "worker", "topic": "fulfil", "reentrant": True},
                ".activity": {
                    "type": "worker",
                    "topic": "{fulfil.output.data.topic}",
                    "priority": "{fulfil.output.data.priority}",
                },
                ".child": {"type": "await", "topic": "{fulfil.output.data.topic}"},
                ".timer": {"type": "hook", "sleep": "{fulfil.output.data.seconds}"},
                ".graph": graph_activity("fulfil"),
            },
            "transitions": {
                ".start": [{"to": "fulfil"}],
                "fulfil": [_way(".activity"), _way(".child"), _way(".timer"), _way(".graph")],
            },
        }
    ],
}


def plan(*edits: Edit, declared: ActivityOptions = DECLARED) -> CommandPlan:
    """The plan of the one workflow, with edits."""
    return compile_commands(APP, lay_over(APP, edits), "fulfil", len(edits), {"charge": declared})


def call(name: str = "charge", **overrides: Any) -> StartActivity:
    """A command, with options that differ from what any graph says."""
    options = ActivityOptions(**{"start_to_close": 1.0, "priority": 9, **overrides})
    return StartActivity(1, name, "{}", options, "a.py:3", "", frozenset(overrides))


def test_the_options_of_a_listed_activity_are_those_of_its_graph() -> None:
    """Every field of an activity in YAML is the option that it names, and nothing is the call's."""
    unread = plan(Edit(SHARED, "charge", "priority", 3, 3))  # edited, so read from the YAML
    assert unread.route(call()).options == DECLARED


def test_what_was_declared_is_not_read_again() -> None:
    """A command on an unedited graph, called as declared, goes through as it is."""
    command = StartActivity(1, "charge", "{}", DECLARED)
    assert plan().route(command) is command


def test_a_call_lies_over_an_edit_which_lies_over_the_graph() -> None:
    """Each layer decides what it names, and `retry` replaces the whole policy."""
    edited = plan(
        Edit(SHARED, "charge", "retry.maximumAttempts", 2, 5),
        Edit(SHARED, "charge", "heartbeatTimeout", "20s", "10s"),
        Edit(SHARED, "charge", "startToCloseTimeout", "40s", "30s"),
    )
    options = edited.route(call(retry=RetryPolicy(7), heartbeat=None)).options
    assert options.retry == RetryPolicy(7)
    assert (options.heartbeat, options.start_to_close, options.priority) == (None, 40.0, 3)
    assert edited.route(call()).options.retry.maximum_attempts == 2


def test_an_activity_that_the_graph_does_not_list_carries_its_own_options() -> None:
    """What is registered elsewhere is called with the whole policy of its definition."""
    command = call("ship")
    assert plan().route(command) is command


def test_an_edit_of_unlisted_activities_lies_between_their_definitions_and_their_calls() -> None:
    """A literal where the graph referred to the command holds, unless the call itself says so."""
    edited = plan(Edit("fulfil", ".activity", "priority", 5, "{fulfil.output.data.priority}"))
    defined = StartActivity(1, "ship", "{}", ActivityOptions(priority=9))
    assert edited.route(defined).options.priority == 5
    assert edited.route(call("ship", priority=8)).options.priority == 8


def test_an_edit_of_what_another_worker_registers_holds_for_its_name() -> None:
    """Single fields lie over what the definition carries, and under what the call sets."""
    edited = plan(
        Edit(SHARED, "ship", "retry.maximumAttempts", 2, 5),
        Edit(SHARED, "ship", "startToCloseTimeout", None, "1s"),
        Edit(SHARED, "ship", "topic", "ship_v2", "ship"),
    )
    defined = ActivityOptions(retry=RetryPolicy(9, 3), start_to_close=1.0)
    routed = edited.route(StartActivity(1, "ship", "{}", defined))
    assert routed.options == ActivityOptions(retry=RetryPolicy(2, 3))
    assert routed.served_by == "ship_v2"
    assert edited.route(call("ship", retry=RetryPolicy(8))).options.retry == RetryPolicy(8)
    with pytest.raises(DescriptorError, match="'ship'"):
        plan(Edit(SHARED, "ship", TRANSITION, None, "ship")).route(call("ship"))


def test_edits_of_a_later_version_are_left_out() -> None:
    """A field that this build does not know changes nothing, where it stands and elsewhere."""
    later = [
        Edit(graph, name, field, value, None)
        for graph, name in ((SHARED, "charge"), (SHARED, "ship"), ("fulfil", ".activity"))
        for field, value in (("concurrency", 3), ("retry.jitter", 0.5), ("budget", None))
    ]
    edited = plan(*later)
    assert edited.route(call()).options == DECLARED
    command = call("ship")
    assert edited.route(command).options == command.options


def test_a_topic_says_which_function_serves_a_command() -> None:
    """An edited topic changes who serves the command; its name in the history stays."""
    routed = plan(Edit(SHARED, "charge", "topic", "charge_v2", "charge")).route(call())
    assert (routed.name, routed.served_by) == ("charge", "charge_v2")


def test_children_take_what_is_fixed_for_all_of_them() -> None:
    """An edited task queue of children holds unless their call names one."""
    edited = plan(Edit("fulfil", ".child", "taskQueue", "elsewhere", None))
    child = StartChild(2, "ship", "id", "{}", WorkflowOptions("here"))
    assert edited.route(child).options.task_queue == "elsewhere"
    called = StartChild(
        2, "ship", "id", "{}", WorkflowOptions("here"), "", frozenset({"task_queue"})
    )
    assert edited.route(called) is called
    assert plan().route(child) is child


def test_graphs_run_in_the_app_that_is_fixed_for_all_of_them() -> None:
    """An edited queue of `.graph` is their app, unless a call has named one."""
    edited = plan(Edit("fulfil", ".graph", "taskQueue", "new", "{fulfil.output.data.taskQueue}"))
    graph = StartGraph(2, "double", "here", "{}")
    assert edited.route(graph) == StartGraph(2, "double", "new", "{}")
    named = StartGraph(2, "double", "here", "{}", "", frozenset({"task_queue"}))
    assert edited.route(named) is named
    assert plan().route(graph) is graph


@pytest.mark.parametrize(
    ("edit", "command", "named"),
    [
        (Edit(SHARED, "charge", TRANSITION, None, "charge"), call(), "charge"),
        (Edit(SHARED, "charge", "", None, None), call(), "charge"),
        (Edit("fulfil", ".activity", TRANSITION, None, ".activity"), call("ship"), ".activity"),
        (
            Edit("fulfil", ".child", TRANSITION, None, ".child"),
            StartChild(1, "ship", "id", "{}", WorkflowOptions(), "a.py:3"),
            ".child",
        ),
        (
            Edit("fulfil", ".timer", TRANSITION, None, ".timer"),
            StartTimer(1, 5.0, "a.py:3"),
            ".timer",
        ),
        (
            Edit("fulfil", ".graph", TRANSITION, None, ".graph"),
            StartGraph(1, "double", "calc", "{}", "a.py:3"),
            ".graph",
        ),
    ],
)
def test_a_command_without_a_transition_is_refused_by_name(
    edit: Edit, command: StartActivity | StartChild | StartGraph | StartTimer, named: str
) -> None:
    """The error says which step, where in the code, what is missing, and what to do."""
    with pytest.raises(DescriptorError) as refused:
        plan(edit).route(command)
    for word in ("step 1", "a.py:3", "'fulfil'", repr(named), "--queue orders", "durable resume"):
        assert word in str(refused.value)
