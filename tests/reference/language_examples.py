"""A document for each kind of activity, as the reference of the language shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TRIGGER: Final = """\
app:
  id: library
  version: '1'
  graphs:
    - subscribes: loan.begin
      publishes: loan.ended
      expire: 1 day
      input: {schema: {type: object, required: [copy], properties: {copy: {type: string}}}}
      activities:
        start:
          type: trigger
          stats: {id: '{$self.input.data.copy}'}        # one job for each copy at a time
          job: {maps: {copy: '{$self.output.data.copy}'}}
"""

WORKER: Final = """\
app:
  id: library
  version: '1'
  graphs:
    - subscribes: loan.remind
      activities:
        start: {type: trigger}
        letter:
          type: worker
          topic: letter.write
          retry: {maximumAttempts: 5, backoffCoefficient: 2, maximumInterval: 1 minute, 422: [0, x]}
          input: {maps: {to: '{start.output.data.reader}', style: kind}}
          output: {maps: {length: {'@pipe': [['{$self.output.data.text}'], ['{@array.length}']]}}}
          job: {maps: {text: '{$self.output.data.text}'}}
        angry: {type: worker, topic: letter.write, input: {maps: {style: stern}}}
      transitions:
        start: [{to: letter}]
        letter: [{to: angry, conditions: {code: 422}}]
"""

AWAIT: Final = """\
app:
  id: library
  version: '1'
  graphs:
    - subscribes: return.receive
      activities:
        start: {type: trigger}
        check:                                          # waits for the job's end, and has its data
          type: await
          topic: .copy.check
          input: {maps: {copy: '{start.output.data.copy}'}}
          job: {maps: {state: '{$self.output.data.state}'}}
        tell: {type: await, topic: .copy.tell, await: false}
      transitions: {start: [{to: check}], check: [{to: tell}]}
    - subscribes: .copy.check                           # private: activities only can start it
      activities:
        looked: {type: trigger, job: {maps: {state: good}}}
    - subscribes: .copy.tell
      activities: {told: {type: trigger}}
"""

HOOK: Final = """\
app:
  id: library
  version: '1'
  graphs:
    - subscribes: reserve
      activities:
        start: {type: trigger}
        pickup:                                         # whichever comes first: signal or timer
          type: hook
          sleep: 7 days
          output:
            maps: {came: {'@pipe': [['{$self.hook.data.here}', false], ['{@conditional.nullish}']]}}
        handed: {type: hook, job: {maps: {by: '{pickup.hook.data.by}'}}}
        lapsed: {type: hook, job: {maps: {lapsed: true}}}
      transitions:
        start: [{to: pickup}]
        pickup:
          - to: handed
            conditions: {match: [{expected: true, actual: '{$self.output.data.came}'}]}
          - to: lapsed
            conditions: {match: [{expected: false, actual: '{$self.output.data.came}'}]}
      hooks:
        reader.came:
          - to: pickup
            conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}
"""

SIGNAL: Final = """\
app:
  id: library
  version: '1'
  graphs:
    - subscribes: desk.serve
      activities:
        start: {type: trigger}
        tell:
          type: signal
          topic: reader.came
          signal: {maps: {id: '{start.output.data.id}', here: true, by: desk 3}}
      transitions: {start: [{to: tell}]}
    - subscribes: reserve
      activities: {begin: {type: trigger}, pickup: {type: hook}}
      transitions: {begin: [{to: pickup}]}
      hooks:
        reader.came:
          - to: pickup
            conditions: {match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]}
"""

INTERRUPT: Final = """\
app:
  id: library
  version: '1'
  graphs:
    - subscribes: copy.lost
      activities:
        start: {type: trigger}
        end_loan:                                       # another job; this one goes on
          type: interrupt
          topic: loan.begin
          target: '{start.output.data.copy}'
          reason: the copy is lost
          code: 423
          descend: true
        stop: {type: interrupt, reason: nothing left to do, throw: false}     # this job
      transitions: {start: [{to: end_loan}], end_loan: [{to: stop}]}
    - subscribes: loan.begin
      activities: {begin: {type: trigger}}
"""

CYCLE: Final = """\
app:
  id: library
  version: '1'
  graphs:
    - subscribes: loan.renew
      activities:
        start: {type: trigger}
        round: {type: hook, output: {maps: {left: '{start.output.data.times}'}}}
        term: {type: hook, sleep: 1 second}
        again:
          type: cycle
          ancestor: round
          input:
            maps: {left: {'@pipe': [['{round.output.data.left}', 1], ['{@math.subtract}']]}}
      transitions:
        start: [{to: round}]
        round: [{to: term}]
        term:
          - to: again
            conditions: {match: [{expected: true, actual: {'@pipe': [
              ['{round.output.data.left}', 1], ['{@conditional.greater_than}']]}}]}
"""

EXAMPLES: Final[Mapping[str, str]] = {
    "trigger": TRIGGER,
    "worker": WORKER,
    "await": AWAIT,
    "hook": HOOK,
    "signal": SIGNAL,
    "interrupt": INTERRUPT,
    "cycle": CYCLE,
}
