"""The words every room shares: messages, codes, commands, facts, retry policy, durations, ids.

Plain frozen values; no loop, clock, dice or socket is imported here.

- `durations`: seconds, `timedelta` or text to seconds.
- `retry`: `RetryPolicy` and its delays.
- `options`: what a call may override.
- `failures`: an exception as data.
- `facts`: what a history is made of.
- `commands`: what a turn of a workflow asks for.
- `commits`: what one turn writes, and the ports through which a worker reaches the engine.
- `carriers`: values that are made once for each turn or attempt, and go one hop.
- `codes`, `ids`: HotMesh's reply codes; names and random ids.
- `messages`: the kinds of messages to runs and to engines.
- `documents`: the entity document: JSON that a run keeps about what it is for, and ten operations
  on it.
- `graphs`: words of hand-written graphs: data, and what went wrong.
- `json_values`: values that JSON and Postgres can hold: copied deep, and refused with the place
  of what is not.
- `retention`: how long what has ended is kept, and what a pruning is asked for and answers.
- `searchable`: searchable attributes of a run: named texts, numbers and booleans by which runs
  are found.
- `limits`: limits of ids, names and numbers, checked by whoever is given them, before anything is
  sent.
- `states`: the states that a run can be in.
"""
