"""The place where steps are committed.

- `committer`: gathers the commits of function workflows and sends them as one statement.
- `workflow_commits`: those statements, scalar and batched.
- `commit_rows`: what a commit writes, as rows: one class for each kind.
- `graph_steps`: the steps of hand-written graphs, on the queue path: claim, lock, walk, write.
- `local_path`: their local path: steps in memory, many in a statement.
- `graph_commits`: its statements.
- `graph_escalations`, `resolving`: what steps write of escalations; closing them with their jobs.
- `fan_out`: a signal to all jobs with a facet, as a message: it becomes a signal to each, part by
  part.
- `graph_outbox`: what the steps of graph jobs say to engines and workers, as messages.
- `graph_routing`: from a signal to who waits for it, by the rules of its topic.
- `graph_rows`: rows of graph jobs and their messages, as the values that steps work with, and
  back.
- `graph_starts`: how a job begins: its first step.
- `graph_walk`: one job's way through its graph within one step; pure.
- `graph_writes`: writing what steps of graph jobs lead to, in the transaction of the caller.
- `signal_delivery`: what becomes of a signal that is addressed to a topic: its waiter gets it, or
  it is kept.
- `workflow_starts`: workflows that activities of graphs start, in the transaction of the step that
  starts them.
- `workflow_awaits`: graphs that are steps of workflows: begun, given up, and answered where they
  cannot begin.
- `workflow_stops`: an interruption that descends to workflows: they are cancelled, and later
  terminated.
"""
