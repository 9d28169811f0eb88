"""Starting, finding, signalling and awaiting runs.

- `options`: what `client.start` may begin a run with, and by what `client.list` finds it again.
- `client`: the client: start runs, find them, list them.
- `deployments`: an operator's edits of the descriptors that functions generated.
- `handle`: a handle: one run, seen from outside.
- `terminations`: the termination of runs from outside, and the notifications that follow it.
- `interface_checker`: arguments and signals of runs that are named by text, checked against the
  descriptor that their workers deployed.
- `interfaces`: what each workflow of a descriptor takes; loaded when one is first read.
"""
