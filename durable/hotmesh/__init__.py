"""HotMesh: the graph engine's own face, for hand-written apps.

The face:
mesh.py           the class `HotMesh`: init, serve, versions, quorum, stop
composition.py    opens the connections of a mesh, and builds its parts
host.py           what runs in this process: membership, engine, workers; begun and ended

Jobs:
job_starts.py       pub, pubsub, resume
function_starts.py  pub and pubsub of workflows
publication.py      what a caller publishes
job_interrupts.py   interrupt
job_signals.py      hook, add, hook_all
function_signals.py  hook of runs of functions
job_lookup.py       finds the job of an id, of a graph or a run of a function
function_jobs.py    runs of functions, seen as jobs
job_inspection.py   status, state, fields, export
job_removal.py      scrub, prune
search.py           find, get_stats, get_ids: by entity, attributes and measures
export.py           a job as a document, for people
conditions.py       conditions on entity documents, checked here and compared by Postgres
escalations.py      `mesh.escalations`: what waits for a person
escalation_rows.py  their rows, and what may be done to them

The app:
admin.py            deploy, activate
quorum_member.py    answers for the engine and the workers of this process
quorum_calls.py     throttle, roll call, messages to all

Loops:
engine_loop.py            applies what is due
paced_loop.py             what it shares with the loops of workers
worker_loop.py            runs the callbacks of one topic
callback_outcomes.py      records what they come to
served_topics.py          the worker loops of this process, and their free slots
loop_watch.py             names what holds the event loop, and gives up a step that does
breakage.py               what has broken one of the loops for good
commit_announcements.py   what follows a commit: loops, engines, waiters, subscribers are woken

Subscriptions:
subscribers.py             calls what users subscribe with
subscriptions.py           to topics
function_ends.py           the ends of functions' runs, announced and found
pattern_subscriptions.py   to patterns of topics

Rooms within:
quorum/    the engines and workers of an app as one body: roll call, throttle, activation
virtual/   virtual functions: a small face over `HotMesh`

Options:
settings.py   what `init` was given, checked
options.py    the shapes in which HotMesh's documentation gives options, made of one kind
profiles.py   what roll call says of a worker
"""
