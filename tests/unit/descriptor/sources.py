"""Descriptors that several tests share."""

from __future__ import annotations

GENERATED = """\
app:
  id: orders                                # the task queue
  version: 51c0ffee                         # hash of the whole
  graphs:
    - subscribes: fulfil                    # client.start publishes here
      version: 7c1d09e2
      input:  {schema: {type: object, properties: {order: {$ref: '#/$defs/Order'}}}}
      output: {schema: {type: object}}
      activities:
        .start:    {type: trigger}
        fulfil:    {type: worker, topic: fulfil, reentrant: true}      # the function, replayed
        charge:    {type: worker, topic: charge, retry: {maximumAttempts: 5, backoffCoefficient: 2, maximumInterval: 300s}}
        refund:    {type: worker, topic: refund}
        .activity: {type: worker, topic: '{fulfil.output.data.topic}'} # called by name, or on another queue
        .child:    {type: await, topic: '{fulfil.output.data.topic}'}
        .timer:    {type: hook, sleep: '{fulfil.output.data.seconds}'}
        .signal:   {type: hook, hook: {topic: fulfil.signal}}          # stands open for every name; each answer 202
      transitions:
        .start: [{to: fulfil}]
        fulfil:
          - {to: charge, conditions: {code: 202, match: [{expected: charge, actual: '{$self.output.data.command}'}]}}
          - {to: refund, conditions: {code: 202, match: [{expected: refund, actual: '{$self.output.data.command}'}]}}
          - {to: .activity, conditions: {code: 202, match: [{expected: .activity, actual: '{$self.output.data.command}'}]}}
          - {to: .child, conditions: {code: 202, match: [{expected: .child, actual: '{$self.output.data.command}'}]}}
          - {to: .timer, conditions: {code: 202, match: [{expected: .timer, actual: '{$self.output.data.command}'}]}}
          - {to: .signal, conditions: {code: 202, match: [{expected: .signal, actual: '{$self.output.data.command}'}]}}
"""  # noqa: E501 - as the design shows it

SHARED = """\
app:
  id: orders
  version: 51c0ffee51c0ffee
  shared:
    activities:
      charge:
        type: worker
        topic: charge
        taskQueue: gpu
        retry: {maximumAttempts: 5, nonRetryable: ['orders:CardDeclined']}
        startToCloseTimeout: 30s
        scheduleToCloseTimeout: 5 minutes
        scheduleToStartTimeout: 60
        heartbeatTimeout: 0.5
        priority: -3
      refund: {type: worker, topic: refund}
    transitions:
      - {to: charge, conditions: {code: 202, match: [{expected: charge, actual: '{$self.output.data.command}'}]}}
      - {to: refund, conditions: {code: 202, match: [{expected: refund, actual: '{$self.output.data.command}'}]}}
  graphs:
    - subscribes: fulfil
      version: 7c1d09e27c1d09e2
      activities:
        .start: {type: trigger}
        fulfil: {type: worker, topic: fulfil, reentrant: true, priority: 3}
        refund: {type: worker, topic: refund.eu}
        .activity:
          type: worker
          topic: '{fulfil.output.data.topic}'
          taskQueue: '{fulfil.output.data.taskQueue}'
          retry: '{fulfil.output.data.retry}'
          startToCloseTimeout: '{fulfil.output.data.startToCloseTimeout}'
          priority: '{fulfil.output.data.priority}'
        .child:
          type: await
          topic: '{fulfil.output.data.topic}'
          taskQueue: '{fulfil.output.data.taskQueue}'
          priority: '{fulfil.output.data.priority}'
        .timer: {type: hook, sleep: '{fulfil.output.data.seconds}'}
        .signal: {type: hook, hook: {topic: fulfil.signal}}
      transitions:
        .start: [{to: fulfil}]
        fulfil:
          - {to: .activity, conditions: {code: 202, match: [{expected: .activity, actual: '{$self.output.data.command}'}]}}
          - {to: .child, conditions: {code: 202, match: [{expected: .child, actual: '{$self.output.data.command}'}]}}
          - {to: .timer, conditions: {code: 202, match: [{expected: .timer, actual: '{$self.output.data.command}'}]}}
          - {to: .signal, conditions: {code: 202, match: [{expected: .signal, actual: '{$self.output.data.command}'}]}}
"""  # noqa: E501 - as `durable yaml` prints it

HANDWRITTEN = """\
app:
  id: tour
  version: 3
  settings: {owner: us}
  graphs:
    - subscribes: order.place
      publishes: order.placed
      expire: 120
      input: {schema: {type: object, properties: {a: {type: string}}}}
      output: {schema: {type: object}}
      activities:
        t1:
          title: The entry
          type: trigger
          stats: {id: '{$self.input.data.id}'}
          job: {maps: {seed: '{$self.output.data.a}', count: 0}}
        a1:
          type: worker
          topic: work.do
          input:
            schema: {type: object}
            maps: {x: '{t1.output.data.a}', nested: {deep: ['{$job.data.seed}', 1]}}
          output:
            schema: {type: object}
            500: {schema: {type: object}}
          job: {maps: {b: '{$self.output.data.y}'}}
          retry: {maximumAttempts: 2, initialInterval: 1, nonRetryable: [CardDeclined]}
        fix: {type: activity}
        any5xx: {type: hook, job: {maps: {error: '{a1.output.metadata.err}'}}}
        other: {type: await, topic: order.other, await: false, input: {maps: {q: '{a1.output.data.y}'}}}
        h1:
          type: hook
          sleep: 30
          hook: {type: object, properties: {approved: {type: boolean}}}
          job: {maps: {approved: '{$self.hook.data.approved}'}}
        dyn: {type: hook, sleep: {'@pipe': [['{t1.output.data.n}', 2], ['{@math.multiply}']]}}
        p1: {type: hook, cycle: true, output: {maps: {n: 0}}}
        w1: {type: worker, topic: '{t1.output.data.queue}'}
        c1:
          type: cycle
          ancestor: p1
          input: {maps: {n: {'@pipe': [['{p1.output.data.n}', 1], ['{@math.add}']]}}}
        stop: {type: interrupt, reason: no longer needed, code: 410, throw: true}
        stop2: {type: interrupt, target: '{t1.output.data.id}', topic: order.other, throw: false, descend: true}
      transitions:
        t1:
          - to: a1
            conditions:
              gate: and
              match:
                - expected: false
                  actual: {'@pipe': [['{t1.output.data.a}', bye], ['{@conditional.equality}']]}
          - {to: p1}
        a1:
          - to: h1
          - {to: fix, conditions: {code: 422}}
          - {to: any5xx, conditions: {code: [500, 503]}}
          - {to: other, conditions: {code: '202'}}
        h1: [{to: dyn}]
        p1: [{to: w1}]
        w1:
          - to: c1
            conditions:
              match:
                - expected: true
                  actual: {'@pipe': [['{p1.output.data.n}', 5], ['{@conditional.less_than}']]}
          - to: stop2
            conditions: {code: 500, gate: or, match: [{expected: 1, actual: '{$job.data.x}'}, {expected: null, actual: '{$job.data.y}'}]}
        stop2: [{to: stop}]
      hooks:
        order.approve:
          - to: h1
            conditions:
              match:
                - {expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}
    - subscribes: order.other
      activities:
        t2: {type: trigger}
        g1:
          type: signal
          subtype: one
          topic: order.approve
          status: pending
          code: 202
          signal: {schema: {type: object}, maps: {id: '{t2.output.data.target}', approved: true}}
      transitions: {t2: [{to: g1}]}
"""  # noqa: E501 - long lines are part of the test


def graph(activities: str, rest: str = "", more: str = "") -> str:
    """An app around one graph; `activities` and `rest` are lines without indentation."""
    return "\n".join(
        [
            "app:",
            "  id: x",
            "  version: 1",
            "  graphs:",
            "    - subscribes: t",
            "      activities:",
            *("        " + line for line in activities.strip().splitlines()),
            *("      " + line for line in rest.strip().splitlines()),
            *("    " + line for line in more.strip().splitlines()),
        ]
    )
