"""The queue: claim, complete, retry, give back, take over; one method per block of `sql/`.

- `activities`: attempts of activities as rows: claimed, settled, tried again.
- `announce`: telling others what a commit has brought, after it: names on channels, never data.
- `graph_messages`: the queue of hand-written graphs: the engines' messages, and work for the
  workers of a topic.
- `graph_topics`: work of graphs for a worker of functions: many topics of one app, each with its
  policy.
- `members`: the processes that hold leases, and what happens to the leases of dead ones.
- `membership`: a process's lease on everything it holds, kept by a thread of its own.
- `pacing`: how fast one consumer may claim.
- `wakes`: how a client or a mesh is woken and wakes others.
- `worker_services`: what a worker is given by its client: the streams, and Protocols of
  committer and deployer.
- `runs`: wake rows and inboxes: who holds a run, and what has arrived for it.
- `work_slots`: work that a worker of the very process takes with the commit that brings it: no
  claim, no wait.
- `lease`: user code begins only while this process is known to be the member that it was.
"""
