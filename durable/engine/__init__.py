"""From a deployed graph to facts: the interpreter, and the one place that commits.

- `activities`: the kinds of activities: what each wants written when entered, and when something
  arrives.
- `collation`: where in a job something happens, and when it is over; pure arithmetic.
- `completion`: jobs as their callers see them: output, status, and what their activities did.
- `effects`: what an activity wants written: the words between pure handlers and the place that
  commits.
- `extension`: what a job of a graph may be started with beside its data: HotMesh's `extended`
  argument.
- `frozen`: a quick copy of a frozen value.
- `job`: a job as a step sees it: frozen, loaded before and compared after; and what its
  expressions see.
- `outcomes`: how a run of a function ended, in the words of graphs: data, and an error with a code.
- `retention`: how what has ended leaves the tables: in batches, each one transaction, once its
  time is over.
- `signals`: from the outside world to an activity that waits: signals, and further answers.
- `statistics`: what was counted over jobs, as their callers see it; and signals to all that have
  something.
- `steps`: the place where steps are committed.
- `timers`: when an engine has to look again.
- `transitions`: from an answer to what follows it; pure.
- `versions`: which descriptors are deployed, which one is live, and the plans made of them.
"""
