"""A document for each kind of activity, as the reference of the language shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TRIGGER: Final = """\
app:
  id: library
  version: '1'
  settings: {contact: desk@library.example}             # not looked at
  graphs:
    - subscribes: loan.begin
      publishes: loan.ended
      title: A copy on loan
      expire: 1 day
      input:                                            # a start with other data is refused
        schema: {type: object, required: [copy], properties: {copy: {type: string}}}
        validate: true
      output: {schema: {type: object}}
      activities:
        start:
          type: trigger
          title: Somebody borrows a copy
          entity: loan
          stats:
            id: '{$self.input.data.copy}'               # one job for each copy at a time
            key: '{$self.input.data.branch}'
            granularity: 1h
            measures:
              - {measure: count, target: '{$self.input.data.kind}'}
              - {measure: index, target: '{$self.input.data.reader}'}
          telemetry: {copy: '{$self.output.data.copy}'}
          state:
            - {op: attributes.set, values: {reader: '{$self.output.data.reader}'}}
          job: {maps: {copy: '{$self.output.data.copy}'}}
    - subscribes: reader.join
      persistent: true                                  # kept for ever
      activities: {joined: {type: trigger}}
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
          retry:
            maximumAttempts: 5
            backoffCoefficient: 2
            initialInterval: 500 ms
            maximumInterval: 1 minute
            nonRetryable: [ValueError]
            422: [0, x]                                 # an error with code 422 is not tried again
          input: {maps: {to: '{start.output.data.reader}', style: kind}}
          output:
            maps: {length: {'@pipe': [['{$self.output.data.text}'], ['{@array.length}']]}}
            schema: {type: object, required: [text]}
            validate: true
            422: {schema: {type: object, required: [message]}}
          job: {maps: {text: '{$self.output.data.text}'}}
          emit: true                                    # subscribers hear of the job before its end
          settings: {owner: desk 3}
        angry:
          type: worker
          topic: letter.write
          cycle: false
          reentrant: false
          input: {maps: {style: stern}}
          persist: true                                 # the job counts as done
        filed: {type: worker, topic: letter.file, statusThreshold: 1}
      transitions:
        start: [{to: letter}]
        letter:
          - to: filed
            conditions:
              code: [200, 201]
              gate: or
              match:
                - {expected: kind, actual: '{$self.output.data.style}'}
                - {expected: 0, actual: '{$self.output.data.length}'}
          - {to: angry, conditions: {code: 422}}
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
        tell: {type: await, topic: .copy.tell, await: false, cycle: false}
        remind:                                         # the workflow `remind` of a task queue
          type: await
          topic: remind
          app: letters
          input: {maps: {copy: '{start.output.data.copy}'}}
      transitions: {start: [{to: check}], check: [{to: tell}, {to: remind}]}
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
          cycle: false
          hook: {schema: {type: object, required: [here]}, validate: true}
          sleep: 7 days
          escalation:                                   # somebody is to see to it
            role: desk
            type: pickup
            subtype: '{start.output.data.kind}'
            entity: loan
            priority: 2
            description: A reader comes for a copy
            taskQueue: desk
            workflowType: reserve
            originId: '{$job.metadata.jid}'
            parentId: '{$job.metadata.jid}'
            initiatedBy: '{start.output.data.reader}'
            traceId: '{$job.metadata.trc}'
            spanId: '{$job.metadata.spn}'
            expiresAt: '{start.output.data.until}'
            metadata: {shelf: '{start.output.data.shelf}'}
            envelope: {reader: '{start.output.data.reader}'}
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
          status: success
          code: 200
        tell_all:                                       # every job of the reader
          type: signal
          subtype: all
          topic: reader.came
          signal: {maps: {here: true}}
          key_name: reader
          key_value: '{start.output.data.reader}'
          resolver: {maps: {data: {branch: '{start.output.data.branch}'}, range: 24h, end: NOW}}
          scrub: true
      transitions: {start: [{to: tell}], tell: [{to: tell_all}]}
    - subscribes: reserve
      activities:
        begin:
          type: trigger
          stats:
            id: '{$self.input.data.id}'
            key: '{$self.input.data.branch}'
            measures: [{measure: index, target: '{$self.input.data.reader}'}]
        pickup: {type: hook}
      transitions: {begin: [{to: pickup}]}
      hooks:
        reader.came:
          - to: pickup
            conditions:
              gate: and
              match: [{expected: '{$job.metadata.jid}', actual: '{$self.hook.data.id}'}]
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
          stack: loan.begin, copy.lost
          throw: true
          expire: 1 hour
          descend: true
        stop: {type: interrupt, reason: nothing left to do, throw: false}     # this job
      transitions: {start: [{to: end_loan}], end_loan: [{to: stop}]}
    - subscribes: loan.begin
      activities:
        begin: {type: trigger}
        held: {type: hook, hook: {topic: copy.back}}    # any signal there wakes it
      transitions: {begin: [{to: held}]}
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

FUNCTIONS: Final = """\
app:
  id: orders                                            # the task queue
  version: 51c0ffee51c0ffee                             # a hash of the whole
  shared:
    activities:
      charge:
        type: worker
        topic: charge
        taskQueue: payments
        retry: {maximumAttempts: 5, nonRetryable: ['orders:CardDeclined']}
        startToCloseTimeout: 30s
        scheduleToCloseTimeout: 5 minutes
        scheduleToStartTimeout: 60s
        heartbeatTimeout: 10s
        priority: 3                                     # before others of its task queue
    transitions:
      - {to: charge, conditions: {code: 202, match: [{expected: charge, actual: '{$self.output.data.command}'}]}}
  graphs:
    - subscribes: fulfil                                # a workflow
      version: 7c1d09e27c1d09e2
      activities:
        .start: {type: trigger}
        fulfil: {type: worker, topic: fulfil, reentrant: true, priority: 1}
        .child:
          type: await
          topic: '{fulfil.output.data.topic}'
          taskQueue: '{fulfil.output.data.taskQueue}'
          priority: '{fulfil.output.data.priority}'
        .timer: {type: hook, sleep: '{fulfil.output.data.seconds}'}
      transitions:
        .start: [{to: fulfil}]
        fulfil:
          - {to: .child, conditions: {code: 202, match: [{expected: .child, actual: '{$self.output.data.command}'}]}}
          - {to: .timer, conditions: {code: 202, match: [{expected: .timer, actual: '{$self.output.data.command}'}]}}
"""  # noqa: E501 - as `durable yaml` prints it

EXAMPLES: Final[Mapping[str, str]] = {
    "Graphs of functions": FUNCTIONS,
    "trigger": TRIGGER,
    "worker": WORKER,
    "await": AWAIT,
    "hook": HOOK,
    "signal": SIGNAL,
    "interrupt": INTERRUPT,
    "cycle": CYCLE,
}
