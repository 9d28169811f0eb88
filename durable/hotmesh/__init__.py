"""HotMesh: the graph engine's own face, for hand-written apps.

mesh.py           the class: init, serve, pub, pubsub, resume, interrupt, stop
ruling.py         its methods that concern the app as a whole: deploy, activate, throttle, …
keeping.py        its methods that look at jobs, or remove them: get_state, export, scrub, prune
signalling.py     its methods that answer what waits: hook, add
governing.py      this process's part in the quorum
settings.py       what `init` was given, checked
wiring.py         one mesh's connections, made and closed
engines.py        the loop that applies what is due
workers.py        the loop that runs callbacks
seating.py        where a step finds free slots for the work that it brings
profiles.py       what roll call says of a worker
escalations.py    `mesh.escalations`: what waits for a person
waiting.py        who waits for the end of a job
subscriptions.py  who hears of every end
patterns.py       its methods by which others hear of jobs: sub, psub; who hears of ends by pattern
export.py         a job as a document, for people
asking.py     the methods of `HotMesh` that ask for jobs by what was counted of them
finding.py    the methods of `HotMesh` that find jobs by what they keep: their entity and their
              attributes
faults.py     what a callback raised, as messages of graphs carry it
breaking.py   what breaks one of a mesh's own tasks for good ends the mesh, loudly
options.py    the shapes in which HotMesh's documentation gives options, made of one kind
starting.py   the methods of `HotMesh` that begin jobs, and end them from outside
holding.py    what holds the event loop of a mesh: named, and a step of an engine is parted from
              what it keeps from moving
"""
