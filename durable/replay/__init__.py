"""The deterministic loop: a workflow function replayed from its history.

A `Run` is fed the facts of its history one at a time; after each it lets the user's coroutines go
on until nothing is ready any more (a *drain*), and hands back the commands that they issued. The
same facts give the same commands, in every process, on every day. What makes it true:

- `loop`: an asyncio event loop without clock, selector or threads. Its time is the time of the last
  fact. A timer is a command; whatever else reaches for the outside is refused by name (`guards`).
- `event_loop`: what asyncio asks of that loop: callbacks, timers, futures, tasks, reports.
- `tasks`: tasks and futures whose hash is the number of their creation, so that sets of them
  iterate alike everywhere: `asyncio.wait`, `as_completed` and `TaskGroup` work unmodified.
- `steps`: the numbers, what is open, and what is still to be sent.
- `context`: what `sleep`, `now`, `random` and a call of an activity find when they look around.
- `drains`: which run's code is running now, for the thread that watches the loop.
- `predicates`: the conditions of `wait_until`, tried at the end of each drain.
- `generators`: async generators of a run, closed when it ends.
- `exception_reports`: exceptions that no code awaited.
- `mailbox`: signals. Receiving is no command: it takes what the history has delivered.
- `mismatch`: the code does other things than its history says.
- `outside_access`: code outside of a turn that touches a run ends it, by an error where it awaits.
- `call_sites`: "file:line" of the user's call.
- `definitions`: workflows and activities as the frozen values that decorators return.
- `run`: one run, from its first fact to its `Finish`.
- `cache`: the runs that a worker keeps in memory.

A drain happens inside the worker's own running loop: the running loop, the hooks for async
generators and the context variables are exchanged for its length and put back.

What cannot be promised:

- Sets of *strings* depend on `PYTHONHASHSEED`, sets of other objects on addresses. `as_completed`
  and `wait` refuse what has no place of its own; a user's own sets are the linter's business, and
  so are other libraries': anyio cancels the tasks of a group in the order of a set of its own.
- `asyncio.all_tasks()` has the right members, but no order to rely on.
- `unresponsive_tasks`: closing coroutines that swallow every cancellation.
- An async generator that is left half way is closed when the run ends: under asyncio the garbage
  collector would choose the moment.
"""
