"""Jobs, histories, apps and members as rows; one method per block of `sql/`.

- `crossings`: jobs that are started, and awaited, by a job of the other kind.
- `edits`: versions of generated graphs, and what operators changed of them.
- `escalations`: waits that a person is to end: the table `escalations`.
- `function_jobs`: runs of functions, read as jobs of the app that their task queue is.
- `graph_jobs`: jobs of hand-written graphs and what their activities did, as rows.
- `hooks`: who waits for which signal, and which signals wait for somebody.
- `jobs`: jobs of function workflows as rows: started, read, listed, ended from outside.
- `passes`: passes of cycles that are forgotten while their job goes on.
- `retention`: what is kept for how long, and what of it is over: policies, and the rows that
  leave.
- `states`: what jobs of graphs keep of what they are about: written by steps, and found by
  conditions.
- `stats`: what is counted over jobs, and which jobs have what.
"""
