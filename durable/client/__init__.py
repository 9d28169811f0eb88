"""Starting, finding, signalling and awaiting runs.

- `choosing`: what `client.start` may begin a run with, and by what `client.list` finds it again.
- `client`: the client: start runs, find them, list them.
- `handle`: a handle: one run, seen from outside.
- `waiters`: waiting for the ends of runs: told by notification, with a slow poll beneath.
- `declared`: what may be signalled to a run by name: read from the descriptor that its workers
  deployed.
"""
