"""The place where steps are committed.

Functions:

- `committer`: gathers the commits of workflows and sends them as one statement.
- `workflow_commits`: those statements, for one run and for many.
- `commit_rows`: what a commit writes, as rows: one class for each kind.

Graphs:

- `graph_steps`: steps on the queue path: claim, lock, walk, write.
- `local_path`: steps on the local path: taken in memory, many in a statement.
- `graph_commits`: the statements of the local path.
- `graph_walk`: one job's walk through its graph within one step; pure.
- `recorded_instances`: the activity instances that a walk has loaded, and which of them it changes.
- `graph_walks`: begins jobs, and loads running ones for another walk.
- `message_batch`: the messages that a step has claimed, applied to the jobs they are for.
- `graph_starts`: how a job begins: its first step.
- `graph_writes`: writes the effects of steps, in the transaction of the caller.
- `graph_outbox`: what the steps of jobs send to engines and workers, as messages.
- `graph_rows`: rows of jobs and messages, as the values that steps work with, and back.
- `graph_routing`: which hooks a signal matches, by the rules of its topic.
- `signal_delivery`: gives a signal to the activity that waits for it; stores early signals.
- `fan_out`: a signal to all jobs with a facet, which becomes a signal to each, part by part.
- `graph_escalations`: opens and closes escalations as steps begin and end waits.
- `escalation_steps`: closes escalations from outside, with the steps of the jobs that wait by them.

Between the two:

- `workflow_starts`: workflows that activities of graphs start.
- `workflow_awaits`: graphs that are steps of workflows: begun, abandoned, answered with an error.
- `cancellation`: cancels the workflows that an interrupted job awaited, and later terminates them.
"""
