"""What any host (a worker, a graph engine, a client) needs, once for functions and graphs.

`clocks` time that a step of the wall clock does not move · `supervision` background tasks that
somebody knows of when they die · `reconciler` what the tables say is reserved, against what its
holder knows · `notifier` wake-ups of one moment as one statement · `batching` what many ask of
Postgres in one moment goes as one statement · `waiting` for the ends of runs and jobs

- `notifications`: the kinds of notifications, written and read here alone.
- `channels`: names of notification channels: Postgres allows 63 bytes, so long ones end in their
  hash.
- `interrupts`: Ctrl-C, told from a `KeyboardInterrupt` that code raised.
- `silence`: silence is not life: a member that beats, while a lane of its own completes nothing.
- `slices`: slices of CPU time: how long something goes on before the loop's other work has its
  turn.
- `threads`: threads for user code that blocks: daemons, so that none of them keeps a process from
  ending.
- `user_code`: user code may raise anything: here it becomes data, and nothing of it reaches the
  event loop.
- `watchdog`: code that does not yield: found, named, and after a limit parted from what it keeps
  from moving.
"""
