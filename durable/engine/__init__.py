"""From a deployed graph to facts: the interpreter, and the one place that commits.

- `activities`: the kinds of activities: the effects of entering one, and of a reply for it.
- `collation`: addresses within a job, and when it is done; pure arithmetic.
- `transitions`: from an answer to what follows it; pure.
- `effects`: what activities have written: the vocabulary between pure handlers and the commit.
- `job`: a job and its activities as a step sees them, and what expressions can refer to.
- `copies`: a quick copy of a frozen value with some fields changed.
- `extension`: what a job may be started with beside its data: HotMesh's `extended` argument.
- `interpreter`: takes what is due for the graphs of an app and has it committed, step by step.
- `steps`: the place where steps are committed.
- `job_queries`: jobs as their callers see them: output, status, and what their activities did.
- `outcomes`: how a run of a function ended, in terms of graphs: data, and an error with a code.
- `retention`: prunes what has ended: in batches, each one transaction.
- `signals`: sends signals and further answers from outside to activities that wait.
- `statistics`: what triggers counted of jobs; and signals to all jobs with a facet.
- `timers`: when an engine has to look again.
- `versions`: which descriptors are deployed, which one is active, and the plans made of them.
"""
