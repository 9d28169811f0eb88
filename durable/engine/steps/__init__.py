"""The place where steps are committed.

- `committer`: gathers the commits of function workflows and sends them as one statement.
- `workflow_commits`: those statements, scalar and batched.
- `graph_steps`: the steps of hand-written graphs, on the slow road: claim, lock, walk, write.
- `graph_road`: their fast road: steps in memory, many in a statement.
- `graph_commits`: its statements.
- `graph_escalations`, `resolving`: what steps write of escalations; closing them with their jobs.
"""
