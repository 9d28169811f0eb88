# ruff: noqa: E501 - graphs, and what tests prove, are wider than code
"""A job's way through its graph, without any database: what each arrival leads to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from durable.descriptor.document import load
from durable.descriptor.plan import Plan, compile_graph
from durable.engine.activities import hook, trigger
from durable.engine.activities.handlers import HANDLERS
from durable.engine.effects import (
    ArmTimer,
    AwaitSignal,
    Dispatch,
    Interrupt,
    Interruption,
    Reply,
    SendSignal,
    StartJob,
)
from durable.engine.job import ActivityContext, Job
from durable.engine.steps.graph_walk import CYCLES_MAX, VISITS_MAX, Changes, Continuation, Walk
from durable.errors import DescriptorError, InternalError
from durable.protocol.graphs import Fault

HEAD = "app:\n  id: app\n  version: '1'\n  graphs:\n    - subscribes: t\n"


def plan_of(activities: str, transitions: str, more: str = "") -> Plan:
    """The plan of a graph whose trigger is `t1`."""
    text = f"{HEAD}      activities: {{t1: {{type: trigger}}, {activities}}}\n      transitions: {transitions}\n{more}"
    app = load(text)
    return compile_graph(app, app.graphs[0])


def started(plan: Plan, **data: Any) -> Walk:
    """A walk that has entered its trigger."""
    walk = Walk(plan, Job(7, "j", "app", "t", "1", input=data), {}, 100.0, lambda: 0.25)
    walk.start()
    return walk


def effects(changes: Changes) -> list[Any]:
    return [addressed.effect for addressed in changes.effects]


WANTS = [
    (
        "w: {type: worker, topic: x, input: {maps: {a: '{t1.output.data.a}'}}}",
        {"a": 1},
        [Dispatch("x", {"a": 1})],
    ),
    ("w: {type: worker, topic: '{t1.output.data.a}'}", {"a": "y"}, [Dispatch("y", {})]),
    ("w: {type: await, topic: t, input: {maps: {n: 1}}}", {}, [StartJob("t", {"n": 1})]),
    ("w: {type: await, topic: t, await: false}", {}, [StartJob("t", {}, awaited=False)]),
    ("w: {type: hook, sleep: 5}", {}, [ArmTimer(5.0)]),
    ("w: {type: hook, sleep: 1 hour}", {}, [ArmTimer(3600.0)]),
    ("w: {type: hook, sleep: '{t1.output.data.s}'}", {"s": 0}, []),
    ("w: {type: hook}", {}, []),
    (
        "w: {type: interrupt, target: other, code: 499}",
        {},
        [Interrupt("other", Interruption(code=499))],
    ),
]


@pytest.mark.parametrize(("activity", "data", "expected"), WANTS)
def test_what_each_kind_wants_written(
    activity: str, data: dict[str, Any], expected: list[Any]
) -> None:
    """The first leg of each kind, and what its fields make of it."""
    changes = started(plan_of(activity, "{t1: [{to: w}]}"), **data).changes()
    assert effects(changes) == expected
    waits = bool(expected) and not isinstance(expected[0], Interrupt)
    assert changes.job.status == (1 if waits else 0)
    assert changes.ended is not waits


def test_the_retry_policy_of_an_activity_is_its_own() -> None:
    """`retry` of the document goes with the work; without one it is left open."""
    given = started(
        plan_of("w: {type: worker, topic: x, retry: {maximumAttempts: 7}}", "{t1: [{to: w}]}")
    )
    [dispatch] = effects(given.changes())
    assert dispatch.retry.maximum_attempts == 7


SIGNALLED = """      hooks:
        say:
          - {to: h, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}
"""


def test_a_waiting_hook_registers_what_it_expects() -> None:
    """Signal and timer race; whichever comes takes the other back, the timer without payload."""
    plan = plan_of(
        "h: {type: hook, sleep: 5, job: {maps: {x: '{$self.hook.data.x}'}}}",
        "{t1: [{to: h}]}",
        SIGNALLED,
    )
    walk = started(plan)
    rule = plan.hooks["say"][0].rule
    assert effects(walk.changes()) == [ArmTimer(5.0), AwaitSignal("say", rule, hook.key_of(["j"]))]
    for reply, data in ((Reply("webhook", {"x": 1}), {"x": 1}), (Reply("timehook"), {})):
        again = Walk(plan, walk.job, dict(walk.instances), 101.0, lambda: 0)
        again.reply("h", ",0,0", reply)
        changes = again.changes()
        assert changes.job.data == data
        assert changes.disarmed == (("h", ",0,0"),)
        assert changes.ended


def test_202_keeps_a_hook_armed() -> None:
    """A pending answer opens its branch, and neither timer nor waiter is taken back."""
    plan = plan_of(
        "h: {type: hook, sleep: 5}, n: {type: hook}",
        "{t1: [{to: h}], h: [{to: n, conditions: {code: 202}}]}",
        SIGNALLED,
    )
    walk = started(plan)
    walk.reply("h", ",0,0", Reply("webhook", {}, "pending", 202))
    changes = walk.changes()
    assert (changes.disarmed, changes.job.status, changes.ended) == ((), 1, False)
    assert [(i.aid, i.dad, i.replies, i.open) for i in changes.instances if i.aid == "h"] == [
        ("h", ",0,0", 1, True)
    ]


def test_a_signal_is_sent_with_its_code() -> None:
    """`signal` has its payload, status and code from its fields, and goes on."""
    activities = (
        "h: {type: hook}, w: {type: signal, subtype: one, topic: say, status: pending, code: 202,"
        " signal: {maps: {id: x}}}"
    )
    changes = started(plan_of(activities, "{t1: [{to: h}, {to: w}]}", SIGNALLED)).changes()
    assert SendSignal("say", {"id": "x"}, "pending", 202) in effects(changes)


def test_a_caught_error_is_no_end() -> None:
    """An error whose code a transition takes goes there; one that nobody takes ends the job with it."""
    plan = plan_of(
        "w: {type: worker, topic: x}, fix: {type: worker, topic: y}",
        "{t1: [{to: w}], w: [{to: fix, conditions: {code: [422]}}]}",
    )
    for code, state, status in ((422, "running", 1), (500, "failed", 0)):
        walk = started(plan)
        walk.reply("w", ",0,0", Reply("response", {}, "error", code, Fault(code, "no")))
        assert (walk.job.state, walk.job.status) == (state, status)
    assert walk.job.error == Fault(500, "no", "j")


def test_nothing_useless_is_written_for_a_job_that_ends() -> None:
    """A branch that fails takes the work of its siblings with it, but signals that were sent stay sent."""
    activities = "a: {type: worker, topic: x}, bad: {type: worker, topic: '{t1.output.data.none}'}"
    changes = started(plan_of(activities, "{t1: [{to: a}, {to: bad}]}")).changes()
    assert changes.job.state == "failed"
    assert changes.effects == ()
    assert changes.job.error is not None
    assert "activity 'bad'" in changes.job.error.message


def test_what_arrives_for_the_closed_changes_nothing() -> None:
    """A second answer, one for an address that never was, and one after the end are dropped."""
    plan = plan_of(
        "a: {type: worker, topic: x}, b: {type: worker, topic: y}", "{t1: [{to: a}, {to: b}]}"
    )
    walk = started(plan)
    walk.reply("a", ",0,0", Reply("response", {"n": 1}))
    before = walk.job
    for aid, dad in (("a", ",0,0"), ("b", ",0,1")):
        assert not walk.takes(aid, dad)
        walk.reply(aid, dad, Reply("response", {"n": 2}))
    assert walk.job == before
    walk.interrupt(Interruption())
    assert not walk.takes("b", ",0,0")
    walk.interrupt(Interruption(reason="again"))
    assert walk.job.status == 1 - 1_000_000_000


LOOP = plan_of(
    "p: {type: hook, cycle: true, output: {maps: {n: 0}}}, c: {type: cycle, ancestor: p, input: {maps: {n: 1}}}",
    "{t1: [{to: p}], p: [{to: c}]}",
)


def test_a_loop_without_end_is_cut_and_then_refused() -> None:
    """A step enters so many activities and leaves the rest as a message; ten thousand idle passes are an error."""
    walk = started(LOOP)
    [left] = walk.changes().continuations
    assert 0 < left.cycles <= VISITS_MAX
    assert walk.job.status == 1
    late = Walk(LOOP, walk.job, dict(walk.instances), 100.0, lambda: 0)
    late.enter(replace(left, aid="p", dad=",0,0", cycles=CYCLES_MAX + 1, data={}))
    assert late.job.state == "failed"
    assert late.job.error is not None
    assert "10000 times" in late.job.error.message


def test_dimensions_of_a_cycle() -> None:
    """Pass k of the pivot is its answer k: address `,0,k`, children below it."""
    walk = started(LOOP)
    dads = [i.dad for i in walk.changes().instances if i.aid == "c"]
    assert dads[:3] == [",0,0,0", ",0,1,0", ",0,10,0"]  # sorted as text
    assert walk.instances[",0,0", "p"].output == {"n": 0}
    assert walk.instances[",0,5", "p"].output == {"n": 1}


@pytest.mark.parametrize(
    ("stats", "data", "expected"),
    [
        ("'{$self.input.data.id}'", {"id": "a"}, "a"),
        ("'{$self.input.data.id}'", {"id": 7}, "7"),
        ("fixed", {}, "fixed"),
        ("'{$self.input.data.id}'", {}, None),
        ("'{$self.input.data.id}'", {"id": None}, None),
    ],
)
def test_the_id_of_a_job(stats: str, data: dict[str, Any], expected: str | None) -> None:
    """`stats.id` may be text or a number, and nothing asks for a fresh id; anything else is refused."""
    app = load(f"{HEAD}      activities: {{t1: {{type: trigger, stats: {{id: {stats}}}}}}}\n")
    plan = compile_graph(app, app.graphs[0])
    context = ActivityContext(plan, Job(0, "", "app", "t", "1", input=data), plan.node("t1"), ",0")
    assert trigger.job_id(context) == expected
    if "input" in stats:
        with pytest.raises(DescriptorError, match=r"stats\.id"):
            trigger.job_id(replace(context, job=replace(context.job, input={"id": {}})))


@pytest.mark.parametrize("kind", ["trigger", "signal", "cycle", "interrupt"])
def test_kinds_that_never_wait_take_no_replies(kind: str) -> None:
    """A reply for one of them is a bug, and says so."""
    handler = next(h for k, h in HANDLERS.items() if k.value == kind)
    context = ActivityContext(LOOP, Job(0, "j", "app", "t", "1"), LOOP.node("c"), ",0")
    with pytest.raises(InternalError, match="arrived for"):
        handler.leg2(context, Reply("response"))


def test_expressions_see_the_job() -> None:
    """`$job.metadata`, `$self`, an ancestor's metadata, the time and the rng are there."""
    plan = plan_of(
        "w: {type: worker, topic: x, input: {maps: {jid: '{$job.metadata.jid}', js: '{$job.metadata.js}',"
        " at: '{t1.output.metadata.ac}', rng: '{@math.random}', none: '{$job.data.none}'}}}",
        "{t1: [{to: w}]}",
    )
    [dispatch] = effects(started(plan).changes())
    assert dispatch.data == {"jid": "j", "js": 1, "at": "19700101000140.000", "rng": 0.25}


def test_a_trigger_needs_no_row() -> None:
    """Data and metadata of the trigger are those of the job, also for a step that loaded none of its rows."""
    plan = plan_of(
        "w: {type: worker, topic: x, job: {maps: {a: '{t1.output.data.a}', ac: '{t1.output.metadata.ac}'}}}",
        "{t1: [{to: w}]}",
    )
    walk = started(plan, a=1)
    own = {(",0,0", "w"): walk.instances[",0,0", "w"]}
    later = Walk(plan, walk.job, own, 101.0, lambda: 0)
    later.reply("w", ",0,0", Reply("response"))
    assert later.job.data == {"a": 1, "ac": "19700101000000.000"}


def test_a_left_is_where_a_way_goes_on() -> None:
    """What one step left, another enters: the job ends as if nothing had been cut."""
    chain = ", ".join(
        f"h{n}: {{type: hook, job: {{maps: {{last: {n}}}}}}}" for n in range(VISITS_MAX + 50)
    )
    ways = ", ".join(f"h{n}: [{{to: h{n + 1}}}]" for n in range(VISITS_MAX + 49))
    plan = plan_of(chain, f"{{t1: [{{to: h0}}], {ways}}}")
    walk = started(plan)
    [left] = walk.changes().continuations
    assert left == Continuation(f"h{VISITS_MAX - 1}", left.dad)
    rest = Walk(plan, walk.job, dict(walk.instances), 101.0, lambda: 0)
    rest.enter(left)
    assert rest.changes().ended
    assert rest.job.data == {"last": VISITS_MAX + 49}
