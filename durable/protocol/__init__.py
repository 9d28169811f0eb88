"""The words every room shares: messages, codes, commands, facts, retry policy, durations, ids.

Plain frozen values; no loop, clock, dice or socket is imported here.

- `durations`: seconds, `timedelta` or text to seconds.
- `retry`: `RetryPolicy` and its delays.
- `options`: what a call may override.
- `failures`: an exception as data.
- `facts`: what a history is made of.
- `commands`: what a turn of a workflow asks for.
- `messages`: rows of the two streams.
- `commits`: what one turn writes, and the ports through which a worker reaches the engine.
- `frozen`: a quick copy of a frozen value.
- `codes`, `ids`: HotMesh's reply codes; names and random ids.
"""
