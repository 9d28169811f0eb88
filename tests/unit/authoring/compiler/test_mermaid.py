"""The drawing of an app."""

import copy

from durable.authoring.activity import activity
from durable.authoring.compiler.generate import generate
from durable.authoring.compiler.mermaid import mermaid
from durable.authoring.workflow import workflow
from durable.descriptor.document import load
from durable.protocol.retry import RetryPolicy


@activity(retry=RetryPolicy(maximum_attempts=5), task_queue="gpu")
async def charge(order: str) -> None: ...


@workflow
async def fulfil(order: str) -> None: ...


DRAWING = """\
%% app orders, version VERSION
flowchart LR
  subgraph shared["shared"]
    shared_0["charge<br/>on gpu<br/>up to 5 attempts"]
  end
  subgraph g0["fulfil, version GRAPH"]
    g0_0(["{.start}"])
    g0_1["fulfil"]
    g0_2[".activity<br/>runs {fulfil.output.data.topic}"]
    g0_3[[".child<br/>child {fulfil.output.data.topic}"]]
    g0_4{{".timer<br/>sleeps {fulfil.output.data.seconds}"}}
    g0_5{{".signal<br/>waits for fulfil.signal"}}
    g0_6[[".graph<br/>child {fulfil.output.data.topic}"]]
    g0_0 --> g0_1
    g0_1 <-.-> g0_2
    g0_1 <-.-> g0_3
    g0_1 <-.-> g0_4
    g0_1 <-.-> g0_5
    g0_1 <-.-> g0_6
  end
  g0_1 <-.-> shared
""".replace("{.start}", ".start")


def test_a_generated_app_is_drawn() -> None:
    """One box, one node per activity, and a dotted edge for what the function asks and gets."""
    made = generate("orders", [fulfil.definition], [charge.definition])
    expected = DRAWING.replace("VERSION", made.version).replace("GRAPH", made.versions["fulfil"])
    assert mermaid(load(made.data)) == expected


def test_a_graph_that_has_its_own_is_drawn_with_it() -> None:
    """What stands before a shared activity is in the graph's box, with an edge of its own."""
    made = generate("orders", [fulfil.definition], [charge.definition])
    app = copy.deepcopy(made.data)
    app["app"]["graphs"][0]["activities"]["charge"] = {"type": "worker", "topic": "charge.eu"}
    text = mermaid(load(app))
    assert 'g0_7["charge<br/>runs charge.eu"]' in text
    assert "g0_1 <-.-> g0_7" in text
    assert "g0_1 <-.-> shared" not in text


def test_a_hand_written_app_is_drawn_with_its_conditions() -> None:
    """Codes and matches stand on the edges, cycles lead back, and odd text stays text."""
    app = load(
        """
app:
  id: a
  version: '1'
  graphs:
    - subscribes: t
      activities:
        t1: {type: trigger}
        w: {type: worker, topic: 'w#1', title: 'a "big" <one>', cycle: true}
        again: {type: cycle, ancestor: w}
        stop: {type: interrupt}
        pass: {type: hook}
      transitions:
        t1: [{to: w}]
        w:
          - to: again
            conditions: {code: [200, 202], match: [{expected: true, actual: '{w.output.data.m}'}]}
          - {to: stop, conditions: {code: 500}}
          - {to: pass}
"""
    )
    text = mermaid(app)
    assert 'g0_1["a #quot;big#quot; #lt;one#gt;<br/>runs w#35;1"]' in text
    assert 'g0_1 -->|"code 200, 202<br/>{w.output.data.m} = True"| g0_2' in text
    assert 'g0_1 -->|"code 500"| g0_3' in text
    assert "g0_1 --> g0_4" in text
    assert "g0_2 -.->|again| g0_1" in text
