"""A process that takes turns of workflow runs and runs attempts of activities.

- `worker`: the public `Worker`: joins, claims what its queue holds, runs it, and stops.
- `worker_services`: what a client gives a worker: streams, and Protocols of committer and deployer.
- `registry`: the decorated functions that a worker serves, by name.
- `claims`: which of many workers claim when a queue holds something new, and when.
- `run_loader`: bringing claimed runs into memory; those that were lost with a member come last.
- `workflow_worker`: the workflow runs held in memory: their turns, commits, timers and inboxes.
- `active_run`: one run in memory: what is committed, what has arrived, what its next turn writes.
- `turns`: a turn: what arrived, what its commit writes, and what starts with it.
- `open_graphs`: graphs that a run awaits: begun with a commit, and interrupted with their run.
- `command_plans`: how commands are carried out under each deployment of edits.
- `attempts`: running attempts of activities: async ones as tasks, plain ones on threads.
- `graph_topics`: activities that serve the topics of an app's graphs.
- `settlements`: what follows from ended attempts: their run hears of it, or a retry is written.
- `detached_attempts`: attempts on threads that outlive a stop, and are settled when they end.
- `timers`: durable timers and step limits, kept in memory and called in the order of their times.
- `eviction`: how runs leave memory: evicted, given back, suspended, or released to be retried.
- `reconciler`: reservations in the tables against what this worker holds.
- `revocations`: notices that a run ended or an attempt is unwanted, verified before acting on them.
- `unserved_work`: warnings about queued work that this worker cannot run.
- `blocked_loop`: which run or activity blocks the worker's event loop.
- `reports`: log records of failed attempts and runs.
"""
