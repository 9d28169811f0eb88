"""A process that takes turns and runs activities.

- `alarms`: things to be done at a time, in the order of their times, with one timer of the loop.
- `answers`: what follows from attempts that have rows: the run hears their end, or another is
  written.
- `attempts`: running attempts of activities: async ones as tasks, plain ones on threads, within
  limits.
- `command_plans`: how the commands of what this worker serves are carried out, for each deployment
  of edits.
- `flushing`: which steps that run here without a row have run for long enough to be written down.
- `graph_topics`: activities as workers of graphs: the topics of an app's graphs that a function
  serves.
- `active_run`: a run in memory: what it has committed, what has arrived, and what its next turn
  would write.
- `turns`: a turn: what arrived, what it is going to write, and what starts with it.
- `hints`: what a member is told to let go of is looked up before it lets go.
- `workflow_worker`: holding runs: turns, commits, timers, inboxes, eviction.
- `eviction_queue`: giving runs back that this process evicts, without losing what arrives for
  them meanwhile.
- `claim_dispatch`: which of many workers look when a queue holds something new: as many as there
  is work for.
- `worker_services`: what a worker is given by its client: streams, and Protocols of committer and
  deployer.
- `worker`: the worker: claims what its queue holds, and runs it.
- `outcomes`: what an attempt that ran in this process brings its run: a fact, or another attempt.
- `reports`: what the log says of attempts and runs that failed: each once, with what a handler
  may filter by.
- `reading`: reading for many runs at once, where what one of them has may be unreadable.
- `reconciling`: what this worker's member has reserved in the tables, against what the worker
  holds.
- `releasing`: how a run leaves this process before its end: suspended, given back, or released to
  try again.
- `taking`: taking claimed runs into memory: those that were lost before come last.
- `lingering`: attempts whose code goes on after a stop: their member stays for them, and settles
  them itself.
- `lacking`: what waits in a queue that this worker cannot run: left for one that can, and said
  once.
- `watchdog`: code that does not yield: found, named, and after a limit parted from what it keeps
  from moving.
- `horizon`: how much a poll looks at: all that the worker holds, or what has arrived lately.
- `open_graphs`: graphs that a run awaits: begun with a commit, and given up when nobody waits.
"""
