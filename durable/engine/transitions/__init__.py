"""From an answer to what follows it; pure functions.

- `mapping`: what an answer writes: activity data by `output.maps`, job data by `job.maps`.
- `validation`: whether data fits the schemas of the graph.
- `adjacency`: which activities are entered next, or that an error ends the job.
- `job_state`: what an answer changes of the job's attributes, entity document and markers.
- `trace_legs`: the legs of activities as spans of a trace.
"""
