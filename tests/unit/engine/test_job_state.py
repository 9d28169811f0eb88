"""What answers change of a job's state; without a database."""

from __future__ import annotations

from typing import Any

from durable.descriptor.document import load
from durable.descriptor.plan import compile_graph
from durable.engine.effects import Answer, Reply
from durable.engine.extension import Extension
from durable.engine.job import Job
from durable.engine.steps.graph_walk import Changes, Walk
from durable.engine.transitions.job_state import StateChange

GRAPH = """
app:
  id: app
  version: 1
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger, entity: '{$self.input.data.kind}', job: {maps: {'a[_]': '{$self.output.data.about}', 'm[-]': {note: 1}}}}
        w1:
          type: worker
          topic: w
          state:
            - {op: attributes.incr, name: n, by: '{$self.output.data.by}'}
            - {op: entity.append, path: seen, value: '{$job.attributes.n}'}
        w2: {type: worker, topic: w, input: {maps: {n: '{$job.attributes.n}', seen: '{$job.entity.seen}'}}}
      transitions: {t1: [{to: w1}], w1: [{to: w2}]}
"""  # noqa: E501 - graphs are wider than code


def _walk(job: Job | None = None, **instances: Any) -> Walk:
    app = load(GRAPH)
    plan = compile_graph(app, app.graphs[0])
    data = {"kind": "k", "about": {"n": 1, "list": [1], "none": None}}
    first = job or Job(7, "j", "app", "t", "1", input=data)
    return Walk(plan, first, dict(instances), 0.0, lambda: 0.5)


def _begun() -> tuple[Walk, Changes]:
    walk = _walk()
    walk.create(Extension(search={"given": "x"}, marker={"-from": "shop"}))
    walk.start()
    return walk, walk.changes()


def test_a_job_begins_with_kind_attributes_and_markers() -> None:
    """The trigger's kind, the caller's attributes and markers, and those of wildcards."""
    _, changes = _begun()
    assert changes.state == StateChange(
        "k", {"given": "x", "n": 1, "list": "[1]"}, {}, {"-from": "shop", "-note": 1}
    )


def test_operations_are_done_with_the_answer() -> None:
    """Those of the document see the state as it was; those of the answer follow; the next activity sees all."""  # noqa: E501
    walk, _ = _begun()
    later = _walk(walk.job)
    later.instances |= walk.instances
    state = ({"op": "entity.append", "path": "seen", "value": "last"},)
    later.reply("w1", ",0,0", Reply("response", {"by": 2}, state=state))
    changes = later.changes()
    assert changes.state == StateChange(
        None, {"given": "x", "n": 3, "list": "[1]"}, {"seen": [1, "last"]}, {}
    )
    (work,) = (a.effect for a in changes.effects)
    assert work.data == {"n": 3, "seen": [1, "last"]}  # type: ignore[union-attr]


def test_what_does_not_fit_changes_nothing() -> None:
    """The job fails, and its state is as it was before that answer."""
    walk, _ = _begun()
    later = _walk(walk.job)
    later.instances |= walk.instances
    later.reply("w1", ",0,0", Reply("response", {"by": "two"}))
    changes = later.changes()
    assert changes.job.state == "failed"
    assert changes.job.error is not None
    assert "activity 'w1'" in changes.job.error.message
    assert changes.state is None


def test_an_answer_without_state_leaves_none_to_be_written() -> None:
    """Nothing is written where nothing was done."""
    walk, _ = _begun()
    again = _walk(walk.job)
    assert again.changes().state is None
    assert Answer().state == ()
