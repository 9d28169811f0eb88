"""The soak: every fault at once, at random, for minutes, and what must hold all the same.

- `programs`: the workflows and the graph that are run.
- `caller`: the process that starts them and signals them, and is killed like everybody else.
- `graph_worker`: the process that moves the graph.
- `actors`: the processes, each behind a proxy and with a clock of its own.
- `breakages`: the faults, by name.
- `invariants`: what must hold in the end.
"""
