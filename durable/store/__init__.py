"""Everything that durable keeps in Postgres, as rows; one method per block of `sql/`.

Jobs and what they did:

- `jobs`: runs of workflows: started, read, listed, ended from outside.
- `histories`: the facts of runs, read.
- `function_jobs`: runs of workflows, read as jobs of the app that their task queue is.
- `graph_jobs`: jobs of hand-written graphs and what their activities did.
- `interop`: jobs that are started, and awaited, by a job of the other kind.
- `hooks`: which activities wait for which signals, and signals that arrive before their hooks.
- `escalations`: waits that a person is to end.
- `states`: attributes and entities of jobs of graphs: written by steps, found by conditions.
- `stats`: what is counted over jobs, and which jobs have what.
- `retention`: retention policies, and the ended jobs that they remove.

Apps:

- `apps`: descriptors as deployed, and the active version of each app.
- `edits`: versions of generated graphs, and what operators changed of them.

The streams (claim, complete, retry, give back):

- `runs`: wake rows and inboxes of runs.
- `activities`: attempts of activities: claimed, settled, tried again.
- `graph_messages`: messages of the engines of graphs, and work for the workers of a topic.
- `graph_topics`: work of graphs for a worker of functions: many topics of one app, each with its
  policy.
- `work_slots`: work that a worker of this process reserves with the commit that brings it.
- `pacing`: how fast one consumer may claim.

Members and notifications:

- `members`: the processes that hold leases, and the takeover of what dead ones held.
- `member_connection`: the connection whose session holds a member's lock.
- `sweeper`: once a second one member looks for dead members and due queues.
- `membership`: a process's lease on everything it holds, kept by a thread of its own.
- `lease`: user code begins only while this process is known to be the member that it was.
- `announcer`: notifications after a commit: names on channels, never data.
- `notification_hub`: the LISTEN connection of a client or mesh, and what sends its notifications.
"""
