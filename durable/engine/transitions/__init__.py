"""From an answer to what follows it; pure.

- `mapping`: what an answer writes: the activity's data by `output.maps`, the job's by `job.maps`.
- `checking`: whether data fits the schemas that the graph asks for.
- `tracing`: what is told of a leg to who follows traces.
- `adjacency`: which activities are entered next, or that an error is nobody's business and the
- `keeping`: what an answer changes of the job's state: its attributes, its entity document, its
  markers.
job's end.
"""
