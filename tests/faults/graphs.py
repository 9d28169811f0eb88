# ruff: noqa: E501 - graphs are wider than code
"""The app whose worker is killed at every commit: one of each kind of activity."""

from __future__ import annotations

EVERY_KIND = """
app:
  id: app
  version: '1'
  graphs:
    - subscribes: t
      expire: 600
      publishes: done
      activities:
        t1:
          type: trigger
          entity: order
          stats: {id: '{$self.input.data.id}', key: jobs, measures: [{measure: count, target: '{$self.input.data.id}'}]}
          state: [{op: entity.set, value: {done: 0}}]

        turn: {type: hook, cycle: true, output: {maps: {n: 0}}}
        step: {type: worker, topic: step, state: [{op: entity.increment, path: done}], input: {maps: {v: '{turn.output.data.n}'}}, job: {maps: {steps: '{$self.output.data.v}'}}}
        again: {type: cycle, ancestor: turn, input: {maps: {n: {'@pipe': [['{turn.output.data.n}', 1], ['{@math.add}']]}}}}

        child: {type: await, topic: child, input: {maps: {id: {'@pipe': [['{$job.metadata.jid}', '-child'], ['{@string.concat}']]}}}, job: {maps: {child: '{$self.output.data.v}'}}}
        below: {type: worker, topic: below, state: [{op: entity.increment, path: done}], input: {maps: {v: '{child.output.data.v}'}}, job: {maps: {below: '{$self.output.data.v}'}}}
        tell: {type: signal, subtype: one, topic: say, signal: {maps: {id: '{$job.metadata.jid}', word: last}}}
        listen: {type: hook, escalation: {role: listener, metadata: {job: '{$job.metadata.jid}'}}, job: {maps: {word: '{$self.hook.data.word}'}}}
        heard: {type: worker, topic: heard, state: [{op: entity.increment, path: done}], input: {maps: {v: '{listen.hook.data.word}'}}, job: {maps: {heard: '{$self.output.data.v}'}}}

        open: {type: worker, topic: open, emit: true, state: [{op: attributes.incr, name: answers, by: 1}], job: {maps: {open: '{$self.output.data.v}'}}}
        each: {type: worker, topic: each, state: [{op: entity.increment, path: done}], input: {maps: {v: '{open.output.data.v}'}}, job: {maps: {each: '{$self.output.data.v}'}}}
        shut: {type: worker, topic: shut, state: [{op: entity.increment, path: done}], input: {maps: {v: '{open.output.data.v}'}}, job: {maps: {shut: '{$self.output.data.v}'}}}

        flaky: {type: worker, topic: flaky, retry: {maximumAttempts: 5, initialInterval: 0.01}, job: {maps: {flaky: '{$self.output.data.v}'}}}
        broken: {type: worker, topic: broken}
        sorry: {type: worker, topic: sorry, state: [{op: entity.increment, path: done}], input: {maps: {v: '{broken.output.metadata.err.message}'}}, job: {maps: {sorry: '{$self.output.data.v}'}}}

        free: {type: await, topic: sleeper, await: false, input: {maps: {id: {'@pipe': [['{$job.metadata.jid}', '-sleeper'], ['{@string.concat}']]}}}}
        stop: {type: interrupt, target: '{free.output.data.job_id}', reason: enough, job: {maps: {stopped: '{free.output.data.job_id}'}}}
      transitions:
        t1: [{to: turn}, {to: child}, {to: listen}, {to: open}, {to: flaky}, {to: broken}, {to: free}]
        turn: [{to: step}]
        step:
          - {to: again, conditions: {match: [{expected: true, actual: {'@pipe': [['{turn.output.data.n}', 1], ['{@conditional.less_than}']]}}]}}
        child: [{to: below}]
        below: [{to: tell}]
        listen: [{to: heard, conditions: {code: 202}}]
        open: [{to: each, conditions: {code: 202}}, {to: shut, conditions: {code: 200}}]
        broken: [{to: sorry, conditions: {code: 422}}]
        free: [{to: stop}]
      hooks:
        say: [{to: listen, conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}}]
    - subscribes: child
      expire: 600
      activities:
        t2: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        nap: {type: hook, sleep: 0.02}
        born: {type: worker, topic: born, job: {maps: {v: '{$self.output.data.v}'}}}
      transitions: {t2: [{to: nap}], nap: [{to: born}]}
    - subscribes: sleeper
      expire: 600
      activities:
        t3: {type: trigger, stats: {id: '{$self.input.data.id}'}}
        sleep: {type: hook, sleep: 3600}
      transitions: {t3: [{to: sleep}]}
"""

TOPICS = (
    "step", "below", "heard", "open", "each", "shut", "flaky", "broken", "sorry", "born",
)  # fmt: skip
