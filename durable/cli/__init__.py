"""The `durable` command: argv to client and worker, and back to people and scripts.

    program     the commands, put together; `run`
    command     what all commands share: options, connection, errors as one message, JSON
    output      where answers, notes and errors go
    importing   modules and files of users, and the definitions in them
    runs        start, result, list, show, signal, cancel, terminate, resume
    showing     runs, as texts and tables
    tables      tables within the width of a terminal, or in full
    serving     worker: serve until told to stop
    developing  dev: an embedded Postgres, and a worker that is restarted when files change
    watching    Python files that change
    documents   yaml, graph, migrate
    deploying   deploy: change the descriptor of a live task queue, show it, go
                back
    children    workers in processes of their own, for the commands that start
                and stop them
    loops       the event loop that a command runs on: asyncio's own, or
                uvloop's
    pruning     the command that deletes what ended long ago
    ending      how the process of `durable worker` ends: gracefully when told,
                at once when that is not enough
    supervising `durable worker --processes N`: several workers, each started
                again when it dies

With `durable.composition` this is the only room that reads the environment.
"""
